import { redactor } from "../backend/redact.ts";
import { messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { type StartState, startState } from "./state.ts";
import { backendLog, reportTeardown, teardown } from "./teardown.ts";

/** How many lines of the backend's log are shown. */
const LOG_LINES = 500;

function wantsLog(state: StartState, jobStatus: string): boolean {
  if (state.logs === "always") return true;
  return state.logs === "on-failure" && (!state.succeeded || (jobStatus !== "" && jobStatus !== "success"));
}

async function printLog(state: StartState, deps: Deps): Promise<void> {
  try {
    const lines = await backendLog(state.backend, LOG_LINES, deps);
    await deps.log.group(`The backend's last ${lines.length} log lines`, async () => {
      deps.log.foreign(lines.map(redactor([])));
    });
  } catch (error) {
    deps.log.warning(`The backend's log cannot be read: ${messageOf(error)}`);
  }
}

/**
 * The post step: shows the backend's log where it may explain a failure, then ends what the main step started.
 * @param jobStatus `success`, `failure`, `cancelled`, or empty where the runner does not tell
 */
export async function stop(jobStatus: string, deps: Deps): Promise<void> {
  const state = startState.load();
  if (state === undefined) {
    deps.log.info("Nothing was started, so there is nothing to stop.");
    return;
  }
  if (wantsLog(state, jobStatus)) await printLog(state, deps);
  reportTeardown(await teardown(state.backend, deps), deps);
}
