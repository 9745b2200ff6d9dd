import type { PullRequest } from "../github/pull-request.ts";
import { ActionError } from "../runner/errors.ts";
import type { PreviewEvent } from "./event.ts";
import { numberIn, originsOf, previewName, pullRequestName, type Template } from "./names.ts";
import type { PreviewPlan } from "./plan-types.ts";

/** What the inputs say about which previews there are. */
export interface PreviewPolicy {
  readonly command: "up" | "down" | "sweep";
  /** As given; undefined means that the event decides. */
  readonly name?: string;
  /** Undefined with `proxy: none`. */
  readonly domain?: Template;
  readonly siteDomain?: Template;
  /** Only pull requests that carry it. */
  readonly label?: string;
  /** Whether drafts have a preview. */
  readonly drafts: boolean;
  /** The label by which a maintainer lets one commit of a fork have a preview; undefined: forks have none. */
  readonly forkLabel?: string;
}

export interface PlanRun {
  /** `owner/name`. */
  readonly repository: string;
  /** GITHUB_ACTOR: whose rights the run has. */
  readonly actor: string;
}

type PullRequestEvent = Extract<PreviewEvent, { kind: "pull-request" }>;

export const DEPENDABOT = "dependabot[bot]";
const GUIDE = "docs/previews-forks.md shows the setup";

function unfit(message: string, hint: string): ActionError {
  return new ActionError("preview-event", message, hint);
}

/** GitHub gives such runs no secrets, and their code was written by somebody who may not push to this repository. */
export function isForeign(pullRequest: PullRequest, run: PlanRun): boolean {
  const own = pullRequest.headRepository?.toLowerCase() === run.repository.toLowerCase();
  return !own || pullRequest.author === DEPENDABOT || run.actor === DEPENDABOT;
}

/** Why an open pull request has no preview by the policy; undefined when it should have one. */
export function unwanted(
  pullRequest: Pick<PullRequest, "draft" | "labels" | "number">,
  policy: Pick<PreviewPolicy, "drafts" | "label">,
): string | undefined {
  if (pullRequest.draft && !policy.drafts) return `pull request ${pullRequest.number} is a draft`;
  if (policy.label !== undefined && !pullRequest.labels.includes(policy.label)) {
    return `pull request ${pullRequest.number} does not carry the label ${JSON.stringify(policy.label)}`;
  }
  return undefined;
}

/**
 * Decides by the state that the event shows more than by what just happened: a newer run that waits replaces an older
 * one in GitHub's queue, so that any event may be the only one that is acted upon.
 * @throws ActionError `preview-event` for events that cannot mean a preview, `preview-name`, `fork-refused`, `input-invalid`
 */
export function planPreview(event: PreviewEvent, policy: PreviewPolicy, run: PlanRun): PreviewPlan {
  if (policy.command === "sweep") return { action: "sweep" };
  switch (event.kind) {
    case "pull-request":
      return planPullRequest(event, policy, run);
    case "branch":
      return planBranch(event, policy, run);
    case "unbound":
      return planUnbound(event, policy, run);
    case "tag":
      return { action: "skip", why: `${event.tag} is a tag; previews belong to pull requests and branches` };
    case "other":
      throw unfit(
        `The event ${event.event} does not say which preview is meant.`,
        "Run the preview on pull_request, push, delete or workflow_dispatch; for forks see docs/previews-forks.md.",
      );
  }
}

function planPullRequest(event: PullRequestEvent, policy: PreviewPolicy, run: PlanRun): PreviewPlan {
  const { pullRequest } = event;
  const { number } = pullRequest;
  const foreign = isForeign(pullRequest, run);
  const name = nameFor(pullRequest, policy, foreign);
  // Without secrets there is no way to the host; the sweep, which has them, removes what is there.
  const powerless = foreign && !event.target;
  if (!pullRequest.open || policy.command === "down") {
    const why = pullRequest.open ? "the workflow asked for it" : `pull request ${number} is closed`;
    if (!powerless) return { action: "down", name, number, why };
    return { action: "skip", name, number, why: `${why}, and this run has no secrets; the sweep removes its preview` };
  }
  // For a fork the maintainer's label stands for the other one as well.
  const no = unwanted(pullRequest, foreign ? { drafts: policy.drafts } : policy);
  if (no !== undefined) {
    const lost = event.action === "unlabeled" || event.action === "converted_to_draft";
    return lost && !powerless ? { action: "down", name, number, why: no } : { action: "skip", name, number, why: no };
  }
  if (foreign) return planForeign(event, name, policy, run);
  return up({ name, number, commit: pullRequest.headCommit, branch: pullRequest.headBranch }, policy, run);
}

