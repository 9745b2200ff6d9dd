import { stateOf } from "../runner/state.ts";
import type { ExportWatch } from "../snapshot/export.ts";

/** How far the data of the target may have got. */
export type Stage = "untouched" | "importing" | "imported" | "verified";

/** Variables that a restore gives other values; names only. */
export interface ChangedVariables {
  /** There with another value. */
  readonly replaced: readonly string[];
  /** Not there. */
  readonly added: readonly string[];
}

/**
 * What the main step leaves for the post step: enough to set the target back and to say what it holds. Saved before
 * each thing it tells of; holds no secret, because the runner keeps it in a plain file.
 */
export interface RestoreState {
  /** Origin of the target's API. */
  readonly url: string;
  /** Whether its functions ran when this step came; absent as long as nothing was paused or resumed. */
  readonly was?: "running" | "paused";
  readonly stage: Stage;
  /** Imports of this step that may still run in the backend. */
  readonly imports: readonly string[];
  /** Id of the safety backup that is being made. */
  readonly unfinishedBackup?: string | undefined;
  /** Where the present data, variables too, were kept before. */
  readonly safetyBackup?: string;
  /** Set to the backup's values, or about to be. */
  readonly variables?: ChangedVariables | undefined;
  /** Exports of this step that may still be on the server. */
  readonly exports?: readonly string[];
  /** The newest export on the backend, or null, while one of ours is asked for and has no name yet. */
  readonly exportBefore?: string | null | undefined;
  /** Ours, mode 0700, with the decrypted backup; removed at the end. */
  readonly directory?: string;
  /** The main step came to its end, good or bad, and has set the target back itself. */
  readonly settled: boolean;
}

const STAGES: readonly unknown[] = ["untouched", "importing", "imported", "verified"];

function isRestoreState(value: unknown): value is RestoreState {
  return (
    typeof value === "object" &&
    value !== null &&
    "url" in value &&
    typeof value.url === "string" &&
    "stage" in value &&
    STAGES.includes(value.stage) &&
    "imports" in value &&
    Array.isArray(value.imports) &&
    "settled" in value &&
    typeof value.settled === "boolean"
  );
}

export const restoreState = stateOf<RestoreState>("restore", isRestoreState);

/** The state of one run: each change is saved before what it tells of is begun. */
export class StateKeeper {
  #state: RestoreState;
  readonly #save: (state: RestoreState) => void;

  constructor(url: string, save: (state: RestoreState) => void = restoreState.save) {
    this.#state = { url, stage: "untouched", imports: [], settled: false };
    this.#save = save;
  }

  get now(): RestoreState {
    return this.#state;
  }

  /** What is told of each export that this step asks for. */
  get exports(): ExportWatch {
    return {
      onRequest: (newest) => this.set({ exportBefore: newest ?? null }),
      onRequested: (id) => this.addExport(id),
    };
  }

  addExport(id: string): void {
    this.set({ exports: [...(this.#state.exports ?? []), id], exportBefore: undefined });
  }

  set(facts: Partial<RestoreState>): void {
    this.#state = { ...this.#state, ...facts };
    this.#save(this.#state);
  }
}
