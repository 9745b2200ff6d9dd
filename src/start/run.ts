import type { BackendState } from "../backend/backend.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import type { Launched } from "./launch.ts";
import type { Prepared } from "./prepare.ts";
import type { StartReport } from "./summary.ts";

/** One run of the start action, as its parts share it. */
export interface Run {
  readonly prepared: Prepared;
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<StartReport>) => void;
  readonly save: (state: BackendState) => void;
  /** The state saved last. */
  readonly saved: () => BackendState | undefined;
  readonly deps: Deps;
}

/** A backend that answers, with the key that it accepts. */
export interface Usable {
  readonly launched: Launched;
  readonly adminKey: string;
  readonly instanceName: string;
  readonly client: DeploymentClient;
}
