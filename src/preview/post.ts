import { existsSync } from "node:fs";
import { messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { endConnection } from "./ssh/leftover.ts";
import { previewState } from "./state.ts";

/** The post step: only a main step that was killed leaves something, the key's file and an open connection. */
export async function post(deps: Deps): Promise<void> {
  const state = previewState.load();
  if (state === undefined || !existsSync(state.folder)) return;
  try {
    await endConnection(state.folder, deps);
    deps.log.info("Ended the SSH connection that the main step left open, and removed its key.");
  } catch (error) {
    deps.log.warning(`The SSH connection of the main step could not be ended: ${messageOf(error)}`);
  }
}
