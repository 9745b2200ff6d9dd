import type { Clock } from "./clock.ts";
import type { Exec } from "./exec.ts";
import type { Http } from "./http.ts";

/** Where progress is told. `runner/log.ts` writes to the job's log, tests collect. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  notice(message: string): void;
  warning(message: string): void;
  /** Runs `work` in one collapsible group. */
  group<T>(title: string, work: () => Promise<T>): Promise<T>;
  /** Prints foreign lines (backend, functions, CLI) so that no line of theirs is taken for a workflow command. */
  foreign(lines: readonly string[]): void;
  /** Masks a value and its derived forms in everything printed from now on. */
  mask(secret: string): void;
}

/** What domain code needs from the machine. Everything else it gets as arguments, and it returns data. */
export interface Deps {
  readonly exec: Exec;
  readonly http: Http;
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  /** `process.arch`: `x64`, `arm64`, … */
  readonly arch: string;
}
