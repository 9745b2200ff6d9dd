import { openAmong } from "../github/pull-request.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { setOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { writeSummary } from "../runner/summary.ts";
import { tempOf } from "../system/temp.ts";
import { runOf } from "./decide.ts";
import { withTarget } from "./open-target.ts";
import { isForeign } from "./plan.ts";
import type { PreviewRun } from "./run.ts";
import { age, type Swept, size, sweepSummary } from "./summary.ts";
import { planSweep, type Removal, type SweepFacts, type SweepPlan } from "./sweep-plan.ts";
import type { FoundPreview, Target } from "./target.ts";
import { down } from "./up.ts";

/**
 * Removes the previews of this repository that nobody needs: of pull requests that are closed, past their time, or more
 * than there may be. One that cannot be removed does not keep the others.
 * @throws ActionError `sweep-incomplete`
 */
export async function sweep(run: PreviewRun): Promise<void> {
  const { inputs, timeline, deps } = run;
  const { swept, where } = await withTarget(run, async (target) => {
    const found = await timeline.phase("list", () => target.list({ usage: true }));
    const plan = await choose(run, found);
    tellLog(run, found);
    const gone = await removeAll(run, target, plan);
    const swept: Swept[] = [...gone, ...plan.keep.map((preview) => ({ preview }))];
    return { swept, where: target.where };
  });
  const { dryRun } = inputs;
  const failed = swept.filter(({ error }) => error !== undefined);
  const removed = swept.filter(({ why, error }) => why !== undefined && error === undefined);
  setOutput("removed", JSON.stringify(dryRun ? [] : removed.map(({ preview }) => preview.name)), tempOf(deps));
  setOutput("previews", JSON.stringify(swept.map(facts)), tempOf(deps));
  await writeSummary(sweepSummary(swept, where, dryRun, deps.clock.now()));
  const [first] = failed;
  if (first?.error === undefined) return;
  throw new ActionError(
    "sweep-incomplete",
    `${failed.length} of ${removed.length + failed.length} previews could not be removed: ${failed.map(({ preview }) => preview.name).join(", ")}. The first: ${first.error.message}`,
    first.error.hint,
    { cause: first.error },
  );
}

function facts({ preview, why, error }: Swept): Record<string, unknown> {
  const { name, number, commit, lastUp, created, running, memoryBytes, diskBytes } = preview;
  return { name, number, commit, lastUp, created, running, memoryBytes, diskBytes, why, error: error?.text };
}

/** GitHub is asked after the previews were listed: see `SweepFacts.open`. */
export async function choose(
  run: PreviewRun,
  found: readonly FoundPreview[],
  more: Partial<Pick<SweepFacts, "made" | "policy">> = {},
): Promise<SweepPlan> {
  const { inputs, policy, repository, github, timeline, deps } = run;
  const numbers = found.flatMap(({ number }) => number ?? []);
  const open = github === undefined ? undefined : await timeline.phase("github", () => openAmong(github, numbers));
  if (open === undefined && numbers.length > 0) {
    deps.log.warning(
      "github-token is empty, so it is not known which pull requests are closed; only the time to live counts.",
    );
  }
  return planSweep({
    repository,
    found,
    open,
    now: deps.clock.now(),
    policy,
    isForeign: (pullRequest) => isForeign(pullRequest, runOf(deps.env)),
    ...(inputs.ttlMs === undefined ? {} : { ttlMs: inputs.ttlMs }),
    ...(inputs.maxPreviews === 0 ? {} : { maxPreviews: inputs.maxPreviews }),
    ...more,
  });
}

export async function removeAll(run: PreviewRun, target: Target, { remove }: SweepPlan): Promise<Swept[]> {
  const swept: Swept[] = [];
  for (const one of remove) swept.push(await removeOne(run, target, one));
  return swept;
}

async function removeOne(run: PreviewRun, target: Target, { preview, why }: Removal): Promise<Swept> {
  const { inputs, teller, deps } = run;
  const { name, number } = preview;
  if (inputs.dryRun) {
    deps.log.info(`Would remove ${name}: ${why}.`);
    return { preview, why };
  }
  try {
    deps.log.info(`${name}: ${why}.`);
    // By its name alone: whose it is was read from it a moment ago.
    await down({ name }, target, run);
    await teller.removed({ name, ...(number === undefined ? {} : { number }) }, why);
    return { preview, why };
  } catch (error) {
    const shown = error instanceof ActionError ? error : new ActionError("internal", messageOf(error), REPORT_DEFECT);
    deps.log.warning(`${name} could not be removed: ${shown.text}`);
    return { preview, why, error: shown };
  }
}

function tellLog({ deps }: PreviewRun, found: readonly FoundPreview[]): void {
  for (const { name, lastUp, memoryBytes, diskBytes, running } of found) {
    const idle = lastUp === undefined ? "never finished" : `idle for ${age(deps.clock.now() - lastUp.getTime())}`;
    deps.log.info(
      `${name}: ${running ? "runs" : "stopped"}, ${idle}, memory ${size(memoryBytes)}, disk ${size(diskBytes)}`,
    );
  }
}
