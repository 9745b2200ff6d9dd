import { PushError } from "../deployment/push.ts";
import { GitHub } from "../github/client.ts";
import { pullRequest } from "../github/pull-request.ts";
import { annotateErrors } from "../runner/annotations.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { apiUrlOf, runUrlOf } from "../runner/event.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { bundle } from "./bundle.ts";
import { policyOf, previewEventOf, runOf } from "./decide.ts";
import { parseEnvironment } from "./environment.ts";
import { type PreviewInputs, readPreviewInputs } from "./inputs.ts";
import { withTarget } from "./open-target.ts";
import { planPreview, superseded, withCurrent } from "./plan.ts";
import type { PreviewPlan } from "./plan-types.ts";
import type { UpReport } from "./report.ts";
import { checkNeeds, checkPreviewInputs } from "./rules.ts";
import type { PreviewRun } from "./run.ts";
import { runUp } from "./run-up.ts";
import { downSummary, failureSummary, skipSummary } from "./summary.ts";
import { sweep } from "./sweep.ts";
import { Teller, type Told } from "./teller.ts";
import { down } from "./up.ts";

async function runDown(run: PreviewRun, plan: Extract<PreviewPlan, { action: "down" }>): Promise<void> {
  const { deps, teller } = run;
  const { removed, where } = await withTarget(run, async (target) => ({
    removed: await down(toldOf(plan), target, run),
    where: target.where,
  }));
  setOutput("removed", JSON.stringify(removed), tempOf(deps));
  await teller.removed(toldOf(plan), plan.why);
  await writeSummary(downSummary(plan.name, plan.why, removed, where));
}

function toldOf({ name, number }: { readonly name: string; readonly number?: number }): Told {
  return { name, ...(number === undefined ? {} : { number }) };
}

/** Does what the plan says; the summary of a success is written on the way. */
async function act(run: PreviewRun, plan: PreviewPlan): Promise<void> {
  const { tell, teller, deps } = run;
  setOutput("action", plan.action, tempOf(deps));
  if (plan.action !== "sweep" && plan.name !== undefined) {
    setOutput("name", plan.name, tempOf(deps));
    tell({ name: plan.name, ...(plan.number === undefined ? {} : { number: plan.number }) });
  }
  switch (plan.action) {
    case "up":
      return await runUp(run, plan);
    case "down":
      return await runDown(run, plan);
    case "sweep":
      return await sweep(run);
    case "skip": {
      deps.log.notice(`No preview: ${plan.why}.`);
      const { name, staleLabel, waits } = plan;
      if (name !== undefined && waits === true) {
        await teller.waiting(toldOf({ ...plan, name }), plan.why, staleLabel);
      }
      return await writeSummary(skipSummary(plan.why));
    }
  }
}

/**
 * What is to be done, by the pull request as it is now: a run may have waited in a queue. Where GitHub does not tell, the
 * event counts. Before GitHub is asked, what the plan needs must be there.
 */
async function decide(run: PreviewRun): Promise<PreviewPlan> {
  const { inputs, event, policy, github, deps } = run;
  const of = runOf(deps.env);
  const plan = planPreview(event, policy, of);
  checkNeeds(inputs, plan.action);
  if (event.kind !== "pull-request" || github === undefined || plan.action === "skip") return plan;
  try {
    const current = await run.timeline.phase("github", () => pullRequest(github, event.pullRequest.number));
    const now = planPreview(withCurrent(event, current), policy, of);
    checkNeeds(inputs, now.action);
    const late = now.action === "up" ? superseded(event, current) : undefined;
    if (late === undefined || now.action !== "up") return now;
    return { action: "skip", name: now.name, number: current.number, why: late };
  } catch (error) {
    if (!(error instanceof ActionError) || !error.code.startsWith("github-")) throw error;
    deps.log.warning(`${error.text} The event of this run is gone by.`);
    return plan;
  }
}

async function connectGitHub({ githubToken }: PreviewInputs, deps: Deps): Promise<GitHub | undefined> {
  if (githubToken === undefined) return undefined;
  const { clock, log } = deps;
  const { repository } = runOf(deps.env);
  return await GitHub.connect({ token: githubToken, apiUrl: apiUrlOf(deps.env), repository, clock, log });
}

async function runOfInputs(
  inputs: PreviewInputs,
  command: Exclude<PreviewInputs["command"], "bundle">,
  rest: Pick<PreviewRun, "timeline" | "tell" | "report" | "deps">,
): Promise<PreviewRun> {
  const { deps } = rest;
  const { repository } = runOf(deps.env);
  if (!/^[^/]+\/[^/]+$/.test(repository)) {
    throw new ActionError(
      "event-invalid",
      "GITHUB_REPOSITORY is not set, so it cannot be told whose previews are meant.",
      "Run it on GitHub, or give the local runner a repository with a remote.",
    );
  }
  const environment = parseEnvironment(inputs.githubEnvironment);
  const policy = policyOf(inputs, command);
  const event = previewEventOf(deps.env);
  const github = await connectGitHub(inputs, deps);
  const page = runUrlOf(deps.env);
  const teller = new Teller({
    github,
    comment: inputs.comment,
    environment,
    clock: deps.clock,
    log: deps.log,
    ...(page === undefined ? {} : { runUrl: page }),
  });
  return { ...rest, inputs, policy, event, repository, github, teller };
}

/**
 * The preview action: decides by the event what is to be done, and does it.
 * @param startedAt when the step began, milliseconds since the epoch
 */
export async function preview(read: ReadInput, deps: Deps, startedAt: number): Promise<void> {
  const timeline = new Timeline(deps.clock, startedAt);
  let report: UpReport = {};
  const tell = (facts: Partial<UpReport>): void => {
    report = { ...report, ...facts };
  };
  try {
    const inputs = readPreviewInputs(read);
    checkPreviewInputs(inputs);
    const { command } = inputs;
    if (command === "bundle") return await bundle(inputs, deps);
    const run = await runOfInputs(inputs, command, { timeline, tell, report: () => report, deps });
    await act(run, await decide(run));
    setOutput("timings", timeline.json(), tempOf(deps));
  } catch (error) {
    if (error instanceof PushError) annotateErrors(error.annotations);
    const shown = error instanceof ActionError ? error : new ActionError("internal", messageOf(error), REPORT_DEFECT);
    await writeSummary(failureSummary(shown, report, timeline));
    throw error;
  }
}
