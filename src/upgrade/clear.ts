import { rm } from "node:fs/promises";
import { reportTeardown, teardown } from "../start/teardown.ts";
import type { Deps } from "../system/deps.ts";
import type { UpgradeState } from "./state.ts";

/** Ends what a state names, the newest first: a volume can go only after the containers that use it. */
export async function clearBench({ backends, directory }: UpgradeState, deps: Deps): Promise<void> {
  for (const state of [...backends].reverse()) reportTeardown(await teardown(state, deps), deps);
  if (directory === undefined) return;
  try {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    reportTeardown([{ what: `remove ${directory}`, error }], deps);
  }
}
