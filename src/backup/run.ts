import type { DeploymentClient } from "../deployment/client.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import type { BackupInputs } from "./inputs.ts";
import type { BackupState } from "./state.ts";
import type { BackupReport } from "./summary.ts";

/** One run of the backup action, as its parts share it. */
export interface Run {
  readonly inputs: BackupInputs;
  readonly id: string;
  readonly startedAt: number;
  readonly client: DeploymentClient;
  readonly store: Store;
  /** Private files of this run; removed with it. */
  readonly directory: string;
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<BackupReport>) => void;
  readonly save: (facts: Partial<BackupState>) => void;
  /** The job was cancelled. */
  readonly signal: AbortSignal;
  readonly deps: Deps;
}
