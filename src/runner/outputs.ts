import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportVariable, setOutput as setRunnerOutput } from "@actions/core";
import { mask } from "./mask.ts";

/** Longer outputs go to a file, whose path is then the output. */
const LONGEST_OUTPUT = 256 * 1024;

/** Sets an output; a value above 256 KiB goes to `<directory>/<name>` and the output is its path. */
export function setOutput(name: string, value: string, directory: string): void {
  if (Buffer.byteLength(value) <= LONGEST_OUTPUT) {
    setRunnerOutput(name, value);
    return;
  }
  const path = join(directory, name);
  writeFileSync(path, value, { mode: 0o600 });
  setRunnerOutput(name, path);
}

/** Sets a secret output: masked first. */
export function setSecretOutput(name: string, value: string): void {
  mask(value);
  setRunnerOutput(name, value);
}

/** Sets a variable for the later steps. */
export function exportToJob(name: string, value: string): void {
  exportVariable(name, value);
}
