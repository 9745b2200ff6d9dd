import type { DeploymentClient } from "../deployment/client.ts";
import { messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { readLatest } from "./export-state.ts";

/**
 * A step that was killed between its request and the answer knows no id, and exports do not say whose they are: nobody
 * else's may be ended for it, so what may be left is told.
 * @param before the newest export when ours was about to be asked for; null: there was none
 */
export async function tellUnknownExport(client: DeploymentClient, deps: Deps, before: string | null): Promise<void> {
  try {
    const latest = await readLatest(client);
    if (latest === undefined || latest.id === before) return;
    deps.log.warning(
      `The step was killed while it asked the backend for an export, so the newest one there (${latest.id}, ${latest.state}) is most likely its own; nothing proves that, so it was left alone. It goes by itself after 44 days; while it runs, POST ${client.url}/api/export/cancel/${latest.id} with the admin key ends it.`,
    );
  } catch (error) {
    deps.log.warning(`Whether the killed step left an export on the backend is not known: ${messageOf(error)}`);
  }
}
