import { tmpdir } from "node:os";
import { originOf } from "../deployment/access.ts";
import { BackendError } from "../deployment/backend-error.ts";
import { DeploymentClient, type VariableChange } from "../deployment/client.ts";
import { PushError } from "../deployment/push.ts";
import type { Finding } from "../deployment/reach.ts";
import { annotateErrors } from "../runner/annotations.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { seconds, writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { checkAfter } from "./after.ts";
import { changesOf, isEmpty } from "./changes.ts";
import { tellPullRequest } from "./comment.ts";
import { checkPruned, envLines, envTable, planEnvironment } from "./env-plan.ts";
import { checkDeployInputs, type DeployInputs, readDeployInputs } from "./inputs.ts";
import { readLive } from "./live.ts";
import { checkDeployment, checkVariablesOf, PreflightError } from "./preflight.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { checkServed, pushThrough } from "./push.ts";
import { type DeployReport, deploySummary, failureSummary } from "./summary.ts";

interface Run {
  readonly prepared: Prepared;
  readonly client: DeploymentClient;
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<DeployReport>) => void;
  readonly findings: Finding[];
  readonly deps: Deps;
}

/**
 * Shows what the preflight found so far; errors end the deploy here, together.
 * @throws PreflightError
 */
function settle({ prepared, findings, tell, deps }: Run): void {
  const mode = prepared.inputs.preflight;
  const judged = findings.map((one) =>
    mode === "warn" && one.level === "error" ? { ...one, level: "warning" as const } : one,
  );
  tell({ findings: judged });
  const errors = judged.filter(({ level }) => level === "error");
  const [first, ...others] = errors;
  if (first !== undefined) {
    annotateErrors(others.map(({ code, message, hint }) => ({ title: code, message: `${message} → ${hint}` })));
    throw new PreflightError(first, judged);
  }
  for (const { level, code, message, hint } of judged) {
    if (level === "warning") deps.log.warning(`[${code}] ${message} → ${hint}`);
    else deps.log.notice(message);
  }
}

/** Everything is checked before anything changes; one list of findings, also where several things are wrong. */
async function check(run: Run): Promise<ReadonlyMap<string, string>> {
  const { prepared, client, findings, deps } = run;
  const { inputs, project, scan, variables } = prepared;
  if (inputs.preflight === "off") return await client.listVariables();
  // With a key that no backend takes, every question fails, and would be told as a fault of the backend.
  if (findings.every(({ level }) => level !== "error")) {
    findings.push(...(await checkDeployment(client, inputs.adminKey, project.cli.version, deps.http)));
  }
  const broken = findings.some(({ level }) => level === "error");
  const present = await client.listVariables().catch((error: unknown) => {
    // Why it cannot be asked is among the findings already.
    if (broken && inputs.preflight === "error") return undefined;
    throw error;
  });
  const effective = new Map([...(present ?? []), ...variables.values]);
  for (const name of plannedWith(prepared, present ?? new Map()).plan.remove) effective.delete(name);
  if (present !== undefined) findings.push(...checkVariablesOf(scan, effective));
  settle(run);
  return present ?? new Map();
}

function plannedWith({ inputs, variables }: Prepared, present: ReadonlyMap<string, string>) {
  const wish = {
    wanted: variables.values,
    present,
    prune: inputs.envPrune,
    keep: inputs.envKeep,
    leftOut: variables.leftOut,
  };
  return { wish, plan: planEnvironment(wish) };
}

async function deployTo(run: Run): Promise<void> {
  const { prepared, client, timeline, tell, deps } = run;
  const { inputs, scan, variables } = prepared;
  const present = await timeline.phase("preflight", () => check(run));
  const live = await timeline.phase("compare", () => readLive(client));
  const { wish, plan } = plannedWith(prepared, present);
  const planTable = envTable(plan, wish, inputs.adminKey);
  tell({ plan, planTable });
  checkPruned(plan, [...scan.reads, ...scan.authReads, ...scan.required]);
  deps.log.info("Variables:");
  for (const line of envLines(plan, wish, inputs.adminKey)) deps.log.info(`  ${line}`);
  const sets = [...plan.add, ...plan.change].map((name) => ({ name, value: variables.values.get(name) ?? "" }));
  if (sets.length > 0 && !inputs.dryRun) {
    await timeline.phase("env", () => setVariables(run, sets));
  }
  const pushed = await timeline.phase("deploy", () => pushThrough(prepared, client, live, deps));
  const changes = changesOf(live, pushed.facts, plan);
  tell({ changes, notes: pushed.notes, live: !inputs.dryRun });
  setOutput("changes", JSON.stringify(changes), tempOf(deps));
  for (const text of changes.breaking) deps.log.warning(`Breaking for clients: ${text}`);
  if (isEmpty(changes)) deps.log.info("Nothing that can be compared changes.");
  if (inputs.dryRun) return;
  setOutput("deployed", "true", tmpdir());
  await finish(run, plan.remove, pushed.facts.modules);
}

