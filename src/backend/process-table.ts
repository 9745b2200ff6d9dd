import { readdirSync, readFileSync } from "node:fs";
import type { Deps } from "../system/deps.ts";

/** Variables that mark the processes we start; children inherit them. */
export const OWNER_VARIABLE = "CONVEX_ACTION_OWNER";
export const JOB_VARIABLE = "CONVEX_ACTION_JOB";
export const STEP_VARIABLE = "CONVEX_ACTION_STEP";
export const DIRECTORY_VARIABLE = "CONVEX_ACTION_DIRECTORY";

/** A process with our mark. */
export interface MarkedProcess {
  readonly pid: number;
  readonly group: number;
  readonly owner: string;
  /** As `jobProcess` wrote it. */
  readonly job?: string;
  /** `github.action` of the step that started it. */
  readonly step?: string;
  readonly directory?: string;
}

/** What is known about processes without owning them. On Windows environments cannot be read: `marked` is empty there. */
export interface ProcessTable {
  /** Tells one life of a pid from the next; undefined when no such process runs (a zombie does not). */
  startTime(pid: number): Promise<string | undefined>;
  marked(): Promise<MarkedProcess[]>;
}

type Machine = Pick<Deps, "exec" | "platform">;

export function processTable(machine: Machine): ProcessTable {
  switch (machine.platform) {
    case "linux":
      return { startTime: async (pid) => linuxStartTime(pid), marked: async () => linuxMarked() };
    case "win32":
      return { startTime: (pid) => windowsStartTime(pid, machine), marked: async () => [] };
    default:
      return { startTime: (pid) => psStartTime(pid, machine), marked: () => psMarked(machine) };
  }
}

/** State, group and start time of proc(5)'s stat; the command before them may hold blanks and brackets. */
function linuxStat(pid: number): { group: number; start: string } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, , group] = fields;
  const start = fields[19];
  if (state === undefined || group === undefined || start === undefined || "ZX".includes(state)) return undefined;
  return { group: Number(group), start };
}

let bootId: string | undefined;

/** Boot id and clock ticks since that boot. Synchronous, so that no moment lies between a spawn and the saved state. */
export function linuxStartTime(pid: number): string | undefined {
  const stat = linuxStat(pid);
  if (stat === undefined) return undefined;
  bootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${bootId}:${stat.start}`;
}

function marksOf(environment: readonly string[], pid: number, group: number): MarkedProcess | undefined {
  const value = (name: string): string | undefined => {
    const found = environment.find((entry) => entry.startsWith(`${name}=`));
    return found?.slice(name.length + 1);
  };
  const owner = value(OWNER_VARIABLE);
  const job = value(JOB_VARIABLE);
  const step = value(STEP_VARIABLE);
  const directory = value(DIRECTORY_VARIABLE);
  if (owner === undefined || owner === "") return undefined;
  return {
    pid,
    group,
    owner,
    ...(job === undefined ? {} : { job }),
    ...(step === undefined ? {} : { step }),
    ...(directory === undefined ? {} : { directory }),
  };
}

function linuxMarked(): MarkedProcess[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const pid = Number(name);
    let environment: string;
    try {
      // latin1: an environment is bytes, and our own values are ASCII.
      environment = readFileSync(`/proc/${name}/environ`, "latin1");
    } catch {
      return [];
    }
    if (!environment.includes(`${OWNER_VARIABLE}=`)) return [];
    const stat = linuxStat(pid);
    const marked = stat === undefined ? undefined : marksOf(environment.split("\0"), pid, stat.group);
    return marked === undefined ? [] : [marked];
  });
}

async function psStartTime(pid: number, { exec }: Machine): Promise<string | undefined> {
  const { stdout } = await exec.run("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
    env: { PATH: "/bin:/usr/bin", LC_ALL: "C" },
    timeoutMs: 5000,
  });
  const [, state, start] = /^\s*(\S+)\s+(\S.*?)\s*$/.exec(stdout) ?? [];
  return state === undefined || state.startsWith("Z") ? undefined : start;
}

/** `ps -E` appends the environment to the command; other users' environments are not shown. */
async function psMarked({ exec }: Machine): Promise<MarkedProcess[]> {
  const { stdout } = await exec.run("ps", ["-axwwE", "-o", "pid=,pgid=,state=,command="], {
    env: { PATH: "/bin:/usr/bin", LC_ALL: "C" },
    timeoutMs: 5000,
  });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, group, state, rest] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || group === undefined || state?.startsWith("Z") === true) return [];
    const marked = marksOf((rest ?? "").split(" "), Number(pid), Number(group));
    return marked === undefined ? [] : [marked];
  });
}

async function windowsStartTime(pid: number, { exec }: Machine): Promise<string | undefined> {
  const script = `$p = Get-Process -Id ${pid} -ErrorAction SilentlyContinue; if ($p) { $p.StartTime.ToUniversalTime().Ticks }`;
  const { stdout } = await exec.run("powershell", ["-NoProfile", "-NonInteractive", "-Command", script], {
    timeoutMs: 20_000,
  });
  return /^\d+$/.test(stdout.trim()) ? stdout.trim() : undefined;
}

/**
 * The process that lives as long as this job, as `<pid>@<start time>` without blanks: the parent of the action's process,
 * which is the runner's worker. Undefined where that cannot be told (in a job's container the parent lies outside; on
 * Windows marks cannot be read back): what carries no such mark is never taken for a leftover.
 */
export async function jobProcess(machine: Machine, pid: number = process.ppid): Promise<string | undefined> {
  if (machine.platform === "win32" || pid <= 1) return undefined;
  const start = await processTable(machine).startTime(pid);
  return start === undefined ? undefined : `${pid}@${start.replaceAll(/\s+/g, "_")}`;
}

/** Whether the job that `jobProcess` named still runs; undefined when that cannot be told here. */
export async function jobIsAlive(job: string, machine: Machine): Promise<boolean | undefined> {
  const pid = /^(\d+)@./.exec(job)?.[1];
  if (machine.platform === "win32" || pid === undefined) return undefined;
  return (await jobProcess(machine, Number(pid))) === job;
}
