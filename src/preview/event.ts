import { asRecord } from "../deployment/json.ts";
import { ActionError } from "../runner/errors.ts";

/** A pull request, as an event or the API shows it. */
export interface PullRequest {
  readonly number: number;
  readonly open: boolean;
  readonly draft: boolean;
  readonly labels: readonly string[];
  /** The commit at the end of its branch. */
  readonly headCommit: string;
  readonly headBranch: string;
  /** `owner/name`; undefined when the fork was deleted. */
  readonly headRepository?: string;
  readonly author: string;
}

/** What a run was started by, as far as previews are concerned. */
export type PreviewEvent =
  | {
      readonly kind: "pull-request";
      /** `opened`, `synchronize`, `labeled`, … */
      readonly action: string;
      /** `pull_request_target`: the run has secrets, whoever wrote the code. */
      readonly target: boolean;
      readonly pullRequest: PullRequest;
      /** Of `labeled` and `unlabeled`. */
      readonly label?: string;
      /** Who did it. */
      readonly sender: string;
    }
  | { readonly kind: "branch"; readonly branch: string; readonly commit: string; readonly deleted: boolean }
  | { readonly kind: "tag"; readonly tag: string }
  /** `workflow_dispatch`, `schedule`, `repository_dispatch`: nothing in the event says which preview is meant. */
  | { readonly kind: "unbound"; readonly event: string; readonly branch: string; readonly commit: string }
  | { readonly kind: "other"; readonly event: string };

type Fields = Readonly<Record<string, unknown>>;

const ZERO = /^0+$/;

function damaged(what: string): ActionError {
  return new ActionError(
    "event-invalid",
    `The event of this run has no valid ${what}, so it cannot be told which preview is meant.`,
    "Run it on GitHub, or give the local runner a whole event with -e event.json.",
  );
}

function text(fields: Fields, key: string, what: string): string {
  const value = fields[key];
  if (typeof value !== "string" || value === "") throw damaged(what);
  return value;
}

function commit(fields: Fields, key: string, what: string): string {
  const value = text(fields, key, what);
  if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(value)) throw damaged(what);
  return value;
}

/**
 * A pull request out of a payload or an answer of the API; both have the same form.
 * @throws ActionError `event-invalid`
 */
export function readPullRequest(value: unknown): PullRequest {
  const fields = asRecord(value);
  const { number } = fields;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 1) throw damaged("pull_request.number");
  const head = asRecord(fields["head"]);
  const repository = asRecord(head["repo"])["full_name"];
  const labels = Array.isArray(fields["labels"]) ? fields["labels"].map((label) => asRecord(label)["name"]) : [];
  return {
    number,
    open: text(fields, "state", "pull_request.state") === "open",
    draft: fields["draft"] === true,
    labels: labels.filter((label) => typeof label === "string"),
    headCommit: commit(head, "sha", "pull_request.head.sha"),
    headBranch: text(head, "ref", "pull_request.head.ref"),
    ...(typeof repository === "string" ? { headRepository: repository } : {}),
    author: String(asRecord(fields["user"])["login"] ?? ""),
  };
}

function pullRequestEvent(name: string, payload: Fields): PreviewEvent {
  const label = asRecord(payload["label"])["name"];
  return {
    kind: "pull-request",
    action: text(payload, "action", "action"),
    target: name === "pull_request_target",
    pullRequest: readPullRequest(payload["pull_request"]),
    ...(typeof label === "string" ? { label } : {}),
    sender: String(asRecord(payload["sender"])["login"] ?? ""),
  };
}

function pushEvent(payload: Fields): PreviewEvent {
  const ref = text(payload, "ref", "ref");
  const [, kind, name = ""] = /^refs\/(heads|tags)\/(.+)$/s.exec(ref) ?? [];
  if (kind === undefined) throw damaged("ref");
  if (kind === "tags") return { kind: "tag", tag: name };
  const after = commit(payload, "after", "after");
  return { kind: "branch", branch: name, commit: after, deleted: payload["deleted"] === true || ZERO.test(after) };
}

/**
 * @param name GITHUB_EVENT_NAME
 * @param payload the parsed file of GITHUB_EVENT_PATH
 * @param run GITHUB_REF_NAME and GITHUB_SHA, for events that name no commit
 * @throws ActionError `event-invalid` when the payload does not have what its event promises
 */
export function readPreviewEvent(
  name: string,
  payload: unknown,
  run: { readonly refName: string; readonly commit: string },
): PreviewEvent {
  const fields = asRecord(payload);
  switch (name) {
    case "pull_request":
    case "pull_request_target":
      return pullRequestEvent(name, fields);
    case "push":
      return pushEvent(fields);
    case "delete":
      return fields["ref_type"] === "branch"
        ? { kind: "branch", branch: text(fields, "ref", "ref"), commit: run.commit, deleted: true }
        : { kind: "tag", tag: text(fields, "ref", "ref") };
    case "workflow_dispatch":
    case "repository_dispatch":
    case "schedule":
      return { kind: "unbound", event: name, branch: run.refName, commit: run.commit };
    default:
      return { kind: "other", event: name };
  }
}
