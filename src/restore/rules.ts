import { ActionError } from "../runner/errors.ts";
import { checkStoreSettings, type Destination } from "../store/destination.ts";
import type { RestoreInputs } from "./inputs.ts";

function conflict(message: string, hint: string): ActionError {
  return new ActionError("input-conflict", message, hint);
}

/** Ids are folder names of the destination; anything else would look elsewhere. */
function checkBackupId(id: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)) return;
  throw new ActionError(
    "input-invalid",
    `backup-id: ${JSON.stringify(id)} is not accepted.`,
    "Allowed: latest, or the id of a backup as the backup step and its summary show it.",
  );
}

/**
 * Judges how inputs go together, before anything is called. Pure.
 * @throws ActionError `input-conflict`, `input-invalid`
 */
export function checkRestoreInputs(inputs: RestoreInputs): void {
  checkBackupId(inputs.backupId);
  if (inputs.restoreEnv && inputs.identity === undefined) {
    throw conflict(
      "restore-env is true, but identity is not set, and values of variables are kept only in encrypted backups.",
      "Set identity: from a secret, or leave restore-env out.",
    );
  }
  const kept = inputs.safetyBackup !== undefined && inputs.safetyBackup !== "off";
  if (inputs.recipients.length > 0 && !kept) {
    throw conflict(
      "recipients is set, but safety-backup names no destination, so nothing would be encrypted to them.",
      "Set safety-backup, or leave recipients out.",
    );
  }
  if (kept && inputs.recipients.length === 0 && inputs.identity === undefined) {
    throw conflict(
      "safety-backup is set, but neither recipients nor identity says to whom it is encrypted.",
      "Set recipients: to an age public key (age1…), or identity.",
    );
  }
}

/**
 * The `s3-*` inputs are for source and safety backup alike, so one bucket among both is enough for them.
 * @throws ActionError `input-conflict`, `input-invalid`
 */
export function checkStores({ source, safetyBackup, endpoint, region, forcePathStyle }: RestoreInputs): void {
  const places: [string, Destination][] = [["source", source]];
  if (safetyBackup !== undefined && safetyBackup !== "off") places.push(["safety-backup", safetyBackup]);
  const bucket = places.find(([, { kind }]) => kind === "s3");
  const [name, destination] = bucket ?? places[0] ?? ["source", source];
  checkStoreSettings({ destination, endpoint, region, forcePathStyle }, name);
}
