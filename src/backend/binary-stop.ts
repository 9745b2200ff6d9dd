import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { TeardownStep } from "./backend.ts";
import { type BinaryState, OWNER_FILE } from "./binary.ts";
import { type ProcessTable, processTable } from "./process-table.ts";

type Machine = Pick<Deps, "exec" | "platform" | "clock">;

/** After the first SIGINT the backend serves what it has begun (contract 1.6): worth the time only where data is kept. */
const PATIENCE_MS = 1000;
const PATIENCE_WITH_DATA_MS = 10_000;
const AFTER_SECOND_MS = 1000;
const AFTER_KILL_MS = 5000;

/**
 * Ends a backend that `startBinary` started, in this process or an earlier one, and removes its directory. A pid is
 * only touched when start time or our variable prove it ours.
 * @returns what was done; a step that failed carries its error, and kept none of the others
 */
export async function stopBinary(state: BinaryState, deps: Machine): Promise<TeardownStep[]> {
  const table = processTable(deps);
  const steps: TeardownStep[] = [];
  const step = async (what: string, work: () => Promise<boolean>): Promise<void> => {
    try {
      if (await work()) steps.push({ what });
    } catch (error) {
      steps.push({ what, error });
    }
  };
  let leader: number | undefined;
  await step("stop the backend", async () => {
    leader = await findBackend(state, table, deps);
    if (leader === undefined) return false;
    await endProcess(leader, state, table, deps);
    return true;
  });
  await step("end what the backend started", () => endRest(state.owner, leader, table, deps));
  await step(`remove ${state.directory}`, () => removeOwned(state.directory, state.owner));
  return steps;
}

/** The backend's pid if it still runs and is ours. */
async function findBackend(state: BinaryState, table: ProcessTable, deps: Machine): Promise<number | undefined> {
  const { pid, startTime } = state;
  if (pid !== undefined && startTime !== undefined) {
    return (await table.startTime(pid)) === startTime ? pid : undefined;
  }
  // The action was ended before it knew pid or start time: our variable tells the process.
  const mine = (await table.marked()).filter(({ owner }) => owner === state.owner);
  const leader = mine.find((process) => process.pid === process.group);
  if (leader !== undefined || pid === undefined || deps.platform !== "win32") return leader?.pid;
  // Windows shows no variables, and the pid is at most a second younger than the state that lacks its start time.
  return (await table.startTime(pid)) === undefined ? undefined : pid;
}

async function endProcess(pid: number, state: BinaryState, table: ProcessTable, deps: Machine): Promise<void> {
  if (deps.platform === "win32") {
    // Windows has no SIGINT for a process without console; ending it loses nothing acknowledged (contract 1.6).
    await deps.exec.run("taskkill", ["/PID", String(pid), "/T", "/F"], { timeoutMs: 10_000 });
    if (await waitForEnd(pid, state, AFTER_KILL_MS, table, deps)) return;
    throw new Error(`process ${pid} still runs after taskkill`);
  }
  const patience = state.keepsData ? PATIENCE_WITH_DATA_MS : PATIENCE_MS;
  const signals = [
    ["SIGINT", patience],
    ["SIGINT", AFTER_SECOND_MS],
    ["SIGKILL", AFTER_KILL_MS],
  ] as const;
  for (const [signal, waitMs] of signals) {
    send(pid, signal);
    if (await waitForEnd(pid, state, waitMs, table, deps)) return;
  }
  throw new Error(`process ${pid} still runs after SIGKILL`);
}

/** To a process that may have ended meanwhile; a negative pid is a group. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}

async function waitForEnd(
  pid: number,
  state: BinaryState,
  ms: number,
  table: ProcessTable,
  { clock, platform }: Machine,
): Promise<boolean> {
  // Only Linux tells a start time without a process of its own; elsewhere the pid is asked after.
  const runs = async (): Promise<boolean> => {
    if (platform !== "linux") return exists(pid);
    const start = await table.startTime(pid);
    return start !== undefined && (state.startTime === undefined || start === state.startTime);
  };
  const until = clock.now() + ms;
  let pause = 5;
  while (await runs()) {
    if (clock.now() >= until) return false;
    await clock.sleep(pause);
    pause = Math.min(50, pause * 1.5);
  }
  return true;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
}

/** The Node child outlives a killed backend (contract 1.6): ends the group whose leader was ours, and all that carries our mark. */
async function endRest(
  owner: string,
  leader: number | undefined,
  table: ProcessTable,
  deps: Machine,
): Promise<boolean> {
  if (deps.platform === "win32") return false;
  const rest = (await table.marked()).filter((process) => process.owner === owner);
  if (leader !== undefined) send(-leader, "SIGKILL");
  for (const { pid } of rest) send(pid, "SIGKILL");
  return rest.length > 0;
}

/** Removes a directory of ours; one that lacks our mark is not touched. */
async function removeOwned(directory: string, owner: string): Promise<boolean> {
  let mark: string;
  try {
    mark = await readFile(join(directory, OWNER_FILE), "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
  if (mark !== owner) throw new Error(`${directory} belongs to ${mark}`);
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  return true;
}

/** Ends every process with that owner, and removes its directory; for leftovers of other runs. */
export async function endOwned(owner: string, directory: string | undefined, deps: Machine): Promise<void> {
  const table = processTable(deps);
  for (let tries = 0; tries < 100 && (await endRest(owner, undefined, table, deps)); tries++) {
    await deps.clock.sleep(20);
  }
  if (directory !== undefined) await removeOwned(directory, owner);
}
