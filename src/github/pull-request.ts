import { asRecord } from "../deployment/json.ts";
import { ActionError } from "../runner/errors.ts";
import type { GitHub } from "./client.ts";
import { answerOf } from "./failure.ts";

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

type Fields = Readonly<Record<string, unknown>>;

/** A payload or answer that lacks what its kind promises. */
export function damaged(what: string): ActionError {
  return new ActionError(
    "event-invalid",
    `The event of this run has no valid ${what}, so it cannot be told which preview is meant.`,
    "Run it on GitHub, or give the local runner a whole event with -e event.json.",
  );
}

/** @throws ActionError `event-invalid` unless it is a text that is not empty */
export function textIn(fields: Fields, key: string, what: string): string {
  const value = fields[key];
  if (typeof value !== "string" || value === "") throw damaged(what);
  return value;
}

/** @throws ActionError `event-invalid` unless it is a whole SHA */
export function commitIn(fields: Fields, key: string, what: string): string {
  const value = textIn(fields, key, what);
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
    open: textIn(fields, "state", "pull_request.state") === "open",
    draft: fields["draft"] === true,
    labels: labels.filter((label) => typeof label === "string"),
    headCommit: commitIn(head, "sha", "pull_request.head.sha"),
    headBranch: textIn(head, "ref", "pull_request.head.ref"),
    ...(typeof repository === "string" ? { headRepository: repository } : {}),
    author: String(asRecord(fields["user"])["login"] ?? ""),
  };
}

const READ = "pull-requests: read";

/** As it is now, which may differ from the event of a run that waited. */
export async function pullRequest(github: GitHub, number: number): Promise<PullRequest> {
  return await github.ask({ failed: `Pull request ${number} could not be read`, permission: READ }, async () => {
    const { data } = await github.rest.pulls.get({ ...github.place, pull_number: number });
    return readPullRequest(data);
  });
}

/**
 * Those of these pull requests that are open. All open ones are listed, over all pages; since one that closes meanwhile
 * moves the others to pages that were read already, whatever is not in the list is asked for by itself.
 */
export async function openAmong(github: GitHub, numbers: readonly number[]): Promise<PullRequest[]> {
  if (numbers.length === 0) return [];
  const listed = await github.ask(
    { failed: "The open pull requests could not be listed", permission: READ },
    async () => {
      const { rest, paginate, place } = github;
      const order = { state: "open", sort: "created", direction: "asc", per_page: 100 } as const;
      return await paginate(rest.pulls.list, { ...place, ...order }, ({ data }) => data.map(readPullRequest));
    },
  );
  const open = listed.filter(({ number }) => numbers.includes(number));
  const missing = numbers.filter((number) => !open.some((one) => one.number === number));
  for (const number of new Set(missing)) {
    const one = await ifThere(pullRequest(github, number));
    if (one?.open === true) open.push(one);
  }
  return open;
}

/** Undefined for a number that no pull request has; a list that may be read shows that 404 means just that. */
async function ifThere(asked: Promise<PullRequest>): Promise<PullRequest | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ActionError && answerOf(error.cause).status === 404) return undefined;
    throw error;
  }
}

/** Takes a label off; true when it was there. */
export async function removeLabel(github: GitHub, number: number, label: string): Promise<boolean> {
  const need = {
    failed: `The label ${JSON.stringify(label)} could not be taken off pull request ${number}`,
    permission: "pull-requests: write",
  };
  return await github.ask(need, async () => {
    const now = await pullRequest(github, number);
    if (!now.labels.includes(label)) return false;
    await github.rest.issues.removeLabel({ ...github.place, issue_number: number, name: label });
    return true;
  });
}
