import { asRecord } from "../deployment/json.ts";
import { commitIn, damaged, type PullRequest, readPullRequest, textIn } from "../github/pull-request.ts";

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

function pullRequestEvent(name: string, payload: Fields): PreviewEvent {
  const label = asRecord(payload["label"])["name"];
  return {
    kind: "pull-request",
    action: textIn(payload, "action", "action"),
    target: name === "pull_request_target",
    pullRequest: readPullRequest(payload["pull_request"]),
    ...(typeof label === "string" ? { label } : {}),
    sender: String(asRecord(payload["sender"])["login"] ?? ""),
  };
}

function pushEvent(payload: Fields): PreviewEvent {
  const ref = textIn(payload, "ref", "ref");
  const [, kind, name = ""] = /^refs\/(heads|tags)\/(.+)$/s.exec(ref) ?? [];
  if (kind === undefined) throw damaged("ref");
  if (kind === "tags") return { kind: "tag", tag: name };
  const after = commitIn(payload, "after", "after");
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
        ? { kind: "branch", branch: textIn(fields, "ref", "ref"), commit: run.commit, deleted: true }
        : { kind: "tag", tag: textIn(fields, "ref", "ref") };
    case "workflow_dispatch":
    case "repository_dispatch":
    case "schedule":
      return { kind: "unbound", event: name, branch: run.refName, commit: run.commit };
    default:
      return { kind: "other", event: name };
  }
}
