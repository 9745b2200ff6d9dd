import type { BackendState } from "../backend/backend.ts";
import { stateOf } from "../runner/state.ts";

/** What the main step leaves for the post step. Holds no secret: the runner keeps it in a plain file. */
export interface StartState {
  readonly backend: BackendState;
  readonly logs: "on-failure" | "always" | "never";
  /** False until the main step came to its end; a step that was killed or failed leaves it so. */
  readonly succeeded: boolean;
}

function isStartState(value: unknown): value is StartState {
  return (
    typeof value === "object" &&
    value !== null &&
    "backend" in value &&
    typeof value.backend === "object" &&
    value.backend !== null &&
    "runtime" in value.backend &&
    ["docker", "binary", "service-container"].includes(String(value.backend.runtime)) &&
    "logs" in value &&
    "succeeded" in value
  );
}

export const startState = stateOf<StartState>("start", isStartState);
