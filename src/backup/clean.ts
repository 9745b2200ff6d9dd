import { rm } from "node:fs/promises";
import { originOf } from "../deployment/access.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { discardExport } from "../snapshot/export.ts";
import { tellUnknownExport } from "../snapshot/unknown-export.ts";
import { openStore } from "../store/open.ts";
import type { Deps } from "../system/deps.ts";
import { Heartbeat } from "./heartbeat.ts";
import { readBackupInputs } from "./inputs.ts";
import { removeStored } from "./keep.ts";
import { type BackupState, backupState } from "./state.ts";

async function dropExport(client: DeploymentClient, deps: Deps, state: BackupState): Promise<void> {
  const { exportId, exportBefore } = state;
  if (exportId !== undefined) await discardExport(client, deps, exportId);
  else if (exportBefore !== undefined) await tellUnknownExport(client, deps, exportBefore);
}

/** Its files lie in a folder that the runner empties too: no reason to leave anything else. */
async function removeFiles({ directory }: BackupState, deps: Deps): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    deps.log.warning(`${directory} could not be removed: ${messageOf(error)}`);
  }
}

/**
 * The post step. The main step cleans up after itself; where it was killed before that, its files, its export on the
 * backend and its half of a backup are still there. A backup that was whole by then stays.
 */
export async function clean(read: ReadInput, deps: Deps): Promise<void> {
  const state = backupState.load();
  if (state === undefined || state.ended) return;
  const complete = state.complete === true;
  const text = complete
    ? `The backup ${state.backupId} is complete and verified, but the job ended before older ones were judged.`
    : `The backup ${state.backupId} was ended before it was complete; removing what it left.`;
  deps.log.info(text);
  await removeFiles(state, deps);
  const inputs = readBackupInputs(read, deps.env);
  const client = new DeploymentClient({
    ...deps,
    url: originOf(inputs.url, inputs.adminKey, []),
    adminKey: inputs.adminKey,
  });
  const store = openStore(inputs.store, deps, inputs.githubToken);
  const heartbeat = new Heartbeat(inputs.heartbeatUrl, deps);
  await Promise.all([
    complete ? undefined : removeStored({ store, id: state.backupId, deps }),
    dropExport(client, deps, state),
    heartbeat.end({ kind: "failed", text: complete ? text : "The job ended before the backup was complete." }),
  ]);
}
