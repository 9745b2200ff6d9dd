/** Pausing (contract 6.2, 7.3): the state is kept in the database. */
import { object } from "./shapes.ts";
import { ApiError, type Like, type ReadTransaction, type Routes, type Store } from "./types.ts";

const TABLE = "_backend_state";

export class PauseState {
  #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  isPaused(tx: ReadTransaction): boolean {
    return tx.scan("", TABLE).some((doc) => doc["state"] === "paused");
  }

  /** 400 when it is so already. */
  async set(paused: boolean): Promise<void> {
    await this.#store.write((tx) => {
      if (this.isPaused(tx) === paused) {
        if (paused) throw new ApiError(400, "DeploymentAlreadyInState", "Deployment is already paused");
        throw new ApiError(400, "UnpauseDeploymentFailed", "Deployment is not currently paused.");
      }
      for (const doc of tx.scan("", TABLE)) tx.delete("", doc._id);
      tx.insert("", TABLE, { state: paused ? "paused" : "running" });
    });
  }
}

export function addPauseRoutes(routes: Routes, pause: PauseState, like: Like): void {
  if (like === "first") return;
  for (const [name, paused] of [
    ["pause_deployment", true],
    ["unpause_deployment", false],
  ] as const) {
    routes.route("POST", `/api/v1/${name}`, async (request) => {
      await request.adminJson(object("EmptyRequest", {}), "write");
      await pause.set(paused);
      return {};
    });
  }
}
