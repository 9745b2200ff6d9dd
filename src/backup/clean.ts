import { rm } from "node:fs/promises";
import { originOf } from "../deployment/access.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { discardExport } from "../snapshot/export.ts";
import { readLatest } from "../snapshot/export-state.ts";
import { openStore } from "../store/open.ts";
import type { Deps } from "../system/deps.ts";
import { Heartbeat } from "./heartbeat.ts";
import { readBackupInputs } from "./inputs.ts";
import { removeStored } from "./keep.ts";
import { type BackupState, backupState } from "./state.ts";

/**
 * A step that was killed between its request and the answer knows no id, and exports do not say whose they are: nobody
 * else's may be ended for it, so what may be left is told.
 */
async function tellUnknownExport(client: DeploymentClient, deps: Deps, before: string | null): Promise<void> {
  try {
    const latest = await readLatest(client);
    if (latest === undefined || latest.id === before) return;
    deps.log.warning(
      `The step was killed while it asked the backend for an export, so the newest one there (${latest.id}, ${latest.state}) is most likely its own; nothing proves that, so it was left alone. It goes by itself after 44 days; while it runs, POST ${client.url}/api/export/cancel/${latest.id} with the admin key ends it.`,
    );
  } catch (error) {
    deps.log.warning(`Whether the killed step left an export on the backend is not known: ${messageOf(error)}`);
  }
}

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
