import { spawn } from "node:child_process";
import { StringDecoder } from "node:string_decoder";

export interface ExecOptions {
  readonly cwd?: string;
  /** The whole environment of the child; the own one when absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to the child's standard input, which is then closed. */
  readonly input?: string;
  /** Called for each line of either stream as it comes, without its line end. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
  /** The child is killed after that time; `timedOut` is then true. */
  readonly timeoutMs?: number;
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