function planForeign(event: PullRequestEvent, name: string, policy: PreviewPolicy, run: PlanRun): PreviewPlan {
  const { pullRequest, label } = event;
  const { number, headCommit } = pullRequest;
  const whose = pullRequest.author === DEPENDABOT || run.actor === DEPENDABOT ? "Dependabot" : "a fork";
  if (!event.target) {
    const why = `pull request ${number} comes from ${whose}, whose runs get no secrets; ${GUIDE} by which a maintainer allows one commit`;
    return { action: "skip", name, number, why };
  }
  if (policy.forkLabel === undefined) {
    throw new ActionError(
      "fork-refused",
      `Pull request ${number} comes from ${whose}, and this run (pull_request_target) has secrets: its code must not meet them. Nothing was done.`,
      `Use on: pull_request, which gives such runs no secrets, or set fork-label: ${GUIDE}.`,
    );
  }
  if (event.action === "unlabeled" && label === policy.forkLabel) {
    return {
      action: "down",
      name,
      number,
      why: `the label ${JSON.stringify(label)} was taken off pull request ${number}`,
    };
  }
  if (event.action !== "labeled" || label !== policy.forkLabel) {
    const short = headCommit.slice(0, 7);
    const why = `pull request ${number} comes from ${whose}: its commit ${short} waits until a maintainer sets the label ${JSON.stringify(policy.forkLabel)} for it`;
    if (!bringsCommit(event, policy)) return { action: "skip", name, number, why };
    const stale = pullRequest.labels.includes(policy.forkLabel);
    return { action: "skip", name, number, why, waits: true, ...(stale ? { staleLabel: policy.forkLabel } : {}) };
  }
  const approval = { label, by: event.sender, number, commit: headCommit };
  return {
    ...up({ name, number, commit: headCommit, branch: pullRequest.headBranch }, policy, run),
    fork: true,
    approval,
  };
}

/** Whether nobody can have let the commit before this event: other labels and edits come with one that may be deployed. */
function bringsCommit({ action }: PullRequestEvent, { drafts }: PreviewPolicy): boolean {
  return ["opened", "reopened", "synchronize"].includes(action) || (action === "ready_for_review" && !drafts);
}

/**
 * A fork's pull request has a name of ours in any case: one made from its branch could be that of another preview,
 * whose data it would then get.
 */
function nameFor(pullRequest: PullRequest, policy: PreviewPolicy, foreign: boolean): string {
  const own = pullRequestName(pullRequest.number);
  if (policy.name === undefined || policy.name === own) return own;
  if (foreign && !policy.name.startsWith(`${own}-`)) {
    throw new ActionError(
      "preview-name",
      `name: ${JSON.stringify(policy.name)} is not accepted for pull request ${pullRequest.number}, which comes from outside: it could be the name of another preview.`,
      `Leave name out, or begin it with ${own}-.`,
    );
  }
  return given(policy.name, pullRequest.number);
}

function given(name: string, number: number | undefined): string {
  const other = numberIn(name);
  if (other === undefined || other === number) return other === undefined ? previewName(name) : name;
  throw new ActionError(
    "preview-name",
    `name: ${JSON.stringify(name)} is the preview of pull request ${other}${number === undefined ? "" : `, and this run is for ${number}`}.`,
    "Choose another name, or leave name out.",
  );
}

function planBranch(
  event: Extract<PreviewEvent, { kind: "branch" }>,
  policy: PreviewPolicy,
  run: PlanRun,
): PreviewPlan {
  const { branch, commit } = event;
  const name = policy.name === undefined ? previewName(branch) : given(policy.name, undefined);
  if (event.deleted) return { action: "down", name, why: `branch ${branch} was deleted` };
  if (policy.command === "down") return { action: "down", name, why: "the workflow asked for it" };
  return up({ name, commit, branch }, policy, run);
}

function planUnbound(
  event: Extract<PreviewEvent, { kind: "unbound" }>,
  policy: PreviewPolicy,
  run: PlanRun,
): PreviewPlan {
  const { branch, commit } = event;
  if (policy.command === "down") {
    // By hand, a preview of any pull request may be removed.
    if (policy.name === undefined) {
      throw unfit(
        `The event ${event.event} does not say which preview is to be removed.`,
        "Set name:, for example pr-12.",
      );
    }
    const number = numberIn(policy.name);
    const name = number === undefined ? previewName(policy.name) : policy.name;
    return { action: "down", name, ...(number === undefined ? {} : { number }), why: "the workflow asked for it" };
  }
  if (policy.name === undefined && event.event === "schedule") {
    throw unfit(
      "A schedule belongs to no pull request, so it cannot be told which preview is meant.",
      "Set command: sweep to clean up on a schedule, or name: for a preview that is renewed by it.",
    );
  }
  const name = policy.name === undefined ? previewName(branch) : given(policy.name, undefined);
  return up({ name, commit, branch }, policy, run);
}

function up(
  what: { readonly name: string; readonly number?: number; readonly commit: string; readonly branch: string },
  policy: PreviewPolicy,
  run: PlanRun,
): Extract<PreviewPlan, { action: "up" }> {
  const { domain, siteDomain } = policy;
  const facts = { ...what, repository: run.repository };
  return {
    action: "up",
    ...what,
    ...(domain === undefined ? {} : { origins: originsOf(domain, siteDomain, facts) }),
    fork: false,
  };
}

/**
 * The same event with the pull request as the API shows it now. A run may have waited in the queue, or be the repetition
 * of an old one: what was closed, became a draft or lost its label meanwhile gets no preview, and of an older commit
 * only the newest run makes one.
 */
export function withCurrent(event: PreviewEvent, current: PullRequest): PreviewEvent {
  return event.kind === "pull-request"
    ? { ...event, pullRequest: { ...current, headCommit: event.pullRequest.headCommit } }
    : event;
}

/** Why the commit of this run is not deployed any more; undefined when it is the newest. */
export function superseded(event: PreviewEvent, current: PullRequest): string | undefined {
  if (event.kind !== "pull-request" || event.pullRequest.headCommit === current.headCommit) return undefined;
  const [old, now] = [event.pullRequest.headCommit.slice(0, 7), current.headCommit.slice(0, 7)];
  return `pull request ${current.number} is at ${now} by now; this run is for ${old}, and the run of ${now} makes the preview`;
}
