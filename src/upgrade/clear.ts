import { rm } from "node:fs/promises";
import type { BackendState } from "../backend/backend.ts";
import { reportTeardown, teardown } from "../start/teardown.ts";
import type { Deps } from "../system/deps.ts";
import type { UpgradeState } from "./state.ts";

/**
 * Ends what a state names, the newest first: a volume can go only after the containers that use it.
 * @returns what could not be ended, and is to be tried again
 */
export async function clearBench({ backends, directory }: UpgradeState, deps: Deps): Promise<readonly BackendState[]> {
  const left: BackendState[] = [];
  for (const state of [...backends].reverse()) {
    const steps = await teardown(state, deps);
    reportTeardown(steps, deps);
    if (steps.some(({ error }) => error !== undefined)) left.unshift(state);
  }
  if (directory === undefined) return left;
  try {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    reportTeardown([{ what: `remove ${directory}`, error }], deps);
  }
  return left;
}
