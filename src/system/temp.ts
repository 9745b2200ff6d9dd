import { tmpdir } from "node:os";
import type { Deps } from "./deps.ts";

/** The folder for what ends with the job: the runner empties it before and after each one. */
export function tempOf({ env }: Pick<Deps, "env">): string {
  return env["RUNNER_TEMP"] ?? tmpdir();
}
