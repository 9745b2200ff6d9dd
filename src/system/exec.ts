import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export interface ExecOptions {
  readonly cwd?: string;
  /** The whole environment of the child; the own one when absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to the child's standard input, which is then closed. */
  readonly input?: string;
  /** Called for each line of either stream as it comes, without its line end. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
  /** The child and what it started are killed after that time; `timedOut` is then true. */
  readonly timeoutMs?: number;
  /** Kills likewise, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  /** The exit code, or 128 + signal number as a shell would show it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface Exec {
  /** Resolves whatever the exit code is; rejects only when the program cannot be started. */
  run(command: string, args: readonly string[], options?: ExecOptions): Promise<ExecResult>;
}

function collect(stream: Readable, onLine: ((line: string) => void) | undefined): { text(): string } {
  const lines: string[] = [];
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
    lines.push(line);
    onLine?.(line);
  });
  return { text: () => lines.join("\n") };
}

// A cancelled job ends this process; what it runs must not go on working at the user's deployment.
const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) killTree(child);
});

/** Ends a child with all that it started: each child leads a process group (Windows has none, and ends the child alone). */
function killTree(child: ChildProcess): void {
  try {
    if (process.platform === "win32" || child.pid === undefined) child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

export const systemExec: Exec = {
  run: (command, args, options = {}) =>
    new Promise((resolve, reject) => {
      const child = spawn(command, args, {
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: options.env === undefined ? process.env : { ...options.env },
        stdio: ["pipe", "pipe", "pipe"],
        windowsHide: true,
        detached: process.platform !== "win32",
      });
      children.add(child);
      let timedOut = false;
      const timer =
        options.timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              timedOut = true;
              killTree(child);
            }, options.timeoutMs);
      const aborted = (): void => killTree(child);
      options.signal?.addEventListener("abort", aborted, { once: true });
      const { onLine } = options;
      const stdout = collect(child.stdout, onLine === undefined ? undefined : (line) => onLine(line, "stdout"));
      const stderr = collect(child.stderr, onLine === undefined ? undefined : (line) => onLine(line, "stderr"));
      child.stdin.on("error", () => {
        // The child ended without reading its input; its exit code tells the rest.
      });
      child.stdin.end(options.input ?? "");
      const over = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", aborted);
        children.delete(child);
      };
      child.on("error", (error) => {
        over();
        reject(error);
      });
      child.on("close", (code, signal) => {
        over();
        if (options.signal?.aborted === true) {
          reject(options.signal.reason);
          return;
        }
        const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
        resolve({ exitCode, stdout: stdout.text(), stderr: stderr.text(), timedOut });
      });
    }),
};
