/** Where the process meets the backend. */
import type { Booted } from "./boot.ts";
import type { Flags } from "./flags.ts";
import type { Knobs } from "./knobs.ts";
import type { Log } from "./log.ts";

/** A port that could not be bound: `Could not start backend on 127.0.0.1:3210`. */
export class BindError extends Error {
  readonly reason: string;
  constructor(service: string, address: string, cause: unknown) {
    super(`Could not start ${service} on ${address}`);
    const code: unknown = cause instanceof Error && "code" in cause ? cause.code : undefined;
    this.reason =
      code === "EADDRINUSE"
        ? "Address already in use (os error 98)"
        : code === "EADDRNOTAVAIL"
          ? "Cannot assign requested address (os error 99)"
          : code === "EACCES"
            ? "Permission denied (os error 13)"
            : String(cause);
  }
}

export interface Served {
  /** Binds the API port, then the site port. @throws BindError */
  listen(): Promise<void>;
  /** Refuses new connections at once and resolves when the open requests have been answered. */
  drain(): Promise<void>;
  close(): Promise<void>;
  /** Called at most once, when a write could not be stored. */
  onFatal(action: (cause: string) => void): void;
  /** The metadata version is up to date now. */
  migrated(): void;
}

export async function serve(
  _flags: Flags,
  _env: NodeJS.ProcessEnv,
  _booted: Booted,
  _knobs: Knobs,
  _log: Log,
): Promise<Served> {
  throw new Error("not yet");
}
