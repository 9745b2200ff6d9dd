import type { BackendState } from "../backend/backend.ts";
import { stateOf } from "../runner/state.ts";

/** What the main step leaves for the post step. Holds no secret. */
export interface UpgradeState {
  /** All backends of this step that may still be there, the newest last, and a volume of their data before them. */
  readonly backends: readonly BackendState[];
  /** Ours, mode 0700: the decrypted backup, and the data of binaries. */
  readonly directory?: string;
}

function isUpgradeState(value: unknown): value is UpgradeState {
  return typeof value === "object" && value !== null && "backends" in value && Array.isArray(value.backends);
}

export const upgradeState = stateOf<UpgradeState>("upgrade", isUpgradeState);
