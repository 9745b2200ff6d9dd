import { resolveImage } from "../backend/catalogue.ts";
import { PushError } from "../deployment/push.ts";
import { annotateErrors } from "../runner/annotations.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import { tempOf } from "../start/run.ts";
import type { Deps } from "../system/deps.ts";
import { eventOf, policyOf, runOf } from "./decide.ts";
import { DockerTarget } from "./docker/target.ts";
import { type PreviewInputs, readPreviewInputs } from "./inputs.ts";
import { tellJob } from "./outputs.ts";
import { openPlace } from "./place.ts";
import { planPreview } from "./plan.ts";
import type { PreviewPlan } from "./plan-types.ts";
import { prepareUp, type UpPlan } from "./prepare.ts";
import type { UpReport } from "./report.ts";
import { checkPreviewInputs } from "./rules.ts";
import { previewState } from "./state.ts";
import { downSummary, failureSummary, skipSummary, upSummary } from "./summary.ts";
import { down, up } from "./up.ts";

/** One run of the action, as its parts share it. */
export interface PreviewRun {
  readonly inputs: PreviewInputs;
  readonly repository: string;
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<UpReport>) => void;
  readonly report: () => UpReport;
  readonly deps: Deps;
}

/** Connects, does `work`, and closes the connection whatever came of it. */
export async function withTarget<T>(
  { inputs, repository, timeline, tell, deps }: PreviewRun,
  work: (target: DockerTarget) => Promise<T>,
): Promise<T> {
  const place = await timeline.phase("connect", () =>
    openPlace(inputs, (folder) => previewState.save({ folder }), deps),
  );
  tell({ where: place.engine.where });
  const { version, image, requireDigest, dashboardImage } = inputs;
  const remote = place.host !== "127.0.0.1";
  const target = new DockerTarget(
    place.engine,
    {
      repository,
      image: resolveImage({ version, image, requireDigest }),
      dashboardImage: inputs.dashboard ? resolveImage({ image: dashboardImage }) : undefined,
      pull: inputs.pull,
      proxy: inputs.proxy,
      proxyNetwork: inputs.proxyNetwork,
      certResolver: inputs.certResolver,
      bind: inputs.bind ?? (remote ? "0.0.0.0" : "127.0.0.1"),
      host: place.host,
    },
    deps,
    () => place.close(),
  );
  try {
    return await work(target);
  } finally {
    await target.close();
  }
}

async function runUp(run: PreviewRun, plan: UpPlan): Promise<void> {
  const { inputs, repository, timeline, tell, deps } = run;
  const prepared = await prepareUp(inputs, plan, repository, deps);
  const { image } = prepared;
  const release = image.release ?? image.commit;
  tell({ ...(release === undefined ? {} : { release }) });
  await withTarget(run, async (target) => {
    await up({
      prepared,
      target,
      timeline,
      tell,
      deps,
      reached: ({ applied, adminKey }) => {
        const digest = target.image?.digest;
        tell({ ...(digest === undefined ? {} : { imageDigest: digest }) });
        const readyMs = deps.clock.now() - timeline.start;
        tellJob(prepared, { applied, adminKey, readyMs, ...(digest === undefined ? {} : { digest }) }, deps);
      },
    });
  });
  setOutput("deployed", String(run.report().deployed !== undefined), tempOf(deps));
  await writeSummary(upSummary(run.report(), timeline));
}

async function runDown(run: PreviewRun, plan: Extract<PreviewPlan, { action: "down" }>): Promise<void> {
  const { timeline, deps } = run;
  const { removed, where } = await withTarget(run, async (target) => ({
    removed: await down(plan.name, target, timeline, deps),
    where: target.where,
  }));
  setOutput("removed", JSON.stringify(removed), tempOf(deps));
  await writeSummary(downSummary(plan.name, plan.why, removed, where));
}

/** Does what the plan says; the summary of a success is written on the way. */
export async function act(run: PreviewRun, plan: PreviewPlan): Promise<void> {
  const { tell, deps } = run;
  setOutput("action", plan.action, tempOf(deps));
  if (plan.action !== "sweep" && plan.name !== undefined) {
    setOutput("name", plan.name, tempOf(deps));
    tell({ name: plan.name, ...(plan.number === undefined ? {} : { number: plan.number }) });
  }
  switch (plan.action) {
    case "up":
      tell({ commit: plan.commit, fork: plan.fork });
      return await runUp(run, plan);
    case "down":
      return await runDown(run, plan);
    case "sweep":
      throw new Error("sweep");
    case "skip":
      deps.log.notice(`No preview: ${plan.why}.`);
      return await writeSummary(skipSummary(plan.why));
  }
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
    const { repository, actor } = runOf(deps.env);
    const plan = planPreview(eventOf(deps.env), policyOf(inputs), { repository, actor });
    await act({ inputs, repository, timeline, tell, report: () => report, deps }, plan);
    setOutput("timings", timeline.json(), tempOf(deps));
  } catch (error) {
    if (error instanceof PushError) annotateErrors(error.annotations);
    const shown = error instanceof ActionError ? error : new ActionError("internal", messageOf(error), REPORT_DEFECT);
    await writeSummary(failureSummary(shown, report, timeline));
    throw error;
  }
}
