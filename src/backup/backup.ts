import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkAccess, originOf } from "../deployment/access.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { settle } from "../deployment/findings.ts";
import type { Finding } from "../deployment/reach.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { mask } from "../runner/mask.ts";
import { sizeText } from "../runner/meter.ts";
import { setOutput } from "../runner/outputs.ts";
import { visibilityOf } from "../runner/repository.ts";
import { seconds, writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import { checkProcessor } from "../snapshot/examination.ts";
import { openStore } from "../store/open.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { strangeTo } from "./belonging.ts";
import { Heartbeat, readHeartbeatUrl } from "./heartbeat.ts";
import { newBackupId } from "./id.ts";
import { type BackupInputs, readBackupInputs } from "./inputs.ts";
import { removeStored } from "./keep.ts";
import { makeBackup } from "./make.ts";
import { type Manifest, manifestBytes } from "./manifest.ts";
import { prune } from "./prune.ts";
import { checkBackupInputs } from "./rules.ts";
import type { Run } from "./run.ts";
import { type BackupState, backupState } from "./state.ts";
import { type BackupReport, backupSummary, failureSummary, some } from "./summary.ts";

/** Wrong credentials or a wrong bucket are told before the backend is asked for anything. */
async function checkStore({ store, id }: Run): Promise<void> {
  try {
    await store.list(`${id}/`);
  } catch (error) {
    // A folder is made by the first object in it.
    if (!(error instanceof ActionError && error.code === "store-missing")) throw error;
  }
}

async function checkDeployment(run: Run, url: string, findings: Finding[]): Promise<void> {
  const { inputs, client, deps, timeline, tell } = run;
  await timeline.phase("check", async () => {
    const stored = checkStore(run);
    // What is already wrong with the form of the key would only be said twice.
    const formed = findings.every(({ level }) => level !== "error");
    const [found] = await Promise.all([formed ? checkAccess(client, inputs.adminKey, deps.http) : [], stored]);
    findings.push(...found);
  });
  tell({ findings });
  settle(findings, deps.log);
  deps.log.info(`Backing up ${url} to ${run.store.location} as ${run.id}.`);
}

/** What is old goes only now, when the new backup was seen to be good. */
async function tidy({ inputs, store, id, timeline, tell, deps }: Run, manifest: Manifest): Promise<void> {
  const request = { rule: inputs.keep, mode: inputs.prune, justMade: id, strange: strangeTo(store, manifest) };
  try {
    const pruned = await timeline.phase("prune", () => prune(store, request, deps));
    tell({ pruned, pruneMode: inputs.prune });
  } catch (error) {
    const text = `The backup is complete, but old ones could not be removed: ${messageOf(error)}`;
    tell({ warnings: [text] });
    deps.log.warning(text);
  }
}

async function setOutputs({ id, store, client, deps }: Run, manifest: Manifest): Promise<void> {
  const directory = tempOf(deps);
  const path = join(directory, `backup-${id}.json`);
  await writeFile(path, manifestBytes(manifest), { mode: 0o600 });
  const [snapshot] = manifest.objects;
  setOutput("backup-id", id, directory);
  setOutput("url", client.url, directory);
  setOutput("location", `${store.location}/${id}`, directory);
  setOutput("manifest", path, directory);
  setOutput("documents", String(manifest.snapshot.documents), directory);
  setOutput("bytes", String(snapshot?.bytes ?? 0), directory);
  setOutput("sha256", snapshot?.sha256 ?? "", directory);
}

/** From checked inputs to a verified backup; whatever fails leaves nothing in the store. */
async function backUp(run: Run): Promise<Manifest> {
  let manifest: Manifest;
  try {
    manifest = await makeBackup(run);
  } catch (error) {
    run.tell({ leftOver: !(await removeStored(run)) });
    throw error;
  }
  run.save({ complete: true });
  run.tell({ manifest });
  await setOutputs(run, manifest);
  for (const { level, where, message } of manifest.snapshot.findings) {
    if (level === "warning") run.deps.log.warning(`${where}: ${message}`);
  }
  await tidy(run, manifest);
  return manifest;
}

/** What is known before a run can begin. */
interface Beginning {
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<BackupReport>) => void;
  readonly signal: AbortSignal;
  readonly deps: Deps;
}

/** @param save told of the folder before it is there */
async function inPrivate<T>(
  save: (facts: Pick<BackupState, "directory">) => void,
  deps: Deps,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = join(tempOf(deps), `convex-backup-${randomBytes(6).toString("hex")}`);
  save({ directory });
  await mkdir(directory, { mode: 0o700 });
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runWith(inputs: BackupInputs, { timeline, tell, signal, deps }: Beginning): Promise<Manifest> {
  const warnings = checkBackupInputs(inputs, visibilityOf(deps.env));
  for (const warning of warnings) deps.log.warning(warning);
  checkProcessor();
  const findings: Finding[] = [];
  const url = originOf(inputs.url, inputs.adminKey, findings);
  const store = openStore(inputs.store, deps, inputs.githubToken);
  const id = newBackupId(new Date(deps.clock.now()));
  let state: BackupState = { backupId: id, directory: "", ended: false };
  const save = (facts: Partial<BackupState>): void => {
    state = { ...state, ...facts };
    backupState.save(state);
  };
  try {
    return await inPrivate(save, deps, async (directory) => {
      const client = new DeploymentClient({ ...deps, url, adminKey: inputs.adminKey });
      const startedAt = deps.clock.now();
      const run: Run = { inputs, id, startedAt, client, store, directory, timeline, tell, save, signal, deps };
      await checkDeployment(run, url, findings);
      tell({ id, location: store.location, warnings });
      return await backUp(run);
    });
  } finally {
    // Behind the removal of the private folder: who is killed before it leaves that to the post step.
    save({ ended: true });
  }
}

/**
 * The backup action: snapshot, encryption, store, inspection, manifest, retention, heartbeat.
 * @param startedAt when the step began, milliseconds since the epoch
 * @param signal aborted when the job is cancelled
 */
export async function backup(read: ReadInput, deps: Deps, startedAt: number, signal: AbortSignal): Promise<void> {
  const timeline = new Timeline(deps.clock, startedAt);
  let report: BackupReport = {};
  const tell = (facts: Partial<BackupReport>): void => {
    const warnings = [...(report.warnings ?? []), ...(facts.warnings ?? [])];
    report = { ...report, ...facts, warnings };
  };
  // First of all, so that the monitor hears of wrong inputs too.
  const heartbeat = new Heartbeat(readHeartbeatUrl(new Inputs(read), mask), deps);
  heartbeat.start();
  try {
    const inputs = readBackupInputs(read, deps.env);
    const manifest = await runWith(inputs, { timeline, tell, signal, deps });
    const { documents, files } = manifest.snapshot;
    const bytes = manifest.objects.reduce((sum, object) => sum + object.bytes, 0);
    const text = `${manifest.id}: ${some(documents, "document")}, ${some(files, "file")}, ${sizeText(bytes)}`;
    await Promise.all([
      heartbeat.end({ kind: "complete", text }),
      writeSummary(backupSummary(report, timeline, deps.clock.now())),
    ]);
    deps.log.info(`Backup ${text}, made and verified in ${seconds(deps.clock.now() - startedAt)}.`);
  } catch (error) {
    const text = error instanceof ActionError ? error.text : messageOf(error);
    await Promise.all([
      heartbeat.end({ kind: "failed", text }),
      error instanceof ActionError ? writeSummary(failureSummary(error, report, timeline)) : undefined,
    ]);
    throw error;
  }
}
