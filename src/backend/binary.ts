import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ActionError, systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { makeFolders } from "../system/folders.ts";
import type { BackendSpec, BackendState, Ended, RunningBackend, SaveState } from "./backend.ts";
import { type Addresses, backendArguments, backendEnvironment, type Layout, layoutOf } from "./binary-command.ts";
import { choosePorts, lostPort } from "./binary-ports.ts";
import { dataUnusable, passData, takeData } from "./data-lock.ts";
import { fullDisk } from "./disk-space.ts";
import { tailOf } from "./log-tail.ts";
import { nodePath } from "./node-path.ts";
import {
  DIRECTORY_VARIABLE,
  JOB_VARIABLE,
  jobProcess,
  linuxStartTime,
  OWNER_VARIABLE,
  processTable,
  STEP_VARIABLE,
} from "./process-table.ts";

export type BinaryState = Extract<BackendState, { runtime: "binary" }>;

export interface BinaryPlace {
  /** The backend's binary. */
  readonly executable: string;
  /** `[A-Za-z0-9._-]+`, unique to this step: names the directory and marks the process. */
  readonly owner: string;
  /** RUNNER_TEMP. */
  readonly temp: string;
}

/** In our directory: proves at the end that it is ours. */
export const OWNER_FILE = "owner";

/** How often other ports are tried when somebody takes ours between the choice and the start. */
const PORT_ATTEMPTS = 4;

/**
 * Starts the release binary as a process of its own group that outlives this one (contract 1.1, 1.6). Returns as soon
 * as it runs (on chosen ports: after 300 ms at most, see `lostPort`); whether it is ready is `waitUntilReady`'s to say. The state is saved before anything is made.
 * @throws ActionError `port-taken`, `port-forbidden`, `binary-unfit`, `data-in-use`
 */
export async function startBinary(
  spec: BackendSpec,
  place: BinaryPlace,
  save: SaveState,
  deps: Deps,
): Promise<RunningBackend> {
  const layout = layoutOf(spec, place.temp, place.owner);
  const state: BinaryState = {
    runtime: "binary",
    owner: place.owner,
    directory: layout.directory,
    keepsData: spec.data !== undefined,
    logFile: layout.logFile,
  };
  save(state);
  const [node, marks] = await Promise.all([
    nodePath(deps),
    marksOf(place, layout, deps),
    prepare(spec, layout, place.owner, deps),
  ]);
  if (node.warning !== undefined) deps.log.warning(node.warning);
  const env = backendEnvironment(spec, layout, node.path, marks, deps.env);
  for (let attempt = 1; ; attempt++) {
    const addresses = await choosePorts(spec, deps);
    const backend = await launch(spec, place, layout, addresses, env, state, save, deps);
    const chosen = spec.port === 0 || spec.sitePort === 0;
    if (!chosen || attempt === PORT_ATTEMPTS || !(await lostPort(backend, addresses, deps))) return backend;
    deps.log.info(`Another process took port ${addresses.port} or ${addresses.sitePort} meanwhile; trying others.`);
  }
}

async function prepare(spec: BackendSpec, layout: Layout, owner: string, deps: Deps): Promise<void> {
  await mkdir(layout.directory, { mode: 0o700 });
  await writeFile(join(layout.directory, OWNER_FILE), owner, { mode: 0o600 });
  await mkdir(layout.temp, { mode: 0o700 });
  try {
    makeFolders(layout.data, 0o700);
  } catch (error) {
    throw spec.data === undefined ? error : dataUnusable(layout.data, error);
  }
  if (spec.data === undefined) return;
  const table = processTable(deps);
  const startTime = (await table.startTime(process.pid)) ?? "";
  await takeData(spec.data, { owner, pid: process.pid, startTime }, table);
}

async function marksOf(place: BinaryPlace, layout: Layout, deps: Deps): Promise<Record<string, string>> {
  const job = await jobProcess(deps);
  const step = deps.env["GITHUB_ACTION"];
  return {
    [OWNER_VARIABLE]: place.owner,
    [DIRECTORY_VARIABLE]: layout.directory,
    ...(job === undefined ? {} : { [JOB_VARIABLE]: job }),
    ...(step === undefined ? {} : { [STEP_VARIABLE]: step }),
  };
}

async function launch(
  spec: BackendSpec,
  place: BinaryPlace,
  layout: Layout,
  addresses: Addresses,
  env: Record<string, string>,
  state: BinaryState,
  save: SaveState,
  deps: Deps,
): Promise<RunningBackend> {
  const log = await open(layout.logFile, "a", 0o600);
  let child: Child;
  try {
    child = spawnDetached(place.executable, backendArguments(spec, layout, addresses), layout.directory, env, log.fd);
    const { pid } = child.process;
    if (pid !== undefined) save(withStart(state, pid, deps));
  } finally {
    await log.close();
  }
  const { pid } = child.process;
  if (pid === undefined) throw await child.failed;
  const startTime = await processTable(deps).startTime(pid);
  if (startTime !== undefined) {
    if (deps.platform !== "linux") save({ ...state, pid, startTime });
    if (spec.data !== undefined) await passData(spec.data, { owner: place.owner, pid, startTime });
  }
  const { url, siteUrl, cloudOrigin, siteOrigin } = addresses;
  return {
    url,
    siteUrl,
    cloudOrigin,
    siteOrigin,
    pid,
    ended: child.ended,
    logs: (count) => logOf(child, layout, count),
    detach: () => child.process.unref(),
  };
}

async function logOf(child: Child, layout: Layout, count: number): Promise<string[]> {
  const lines = await tailOf(layout.logFile, count);
  const { exitCode, signalCode } = child.process;
  if (exitCode === null && signalCode === null) return lines;
  const full = await fullDisk([layout.directory, layout.data, layout.temp]);
  return full === undefined ? lines : [...lines, full].slice(-count);
}

interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Why it could not be started, where it has no pid. */
  readonly failed: Promise<ActionError>;
}

/** Listens from the very start: the process may end, or fail to start, before the caller looks. */
function spawnDetached(
  executable: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
  log: number,
): Child {
  let child: ChildProcess;
  try {
    // A group of its own: the Node child of the backend outlives it otherwise (contract 1.6).
    child = spawn(executable, args, { cwd, env, detached: true, stdio: ["ignore", log, log], windowsHide: true });
  } catch (error) {
    throw unfit(executable, error);
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal, outOfMemory: false }));
  });
  const failed = new Promise<ActionError>((resolve) => {
    child.once("error", (error) => resolve(unfit(executable, error)));
  });
  return { process: child, ended, failed };
}

/** Without waiting: between the spawn and this state lies no moment at which the action could be ended. */
function withStart(state: BinaryState, pid: number, deps: Deps): BinaryState {
  const startTime = deps.platform === "linux" ? linuxStartTime(pid) : undefined;
  return { ...state, pid, ...(startTime === undefined ? {} : { startTime }) };
}

/** Without its cause: Node puts the arguments into it, and the secret is among them. */
function unfit(executable: string, error: unknown): ActionError {
  const code = systemCode(error) ?? "no reason given";
  const foreign = code === "ENOEXEC" || code === "UNKNOWN" || (code === "ENOENT" && existsSync(executable));
  return new ActionError(
    "binary-unfit",
    foreign
      ? `${executable} cannot run on this system: it is made for another processor or another C library (release binaries want glibc).`
      : `${executable} cannot be started: ${code}.`,
    foreign ? "Use a runner image with glibc, or runtime: docker." : "Check binary-path and its rights.",
  );
}
