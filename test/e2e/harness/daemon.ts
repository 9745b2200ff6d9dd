import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process that runs beside the tests, its output in a file. */
export interface Daemon {
  readonly name: string;
  readonly child: ChildProcess;
  readonly logFile: string;
  /** Asks it to end and resolves once it has. */
  stop(): Promise<void>;
}

export function startDaemon(name: string, command: readonly string[], logFile: string, env = process.env): Daemon {
  const log = openSync(logFile, "a");
  const [file = "", ...args] = command;
  const child = spawn(file, args, { stdio: ["ignore", log, log], env });
  const ended = new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("exit", () => resolve());
  });
  return {
    name,
    child,
    logFile,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Polls `probe` until it is true; an error of `probe` counts as not yet. */
export async function until(what: string, probe: () => Promise<boolean> | boolean, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < end) {
    try {
      if (await probe()) return;
    } catch (error) {
      last = error;
    }
    await delay(20);
  }
  throw new Error(`${what}: not within ${timeoutMs / 1000} s`, { cause: last });
}

/** As `until`, and ends at once with the log when the daemon has died. */
export async function ready(daemon: Daemon, probe: () => Promise<boolean> | boolean): Promise<Daemon> {
  const gone = (): boolean => daemon.child.exitCode !== null || daemon.child.signalCode !== null;
  let up = false;
  await until(`${daemon.name} is ready`, async () => {
    if (gone()) return true;
    up = await probe();
    return up;
  });
  if (!up) throw new Error(`${daemon.name} ended:\n${readFileSync(daemon.logFile, "utf8").slice(-2000)}`);
  return daemon;
}
