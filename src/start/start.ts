import type { BackendState } from "../backend/backend.ts";
import type { AuthKeys } from "../credentials/auth-keys.ts";
import { PushError } from "../deployment/push.ts";
import { annotateErrors } from "../runner/annotations.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput, setSecretOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { seconds, writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { addDashboard, handleLeftovers, probe } from "./beside.ts";
import { bringUp, insteadOf } from "./bring-up.ts";
import { checkOrigins, deployAndSeed, pushVariables } from "./deploy.ts";
import { readStartInputs, type StartInputs } from "./inputs.ts";
import { exportVariables, setOutputs } from "./outputs.ts";
import { asPlaceError, prepare } from "./prepare.ts";
import { checkStartInputs } from "./rules.ts";
import type { Run, Usable } from "./run.ts";
import { startState } from "./state.ts";
import { failureSummary, type StartReport, startSummary } from "./summary.ts";
import { reportTeardown, teardown } from "./teardown.ts";

function describeBackend({ launched }: Usable): Partial<StartReport> {
  const { backend, runtime, version, byDefault, where } = launched;
  const pinned = byDefault ? " (pinned by this action)" : "";
  return {
    runtime: `${runtime} · ${where}`,
    release: `${version ?? "not known"}${pinned}`,
    ...(backend.imageDigest === undefined ? {} : { imageDigest: backend.imageDigest }),
    ...(backend.revision === undefined ? {} : { revision: backend.revision }),
  };
}

/** How long advice may keep the step after everything else is done. */
const ADVICE_MS = 1000;

/** Tells the job of the backend, then variables, deploy and seed; the backend stays up whatever fails here. */
async function makeUsable(
  usable: Usable,
  keysMade: Promise<AuthKeys> | undefined,
  signal: AbortSignal,
  run: Run,
): Promise<void> {
  const { prepared, timeline, tell, deps } = run;
  const { inputs } = prepared;
  const { launched, client } = usable;
  deps.log.info(`The backend answers at ${launched.backend.url} after ${seconds(deps.clock.now() - timeline.start)}.`);
  tell(describeBackend(usable));
  setOutputs(usable, run);
  checkOrigins(prepared, launched, deps);
  tell({ exported: exportVariables(usable, run) });

  const keys = keysMade === undefined ? undefined : await keysMade;
  if (keys !== undefined) {
    setSecretOutput("jwt-private-key", keys.jwtPrivateKey);
    setOutput("jwks", keys.jwks, tempOf(deps));
  }
  tell({ variables: await timeline.phase("env", () => pushVariables(prepared, launched, keys, client, deps)) });
  if (inputs.paused) {
    await timeline.phase("pause", () => client.pause());
    tell({ paused: true });
  }
  const dashboard = addDashboard(usable, run);
  dashboard.catch(() => undefined);
  // What is only told must not fail the step, and delay it for a moment at most.
  const advice = Promise.allSettled([probe(usable, run), inputs.reclaim ? undefined : handleLeftovers(prepared, deps)]);
  await deployAndSeed(prepared, launched, { adminKey: usable.adminKey, client, keys, signal }, timeline, tell, deps);
  await dashboard;
  const told = await Promise.race([advice, deps.clock.sleep(ADVICE_MS)]);
  for (const outcome of told ?? []) {
    if (outcome.status === "rejected") deps.log.debug(String(outcome.reason));
  }
}

async function startAndDeploy(run: Run): Promise<void> {
  const { prepared, timeline, deps } = run;
  const { inputs } = prepared;
  if (inputs.reclaim) await handleLeftovers(prepared, deps);
  const keysMade =
    prepared.authKeys === undefined ? undefined : timeline.phase("keys", () => prepared.authKeys ?? Promise.reject());
  keysMade?.catch(() => undefined);

  let usable: Usable;
  try {
    usable = await bringUp(run);
  } catch (error) {
    const state = run.saved();
    if (state !== undefined) reportTeardown(await teardown(state, deps), deps);
    throw asPlaceError(error, tempOf(deps));
  }
  // The CLI would try for half a minute to reach a backend that has ended.
  const over = new AbortController();
  let endedAt: number | undefined;
  void usable.launched.backend.ended.then(() => {
    endedAt = deps.clock.now();
    over.abort(new Error("the backend ended"));
  });
  try {
    await makeUsable(usable, keysMade, over.signal, run);
  } catch (error) {
    throw await insteadOf(error, usable, () => endedAt, run);
  } finally {
    // Otherwise this process would wait for the backend to end.
    usable.launched.backend.detach();
  }
}

/** What a reader of the summary may want to do now. */
function nextSteps(inputs: StartInputs, report: StartReport): string[] {
  const steps: string[] = [];
  if (inputs.paused) steps.push("The deployment is paused: restore or check it, then unpause it before functions run.");
  if (!inputs.deploy)
    steps.push("Nothing was deployed: a later step can run `npx convex deploy`, which finds the backend.");
  if (!inputs.exportEnv) steps.push("Nothing was exported: later steps use this step's outputs `url` and `admin-key`.");
  if (report.release?.includes("pinned by this action") === true) {
    steps.push("The release changes with this action's version; set `version` to keep it.");
  }
  return steps;
}

/**
 * The main step of the root action: checks everything, starts a backend, makes it usable, deploys and seeds.
 * @param startedAt when the step began, milliseconds since the epoch
 */
export async function start(read: ReadInput, deps: Deps, startedAt: number): Promise<void> {
  const timeline = new Timeline(deps.clock, startedAt);
  let report: StartReport = {};
  let saved: BackendState | undefined;
  try {
    const inputs = readStartInputs(read);
    checkStartInputs(inputs);
    const prepared = await prepare(inputs, deps);
    const save = (backend: BackendState): void => {
      saved = backend;
      startState.save({ backend, logs: inputs.logs, succeeded: false });
    };
    const tell = (facts: Partial<StartReport>): void => {
      report = { ...report, ...facts };
    };
    await startAndDeploy({ prepared, timeline, tell, save, saved: () => saved, deps });
    setOutput("timings", timeline.json(), tempOf(deps));
    if (saved !== undefined) startState.save({ backend: saved, logs: inputs.logs, succeeded: true });
    await writeSummary(startSummary({ ...report, next: nextSteps(inputs, report) }, timeline));
  } catch (error) {
    const findings = error instanceof PushError ? error.annotations : [];
    annotateErrors(findings);
    const shown = error instanceof ActionError ? error : new ActionError("internal", messageOf(error), REPORT_DEFECT);
    await writeSummary(failureSummary(shown, report, timeline, findings));
    throw error;
  }
}
