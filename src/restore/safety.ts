import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { newBackupId } from "../backup/id.ts";
import type { BackupInputs } from "../backup/inputs.ts";
import { removeStored } from "../backup/keep.ts";
import { makeBackup } from "../backup/make.ts";
import type { Run as BackupRun } from "../backup/run.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { recipientsOf } from "../snapshot/encrypt.ts";
import { openStore } from "../store/open.ts";
import type { Deps } from "../system/deps.ts";
import { type RestoreInputs, readRestoreInputs } from "./inputs.ts";
import type { Run } from "./run.ts";

const KEEP_ALL = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 } as const;

/** A safety backup is an ordinary one, with everything in it; nothing is pruned for it. */
function inputsOf(inputs: RestoreInputs, recipients: readonly string[]): BackupInputs | undefined {
  const { safetyBackup, endpoint, region, forcePathStyle, url, adminKey, githubToken, exportTimeoutMs } = inputs;
  if (safetyBackup === undefined || safetyBackup === "off") return undefined;
  return {
    url,
    adminKey,
    githubToken,
    heartbeatUrl: undefined,
    includeFileStorage: true,
    encryption: "age",
    recipients,
    includeEnv: true,
    store: { destination: safetyBackup, endpoint, region, forcePathStyle },
    lockDays: undefined,
    keep: KEEP_ALL,
    prune: "off",
    backendVersion: undefined,
    commit: undefined,
    exportTimeoutMs,
  };
}

/**
 * Backs the target up before it is replaced. It is paused by then, so nothing can be written that is in neither of
 * both. Without a good backup the restore does not begin.
 * @throws ActionError safety-backup-failed
 */
export async function keepPresent(run: Run, directory: string): Promise<void> {
  const { identities, client, timeline, keeper, tell, deps } = run;
  const recipients = run.recipients.length > 0 ? run.recipients : await recipientsOf(identities);
  const inputs = inputsOf(run.inputs, recipients);
  if (inputs === undefined) return;
  const store = openStore(inputs.store, deps, inputs.githubToken);
  const startedAt = deps.clock.now();
  const own = join(directory, "safety");
  await mkdir(own, { mode: 0o700 });
  const backup: BackupRun = {
    inputs,
    id: newBackupId(new Date(startedAt)),
    startedAt,
    client,
    store,
    directory: own,
    timeline,
    tell: () => undefined,
    save: ({ exportBefore, exportId }) => {
      if (exportBefore !== undefined) keeper.set({ exportBefore });
      if (exportId !== undefined) keeper.addExport(exportId);
    },
    signal: new AbortController().signal,
    deps,
  };
  // Before its first object: whoever is killed meanwhile leaves a state that tells what to remove.
  keeper.set({ unfinishedBackup: backup.id });
  try {
    await makeBackup(backup);
  } catch (error) {
    if (await removeStored(backup)) keeper.set({ unfinishedBackup: undefined });
    throw new ActionError(
      "safety-backup-failed",
      `The target's present data could not be backed up, so nothing was restored: ${messageOf(error)}`,
      error instanceof ActionError ? error.hint : "Set safety-backup: off if these data may be lost.",
      { cause: error },
    );
  }
  const safetyBackup = `${store.location}/${backup.id}`;
  keeper.set({ safetyBackup, unfinishedBackup: undefined });
  tell({ safetyBackup });
  deps.log.notice(`The data that were there before are kept as backup ${backup.id} in ${store.location}.`);
}

/**
 * Removes what a killed step stored of its safety backup. Nothing is lost: the target's data were not touched before it
 * was whole. Never throws.
 * @returns what is told of it
 */
export async function removeUnfinished(id: string, read: ReadInput, deps: Deps): Promise<string> {
  try {
    const inputs = readRestoreInputs(read, deps.env, deps.env["GITHUB_WORKSPACE"] ?? process.cwd());
    const { safetyBackup: destination } = inputs;
    if (destination === undefined || destination === "off") throw new Error("safety-backup names no store any more");
    const store = openStore({ ...inputs, destination }, deps, inputs.githubToken);
    if (await removeStored({ store, id, deps })) return `Its unfinished safety backup ${id} was removed.`;
    return `Its unfinished safety backup ${id} could not be removed; without a manifest it is no backup.`;
  } catch (error) {
    return `Its unfinished safety backup ${id} could not be removed: ${messageOf(error)}`;
  }
}