/** In one transaction; a cut connection leaves open whether it took place. */
async function setVariables({ client, tell }: Run, changes: readonly VariableChange[]): Promise<void> {
  try {
    await client.updateVariables(changes);
    tell({ variablesSet: true });
  } catch (error) {
    if (error instanceof BackendError && error.status === 0) {
      tell({ variablesSet: true, doubts: ["The connection broke: whether the variables were set is not known."] });
    }
    throw error;
  }
}

/** After a push that succeeded. */
async function finish(
  run: Run,
  removals: readonly string[],
  modules: ReadonlyMap<string, string> | undefined,
): Promise<void> {
  const { prepared, client, timeline, tell, deps } = run;
  await timeline.phase("overtaken", () => stillServed(run, modules));
  if (removals.length > 0) {
    await timeline.phase("prune", () => client.updateVariables(removals.map((name) => ({ name, value: null }))));
    tell({ variablesRemoved: true });
  }
  await checkAfter(prepared, client, timeline, tell, deps);
  // Another deploy may have finished while functions ran.
  if (prepared.calls.length + prepared.smoke.length > 0) await stillServed(run, modules);
}

async function stillServed({ client, tell }: Run, modules: ReadonlyMap<string, string> | undefined): Promise<void> {
  if (modules === undefined) return;
  try {
    await checkServed(client, modules);
  } catch (error) {
    if (error instanceof ActionError && error.code === "deploy-overtaken") {
      tell({ live: false, overtaken: true });
      setOutput("deployed", "false", tmpdir());
    }
    throw error;
  }
}

/** Rejects with the signal's reason as soon as it is aborted, whatever becomes of the work. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * The deploy action: checks everything, sets variables, pushes, proves that what was pushed is what is served.
 * @param startedAt when the step began, milliseconds since the epoch
 * @param cancelled aborted when the job is cancelled: what was done by then is told, and the CLI ends with the process
 */
export async function deploy(read: ReadInput, deps: Deps, startedAt: number, cancelled: AbortSignal): Promise<void> {
  const timeline = new Timeline(deps.clock, startedAt);
  let report: DeployReport = {};
  let inputs: DeployInputs | undefined;
  const tell = (facts: Partial<DeployReport>): void => {
    report = { ...report, ...facts };
  };
  setOutput("deployed", "false", tmpdir());
  try {
    inputs = readDeployInputs(read, deps.env);
    checkDeployInputs(inputs);
    const findings: Finding[] = [];
    const url = originOf(inputs.url, inputs.adminKey, findings);
    const commit = deps.env["GITHUB_SHA"]?.slice(0, 12);
    tell({
      url,
      directory: inputs.workingDirectory,
      dryRun: inputs.dryRun,
      ...(commit === undefined ? {} : { commit }),
    });
    const prepared = await prepare(inputs, deps);
    tell({ cliVersion: prepared.project.cli.version });
    const client = new DeploymentClient({ ...deps, url, adminKey: inputs.adminKey });
    await unlessAborted(cancelled, deployTo({ prepared, client, timeline, tell, findings, deps }));
    await writeSummary(deploySummary(report, timeline, deps.clock.now()));
    deps.log.info(
      inputs.dryRun
        ? "Dry run: nothing was changed."
        : `Deployed to ${url} in ${seconds(deps.clock.now() - startedAt)}.`,
    );
    await tellPullRequest(inputs, report, undefined, deps);
  } catch (error) {
    if (error instanceof PushError) {
      annotateErrors(error.annotations);
      if (error.phase === "finish" && ["backend-unreachable", "backend-failed"].includes(error.code)) {
        tell({
          doubts: ["The push was being finished: whether the new code is live is not known. Run the deploy again."],
        });
      }
    }
    const underWay = report.plan !== undefined && report.live !== true && report.dryRun !== true;
    if (cancelled.aborted && underWay) {
      tell({ doubts: ["The job was cancelled during the deploy: whether the new code is live is not known."] });
    }
    const shown =
      error instanceof ActionError
        ? error
        : new ActionError("internal", messageOf(error), REPORT_DEFECT, { cause: error });
    await writeSummary(failureSummary(shown, report, timeline));
    if (inputs !== undefined && !cancelled.aborted) await tellPullRequest(inputs, report, shown, deps);
    throw error;
  }
}
