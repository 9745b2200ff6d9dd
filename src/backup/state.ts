import { stateOf } from "../runner/state.ts";

/** What the main step leaves for the post step. Holds no secret: the runner keeps it in a plain file. */
export interface BackupState {
  readonly backupId: string;
  /** Private files of the main step. */
  readonly directory: string;
  /** The newest export on the backend, or null, when ours was about to be asked for. */
  readonly exportBefore?: string | null;
  /** Of the export on the backend, once it was asked for. */
  readonly exportId?: string;
  /** The backup is whole and verified: from then on older ones may go for it, so it stays whatever ends the step. */
  readonly complete?: boolean;
  /** The main step came to its own end, good or bad, and cleaned up itself. */
  readonly ended: boolean;
}

function isBackupState(value: unknown): value is BackupState {
  return (
    typeof value === "object" &&
    value !== null &&
    "backupId" in value &&
    typeof value.backupId === "string" &&
    "directory" in value &&
    typeof value.directory === "string" &&
    "ended" in value &&
    typeof value.ended === "boolean"
  );
}

export const backupState = stateOf<BackupState>("backup", isBackupState);
