import type { Deps } from "../system/deps.ts";
import { clearBench } from "./clear.ts";
import { upgradeState } from "./state.ts";

/** The post step: ends and removes what a step that was cut short left behind. */
export async function upgradePost(deps: Deps): Promise<void> {
  const state = upgradeState.load();
  if (state === undefined || (state.backends.length === 0 && state.directory === undefined)) {
    deps.log.info("There is nothing to end.");
    return;
  }
  await clearBench(state, deps);
}
