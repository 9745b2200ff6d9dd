import type { DeploymentClient } from "../deployment/client.ts";
import type { Deps } from "../system/deps.ts";
import type { Backup } from "./backup.ts";

export interface BringOptions {
  /** Ours, mode 0700. */
  readonly directory: string;
  readonly verify: "full" | "counts";
  readonly importTimeoutMs: number;
  readonly exportTimeoutMs: number;
  readonly showDocuments: boolean;
  /** Told of every import before it may change anything. */
  readonly onImport?: (importId: string) => void;
  /** Told how many documents and files of the target the import is about to replace. */
}

export async function bringIn(
  _c: DeploymentClient,
  _b: Backup,
  _o: BringOptions,
  _d: Deps,
): Promise<{ documents: number }> {
  throw new Error("not yet");
}
