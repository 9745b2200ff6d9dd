import { type PreviewEvent, readPreviewEvent } from "../../../src/preview/event.ts";

export const COMMIT = "1111111111111111111111111111111111111111";
export const NEXT = "2222222222222222222222222222222222222222";
export const RUN = { repository: "acme/chat", actor: "ada" };

export interface PullRequestFields {
  readonly number?: number;
  readonly state?: string;
  readonly merged?: boolean;
  readonly draft?: boolean;
  readonly labels?: readonly string[];
  readonly commit?: string;
  readonly branch?: string;
  /** Null for a fork that was deleted. */
  readonly from?: string | null;
  readonly author?: string;
}

/** As GitHub sends it, as far as anything here reads it. */
export function pullRequestJson(fields: PullRequestFields = {}): Record<string, unknown> {
  const from = fields.from === undefined ? "acme/chat" : fields.from;
  return {
    number: fields.number ?? 12,
    state: fields.state ?? "open",
    merged: fields.merged ?? false,
    draft: fields.draft ?? false,
    labels: (fields.labels ?? []).map((name, index) => ({ id: index, name })),
    user: { login: fields.author ?? "ada" },
    head: {
      ref: fields.branch ?? "feat/login",
      sha: fields.commit ?? COMMIT,
      repo: from === null ? null : { full_name: from, fork: from !== "acme/chat" },
    },
    base: { ref: "main", sha: NEXT, repo: { full_name: "acme/chat" } },
  };
}

export function pullRequestEvent(
  action: string,
  fields: PullRequestFields & { readonly label?: string; readonly target?: boolean; readonly sender?: string } = {},
): PreviewEvent {
  const payload = {
    action,
    number: fields.number ?? 12,
    pull_request: pullRequestJson(fields),
    ...(fields.label === undefined ? {} : { label: { id: 1, name: fields.label } }),
    sender: { login: fields.sender ?? "ada" },
  };
  return readPreviewEvent(fields.target === true ? "pull_request_target" : "pull_request", payload, {
    refName: "12/merge",
    commit: NEXT,
  });
}

export const otherEvent = (name: string, payload: unknown = {}): PreviewEvent =>
  readPreviewEvent(name, payload, { refName: "main", commit: COMMIT });
