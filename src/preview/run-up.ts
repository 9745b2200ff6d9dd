import { ActionError, messageOf } from "../runner/errors.ts";
import { setOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { writeSummary } from "../runner/summary.ts";
import { tempOf } from "../system/temp.ts";
import { checkApproval } from "./fork.ts";
import { withTarget } from "./open-target.ts";
import { tellJob } from "./outputs.ts";
import { prepareUp, type UpPlan } from "./prepare.ts";
import { changesIn } from "./report.ts";
import { makeRoom } from "./room.ts";
import type { PreviewRun } from "./run.ts";
import { upSummary } from "./summary.ts";
import type { Applied } from "./target.ts";
import type { Told } from "./teller.ts";
import { up } from "./up.ts";

/** An `up` with all that is told of it: to the job, to the pull request, in the summary. */
export async function runUp(run: PreviewRun, plan: UpPlan): Promise<void> {
  const { inputs, repository, timeline, tell, teller, deps } = run;
  tell({ commit: plan.commit, fork: plan.fork });
  setOutput("deployed", "false", tempOf(deps));
  const prepared = await prepareUp(inputs, plan, repository, deps);
  await allowed(run, plan);
  const release = prepared.image.release ?? prepared.image.commit;
  tell({ ...(release === undefined ? {} : { release }) });
  const told: Told = { name: plan.name, ...(plan.number === undefined ? {} : { number: plan.number }) };
  // What GitHub is told goes beside the work.
  const shown = teller.queued(told, plan.commit).then(() => teller.started(told));
  let applied: Applied | undefined;
  try {
    await withTarget(run, async (target) => {
      await up({
        prepared,
        target,
        timeline,
        tell,
        deps,
        made: () => makeRoom(run, target, plan.name),
        reached: (reached) => {
          applied = reached.applied;
          const digest = target.image?.digest;
          tell({ ...(digest === undefined ? {} : { imageDigest: digest }) });
          const readyMs = deps.clock.now() - timeline.start;
          tellJob(prepared, { ...reached, readyMs, ...(digest === undefined ? {} : { digest }) }, deps);
        },
      });
    });
  } catch (error) {
    await shown;
    await tellFailure(run, told, plan, error, applied);
    throw error;
  }
  setOutput("deployed", String(run.report().deployed !== undefined), tempOf(deps));
  await shown;
  await timeline.phase("tell", () => tellReady(run, told, plan, applied));
  await writeSummary(upSummary(run.report(), timeline));
}

/**
 * A fork's commit, proven with GitHub to be let by a maintainer.
 * @throws ActionError `fork-refused`
 */
async function allowed({ inputs, github }: PreviewRun, plan: UpPlan): Promise<void> {
  if (!plan.fork) return;
  const { approval } = plan;
  if (github !== undefined && approval !== undefined) return await checkApproval(github, approval, inputs.forkReview);
  throw new ActionError(
    "fork-refused",
    `Preview ${plan.name} is of a fork, and without github-token it cannot be proven that a maintainer let this commit have one. Nothing was done.`,
    "Set github-token (docs/previews-forks.md).",
  );
}

async function tellReady(
  { report, teller, deps }: PreviewRun,
  told: Told,
  plan: UpPlan,
  applied: Applied | undefined,
): Promise<void> {
  const reported = report();
  const { url = "", siteUrl = "", dashboardUrl, expires, after } = reported;
  const changes = changesIn(reported);
  const now = new Date(deps.clock.now());
  await teller.ready(told, {
    url,
    siteUrl,
    commit: plan.commit,
    created: applied?.before?.created ?? now,
    updated: now,
    fork: plan.fork,
    ...(dashboardUrl === undefined ? {} : { dashboardUrl }),
    ...(expires === undefined ? {} : { expires }),
    ...(changes === undefined || after === undefined ? {} : { changes, after }),
  });
}

async function tellFailure(
  { teller }: PreviewRun,
  told: Told,
  { commit }: UpPlan,
  error: unknown,
  applied: Applied | undefined,
): Promise<void> {
  const shown = error instanceof ActionError ? error : new ActionError("internal", messageOf(error), REPORT_DEFECT);
  const there = applied?.before?.lastUp !== undefined && shown.code !== "preview-removed";
  const before = there ? applied.origins.cloud : undefined;
  await teller.failed(told, shown, { commit, ...(before === undefined ? {} : { url: before }) });
}
