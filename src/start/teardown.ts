import type { BackendState, TeardownStep } from "../backend/backend.ts";
import { stopBinary } from "../backend/binary-stop.ts";
import { containerLogs, stopContainer } from "../backend/docker/teardown.ts";
import { tailOf } from "../backend/log-tail.ts";
import { messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";

/** Ends what the state names and nothing else; never throws. */
export async function teardown(state: BackendState, deps: Deps): Promise<readonly TeardownStep[]> {
  try {
    if (state.runtime === "docker") return await stopContainer(state, deps);
    if (state.runtime === "binary") return await stopBinary(state, deps);
    return [];
  } catch (error) {
    return [{ what: "end the backend", error }];
  }
}

/** Warns of every step that failed, so that nobody has to find a leftover by surprise. */
export function reportTeardown(steps: readonly TeardownStep[], deps: Deps): void {
  for (const { what, error } of steps) {
    if (error === undefined) deps.log.info(`Done: ${what}.`);
    else deps.log.warning(`Could not ${what}: ${messageOf(error)}`);
  }
}

/** The newest lines of the backend's log, oldest first; unredacted. */
export async function backendLog(state: BackendState, count: number, deps: Deps): Promise<string[]> {
  return state.runtime === "binary" ? await tailOf(state.logFile, count) : await containerLogs(state, count, deps);
}
