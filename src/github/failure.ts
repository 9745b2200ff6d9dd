import { asRecord } from "../deployment/json.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { type Answer, isLimit, openAgain } from "./limits.ts";

/** What a call was for, in the user's terms. */
export interface Need {
  /** Begins the error: `The comment on pull request 12 could not be written`. */
  readonly failed: string;
  /** The line that the job's `permissions:` must have: `pull-requests: write`. */
  readonly permission: string;
}

/** Octokit's error has the status and, where there was an answer, its headers and body. */
export function answerOf(error: unknown): Answer {
  const { status, response } = asRecord(error instanceof Error ? { ...error } : undefined);
  if (typeof status !== "number" || response === undefined) {
    return { status: 0, headers: {}, message: messageOf(error) };
  }
  const { data } = asRecord(response);
  const said = asRecord(data)["message"];
  return {
    status,
    headers: asRecord(asRecord(response)["headers"]) as Answer["headers"],
    message: typeof said === "string" ? said : messageOf(error),
  };
}

/** What failed, why it usually does, and what to add. */
export function failureOf(error: unknown, need: Need, now: number): ActionError {
  const answer = answerOf(error);
  const { status, message } = answer;
  const options = { cause: error };
  const what = `${need.failed}: GitHub answered ${status} (${message}).`;
  if (isLimit(answer)) {
    const open = openAgain(answer, now);
    const until = open === undefined ? "" : ` until ${new Date(now + open).toISOString().slice(11, 19)} UTC`;
    return new ActionError(
      "github-rate-limit",
      `${need.failed}: GitHub takes no more calls with this token${until} (${message}).`,
      "Run the job again later. If it happens often, give other jobs a token of their own: all jobs of a repository share the limit of github.token.",
      options,
    );
  }
  if (status === 401) {
    return new ActionError(
      "github-token-rejected",
      what,
      "Check github-token: it expired, or is for another server. Leave it out to use the job's own.",
      options,
    );
  }
  if (status === 403 || status === 404) {
    const unknown = status === 404 ? " GitHub says 404 for what a token may not see, too." : "";
    return new ActionError(
      "github-permission",
      `${what}${unknown}`,
      `Add ${need.permission} to the permissions: of the job. Runs of forks and Dependabot never get more than read.`,
      options,
    );
  }
  if (status === 0) {
    return new ActionError(
      "github-failed",
      `${need.failed}: GitHub did not answer (${message}).`,
      "Run the job again. On a closed network, check that the runner reaches github.api_url.",
      options,
    );
  }
  return new ActionError("github-failed", what, "Run the job again; githubstatus.com tells of outages.", options);
}
