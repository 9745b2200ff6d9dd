import { rm } from "node:fs/promises";
import { originOf } from "../deployment/access.ts";
import { DeploymentClient } from "../deployment/client.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { discardExport } from "../snapshot/export.ts";
import { openStore } from "../store/open.ts";
import type { Deps } from "../system/deps.ts";
import { Heartbeat } from "./heartbeat.ts";
import { readBackupInputs } from "./inputs.ts";
import { removeStored } from "./keep.ts";
import { backupState } from "./state.ts";

/**
 * The post step. The main step cleans up after itself; where it was killed before that, its files, its export on the
 * backend and its half of a backup are still there.
 */
export async function clean(read: ReadInput, deps: Deps): Promise<void> {
  const state = backupState.load();
  if (state === undefined || state.ended) return;
  deps.log.info(`The backup ${state.backupId} was ended before it was complete; removing what it left.`);
  await rm(state.directory, { recursive: true, force: true });
  const inputs = readBackupInputs(read, deps.env);
  const client = new DeploymentClient({
    ...deps,
    url: originOf(inputs.url, inputs.adminKey, []),
    adminKey: inputs.adminKey,
  });
  const store = openStore(inputs.store, deps, inputs.githubToken);
  const heartbeat = new Heartbeat(inputs.heartbeatUrl, deps);
  await Promise.all([
    removeStored({ store, id: state.backupId, deps }),
    state.exportId === undefined ? undefined : discardExport(client, deps, state.exportId),
    heartbeat.end({ kind: "failed", text: "The job ended before the backup was complete." }),
  ]);
}
