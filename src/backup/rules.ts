import { ActionError } from "../runner/errors.ts";
import type { Visibility } from "../runner/repository.ts";
import { checkStoreSettings } from "../store/destination.ts";
import type { BackupInputs } from "./inputs.ts";

function conflict(message: string, hint: string): ActionError {
  return new ActionError("input-conflict", message, hint);
}

function checkEncryption({ encryption, recipients, includeEnv }: BackupInputs): void {
  if (encryption === "age" && recipients.length === 0) {
    throw new ActionError(
      "input-missing",
      "recipients is not set, so nobody could decrypt the backup.",
      "Make a key pair with `age-keygen -o backup-key.txt`, keep the file away from GitHub, and give its public key (age1…) in recipients. For a backup that anybody with access to the destination can read, set encryption: none.",
    );
  }
  if (encryption === "age") return;
  if (recipients.length > 0) {
    throw conflict(
      "recipients is set, but encryption is none, so the backup would not be encrypted to them.",
      "Leave encryption out, or leave recipients out.",
    );
  }
  if (includeEnv) {
    throw conflict(
      "include-env is true, but encryption is none: the values of variables are secrets and never stored in the clear.",
      "Set recipients and leave encryption out, or leave include-env out.",
    );
  }
}

/**
 * Judges how inputs go together, before anything is called. Pure.
 * @returns warnings
 * @throws ActionError `input-conflict`, `input-missing`
 */
export function checkBackupInputs(inputs: BackupInputs, visibility: Visibility): readonly string[] {
  checkEncryption(inputs);
  checkStoreSettings(inputs.store, "destination");
  const warnings: string[] = [];
  if (inputs.encryption === "none" && inputs.store.destination.kind === "artifact") {
    if (visibility === "public" || visibility === "unknown") {
      throw conflict(
        visibility === "public"
          ? "encryption is none and the destination is artifact, and this repository is public: everybody with a GitHub account could download the database."
          : "encryption is none and the destination is artifact, and the event does not tell whether this repository is public: everybody might download the database.",
        "Set recipients and leave encryption out, or use another destination.",
      );
    }
    warnings.push(
      "The backup is not encrypted: everybody who can read this repository can download the database from its artifacts.",
    );
  } else if (inputs.encryption === "none") {
    warnings.push("The backup is not encrypted: everybody who can read the destination can read the database.");
  }
  if (!inputs.includeFileStorage) {
    warnings.push("include-file-storage is false: stored files are not in this backup.");
  }
  return warnings;
}
