import type { DeploymentClient } from "../deployment/client.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import type { DataCheck } from "./checks.ts";
import type { RestoreFacts } from "./facts.ts";
import type { RestoreInputs } from "./inputs.ts";
import type { StateKeeper } from "./state.ts";

/** One run of the restore action, as its parts share it. */
export interface Run {
  readonly inputs: RestoreInputs;
  readonly identities: readonly string[];
  readonly recipients: readonly string[];
  readonly checks: readonly DataCheck[];
  readonly client: DeploymentClient;
  readonly store: Store;
  readonly timeline: Timeline;
  readonly keeper: StateKeeper;
  readonly tell: (facts: Partial<RestoreFacts>) => void;
  /** What was told so far. */
  readonly told: () => RestoreFacts;
  readonly deps: Deps;
}

/** Adds something that a reader of the report has to know, and prints it. */
export function note(run: Run, ...lines: readonly string[]): void {
  if (lines.length === 0) return;
  for (const line of lines) run.deps.log.notice(line);
  run.tell({ notes: [...(run.told().notes ?? []), ...lines] });
}
