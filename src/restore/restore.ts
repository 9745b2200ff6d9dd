import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { originOf } from "../deployment/access.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { settle } from "../deployment/findings.ts";
import type { Finding } from "../deployment/reach.ts";
import { publishReport } from "../report/publish.ts";
import { reportSummary } from "../report/summary.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { seconds, writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import { parseIdentities, parseRecipients } from "../snapshot/encrypt.ts";
import { openStore } from "../store/open.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { carryOut } from "./carry-out.ts";
import { parseChecks } from "./checks.ts";
import { type RestoreFacts, restoreReport } from "./facts.ts";
import { readRestoreInputs } from "./inputs.ts";
import { exceeded } from "./objectives.ts";
import { checkRestoreInputs, checkStores } from "./rules.ts";
import type { Run } from "./run.ts";
import { StateKeeper } from "./state.ts";

/** Reads and checks all that can be known without a call. @throws ActionError for every bad input */
function prepare(read: ReadInput, timeline: Timeline, tell: Run["tell"], told: Run["told"], deps: Deps): Run {
  const workspace = deps.env["GITHUB_WORKSPACE"] ?? process.cwd();
  const inputs = readRestoreInputs(read, deps.env, workspace);
  const [, encrypted] = inputs.adminKey.split("|");
  if (encrypted !== undefined) deps.log.mask(encrypted);
  const identities = inputs.identity === undefined ? [] : parseIdentities(inputs.identity);
  for (const identity of identities) deps.log.mask(identity);
  checkRestoreInputs(inputs);
  checkStores(inputs);
  const recipients = parseRecipients(inputs.recipients);
  const checks = parseChecks(inputs.checks);
  const findings: Finding[] = [];
  const url = originOf(inputs.url, inputs.adminKey, findings);
  settle(findings, deps.log);
  const settings = { destination: inputs.source, ...inputs };
  const store = openStore(settings, deps, inputs.githubToken);
  tell({ url, location: store.location, verify: inputs.verify });
  const client = new DeploymentClient({ ...deps, url, adminKey: inputs.adminKey });
  const keeper = new StateKeeper(url);
  return { inputs, identities, recipients, checks, client, store, timeline, keeper, tell, told, deps };
}

/** A directory of ours for the decrypted backup; in the state before it exists, gone with the step. */
async function withDirectory<T>(run: Run, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = join(tempOf(run.deps), `convex-restore-${randomBytes(6).toString("hex")}`);
  run.keeper.set({ directory });
  await mkdir(directory, { mode: 0o700 });
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * The restore action: fetches a backup and proves it, pauses the target, imports, proves what is there then, and sets
 * the target back.
 * @param startedAt when the step began, milliseconds since the epoch
 */
export async function restore(read: ReadInput, deps: Deps, startedAt: number): Promise<void> {
  const timeline = new Timeline(deps.clock, startedAt);
  let facts: RestoreFacts = {};
  const tell = (more: Partial<RestoreFacts>): void => {
    facts = { ...facts, ...more };
  };
  setOutput("verified", "false", tmpdir());
  let failure: unknown;
  let run: Run | undefined;
  try {
    run = prepare(read, timeline, tell, () => facts, deps);
    const begun = run;
    await withDirectory(begun, (directory) => carryOut(begun, directory));
    failure = exceeded(facts.objectives ?? []);
  } catch (error) {
    failure = error;
  }
  if (run !== undefined && run.keeper.now.was === undefined) run.keeper.set({ settled: true });
  await report(facts, timeline, failure, deps);
  if (failure !== undefined) throw failure;
  deps.log.info(`Restored and verified in ${seconds(deps.clock.now() - startedAt)}.`);
}

/** Tells what there is to tell, whatever came of it; a report that cannot be written does not hide why. */
async function report(facts: RestoreFacts, timeline: Timeline, failure: unknown, deps: Deps): Promise<void> {
  const temp = tempOf(deps);
  setOutput("verified", facts.verified === true ? "true" : "false", temp);
  for (const { name, seconds: value } of facts.objectives ?? []) {
    setOutput(name === "RTO" ? "rto-seconds" : "rpo-seconds", String(value), temp);
  }
  const shown =
    failure === undefined || failure instanceof ActionError
      ? failure
      : new ActionError("internal", messageOf(failure), REPORT_DEFECT);
  const times = { startedAt: timeline.start, endedAt: deps.clock.now(), phases: timeline.phases() };
  const made = restoreReport(facts, times, shown);
  try {
    // A mistake in the inputs is no restore, and no report of one.
    if (facts.manifest !== undefined) {
      const { html } = await publishReport(made, temp, deps);
      setOutput("report", html, temp);
    }
  } catch (error) {
    deps.log.warning(`The report could not be written: ${messageOf(error)}`);
  }
  await writeSummary(reportSummary(made, shown));
}
