import { asRecord } from "../deployment/json.ts";
import type { GitHub } from "../github/client.ts";
import { pullRequest } from "../github/pull-request.ts";
import { ActionError } from "../runner/errors.ts";
import type { ForkApproval } from "./plan-types.ts";

/** Whose permission is asked for at most; a pull request may have any number of reviewers. */
const MOST_REVIEWERS = 10;

interface Happened {
  readonly kind: string;
  /** Login. */
  readonly by: string;
  readonly label?: string;
  /** Of a review: the commit that its author had before them. */
  readonly commit?: string;
  readonly state?: string;
}

function refused(approval: ForkApproval, why: string): ActionError {
  return new ActionError(
    "fork-refused",
    `Pull request ${approval.number} comes from outside, and its commit ${approval.commit.slice(0, 7)} gets no preview: ${why}. Nothing was done.`,
    `Review its newest commit, then set the label ${JSON.stringify(approval.label)} again (docs/previews-forks.md).`,
  );
}

/**
 * Proves with GitHub itself that a maintainer let this very commit have a preview. The event names the commit at which
 * the label was set, and that one is deployed. It may differ from the one the maintainer had seen, because somebody can
 * push in the moment before the click; a review does not: GitHub keeps with it the commit that its author looked at.
 * Times are no proof, since GitHub keeps none of pushes, and those of commits are their author's.
 * @param review false: the label alone is enough
 * @throws ActionError `fork-refused`, and the errors of `GitHub.ask`
 */
export async function checkApproval(github: GitHub, approval: ForkApproval, review: boolean): Promise<void> {
  const { number, commit, label, by } = approval;
  const [now, permission, timeline] = await Promise.all([
    pullRequest(github, number),
    mayWrite(github, by),
    timelineOf(github, number),
  ]);
  if (!now.open) throw refused(approval, "it is closed by now");
  if (now.headCommit !== commit) {
    throw refused(
      approval,
      `commits were pushed after the label was set, it is at ${now.headCommit.slice(0, 7)} by now`,
    );
  }
  const set = timeline.findLast((one) => one.label === label);
  if (!now.labels.includes(label) || set?.kind !== "labeled") throw refused(approval, "the label was taken off again");
  if (set.by !== by) throw refused(approval, `the label was set again by ${set.by}, whose own run decides`);
  if (!permission) throw refused(approval, `${by}, who set the label, may not write to this repository`);
  if (review && !(await wasReviewed(github, timeline, commit))) {
    const last = timeline.findLast((one) => one.kind === "reviewed")?.commit;
    const seen = last === undefined ? "" : `; the last review is of ${last.slice(0, 7)}`;
    throw refused(
      approval,
      `nobody who may write to this repository has reviewed (approved or commented on) it${seen}`,
    );
  }
}

async function wasReviewed(github: GitHub, timeline: readonly Happened[], commit: string): Promise<boolean> {
  const reviews = timeline.filter((one) => one.kind === "reviewed");
  // Of each reviewer only what they said last counts.
  const last = new Map(reviews.map((one) => [one.by, one]));
  const fit = [...last.values()].filter(
    (one) => one.commit === commit && ["approved", "commented"].includes(one.state ?? ""),
  );
  for (const { by } of fit.slice(-MOST_REVIEWERS)) if (await mayWrite(github, by)) return true;
  return false;
}

async function mayWrite(github: GitHub, username: string): Promise<boolean> {
  const need = { failed: `The permission of ${username} could not be read`, permission: "contents: read" };
  return await github.ask(need, async () => {
    const { data } = await github.rest.repos.getCollaboratorPermissionLevel({ ...github.place, username });
    // `maintain` is told as `write`, `triage` as `read`.
    return ["admin", "write"].includes(data.permission);
  });
}

async function timelineOf(github: GitHub, number: number): Promise<Happened[]> {
  const need = {
    failed: `What happened to pull request ${number} could not be read`,
    permission: "pull-requests: read",
  };
  return await github.ask(need, async () => {
    const { rest, paginate, place } = github;
    const all = await paginate(rest.issues.listEventsForTimeline, { ...place, issue_number: number, per_page: 100 });
    return all.map(asRecord).flatMap(happened);
  });
}

function happened(event: Readonly<Record<string, unknown>>): Happened[] {
  const kind = event["event"];
  if (kind === "labeled" || kind === "unlabeled") {
    const by = String(asRecord(event["actor"])["login"]);
    return [{ kind, by, label: String(asRecord(event["label"])["name"]) }];
  }
  if (kind !== "reviewed") return [];
  const by = String(asRecord(event["user"])["login"]);
  // The timeline writes them in small letters, the reviews' own list in capitals.
  return [{ kind, by, commit: String(event["commit_id"]), state: String(event["state"]).toLowerCase() }];
}
