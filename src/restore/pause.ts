import { BackendError } from "../deployment/backend-error.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { type CallOptions, isMissing } from "../deployment/connection.ts";
import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";

/** A function that no app has: a paused deployment refuses every call with the same text, whichever is asked for (contract 6.2). */
const NOBODYS_FUNCTION = "restore:isItPaused";

/** Whether functions of the deployment are stopped just now. */
export async function isPaused(client: DeploymentClient, options: CallOptions = {}): Promise<boolean> {
  const answer = await client.call("query", NOBODYS_FUNCTION, {}, options);
  return !answer.ok && answer.message.includes("deployment is paused");
}

/**
 * Stops functions, crons and scheduled functions, and proves it.
 * @returns false on a release that cannot pause (before 2025-10-10), which is told
 * @throws ActionError pause-failed
 */
export async function pauseTarget(client: DeploymentClient, deps: Deps): Promise<boolean> {
  try {
    await client.pause();
  } catch (error) {
    if (!isMissing(error)) throw error;
    deps.log.warning(
      "This release of the backend cannot be paused: what functions, crons and clients write while the restore runs is lost or mixed with the restored data, without any error. Stop whatever writes to it.",
    );
    return false;
  }
  if (await isPaused(client)) return true;
  throw new ActionError(
    "pause-failed",
    `${client.url} took the order to pause, and functions still run; somebody resumed it at once.`,
    "Make sure that no other job or person works on this deployment, then run the restore again.",
  );
}

/** Lets functions run again; what was due meanwhile runs at once. */
export async function resumeTarget(client: DeploymentClient): Promise<void> {
  try {
    await client.unpause();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Sets the deployment to a state, whatever it is in; tried for a while, because a deployment left paused is an outage. */
export async function setBack(client: DeploymentClient, was: "running" | "paused", deps: Deps): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (was === "paused") await client.pause();
      else await client.unpause();
      return;
    } catch (error) {
      if (isMissing(error)) return;
      const passing = error instanceof BackendError && (error.status === 0 || error.status >= 500);
      if (!passing || attempt === 5) throw error;
      await deps.clock.sleep(1000 * attempt);
    }
  }
}
