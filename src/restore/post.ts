import { rm } from "node:fs/promises";
import { DeploymentClient } from "../deployment/client.ts";
import { cancelImport, hasEnded } from "../deployment/import-state.ts";
import { adminKeyOf, readDeployment } from "../deployment/inputs.ts";
import { messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { Inputs } from "../runner/inputs.ts";
import { writeSummary } from "../runner/summary.ts";
import { discardExport } from "../snapshot/export.ts";
import { tellUnknownExport } from "../snapshot/unknown-export.ts";
import type { Deps } from "../system/deps.ts";
import { setBack } from "./pause.ts";
import { removeUnfinished } from "./safety.ts";
import { type RestoreState, restoreState } from "./state.ts";
import { describeSet } from "./variables.ts";

/** How long an import that cannot be cancelled may take to end, before the target is left paused. */
const IMPORT_END_MS = 60_000;

export type Outcome = "canceled" | "completed" | "running";

/** Ends one import, or finds out that it has ended: the backend goes on with it by itself (contract 7.3). */
export async function endImport(client: DeploymentClient, importId: string, deps: Deps): Promise<Outcome> {
  const until = deps.clock.now() + IMPORT_END_MS;
  for (;;) {
    const last = await cancelImport(client, deps, importId);
    if (last !== undefined && hasEnded(last)) return last.state === "completed" ? "completed" : "canceled";
    if (deps.clock.now() >= until) return "running";
    await deps.clock.sleep(1000);
  }
}

/** What the target holds now, as far as that is known; told because nobody may believe more. */
function describe(state: RestoreState, outcomes: readonly Outcome[]): string {
  if (outcomes.includes("running")) return "An import still runs in the backend; the target may hold old or new data.";
  const begun = state.stage !== "untouched" && (state.stage !== "importing" || outcomes.length > 0);
  if (!begun) return "Its data were not touched.";
  if (state.stage === "verified") return "The data of the backup are in it, and were verified.";
  if (outcomes.includes("completed") || state.stage === "imported") {
    return "The data of the backup are in it, and were not verified: run the restore again.";
  }
  return "The import was canceled, so it holds the data that it had before.";
}

async function dropExports(
  { exports = [], exportBefore }: RestoreState,
  client: DeploymentClient,
  deps: Deps,
): Promise<void> {
  await Promise.all([
    ...exports.map((id) => discardExport(client, deps, id)),
    exportBefore === undefined ? undefined : tellUnknownExport(client, deps, exportBefore),
  ]);
}

async function undo(state: RestoreState, client: DeploymentClient, deps: Deps): Promise<string[]> {
  const outcomes: Outcome[] = [];
  for (const importId of state.imports) outcomes.push(await endImport(client, importId, deps));
  await dropExports(state, client, deps);
  const told = [describe(state, outcomes)];
  if (state.was === undefined) return told;
  if (outcomes.includes("running")) {
    told.push(
      `It stays paused, because what functions write during an import is lost. Resume it when the import has ended: POST ${state.url}/api/v1/unpause_deployment.`,
    );
    return told;
  }
  await setBack(client, state.was, deps);
  told.push(state.was === "paused" ? "It is paused, as it was." : "Its functions run again, as they did.");
  return told;
}

function clientOf(state: RestoreState, read: ReadInput, deps: Deps): DeploymentClient | undefined {
  const adminKey = adminKeyOf(readDeployment(new Inputs(read), deps.env));
  return adminKey === undefined ? undefined : new DeploymentClient({ ...deps, url: state.url, adminKey });
}

/**
 * The post step: after a step that was cancelled or killed it ends the import, sets the target back to the state that
 * it had, and says what it holds. The decrypted backup is removed in any case.
 */
export async function restorePost(read: ReadInput, deps: Deps): Promise<void> {
  const state = restoreState.load();
  if (state?.directory !== undefined) {
    await rm(state.directory, { recursive: true, force: true }).catch((error: unknown) =>
      deps.log.warning(`${state.directory} could not be removed: ${messageOf(error)}`),
    );
  }
  if (state === undefined || state.settled) {
    deps.log.info("There is nothing to set back.");
    return;
  }
  const by = `POST ${state.url}/api/v1/unpause_deployment, or the dashboard's settings`;
  let told: string[];
  try {
    const client = clientOf(state, read, deps);
    if (client === undefined) throw new Error("this step does not know the admin key any more");
    told = await undo(state, client, deps);
  } catch (error) {
    told = [`It could not be set back: ${messageOf(error)}`];
    if (state.was === "running") told.push(`It may still be paused. Resume it by ${by}.`);
  }
  if (state.unfinishedBackup !== undefined) told.push(await removeUnfinished(state.unfinishedBackup, read, deps));
  if (state.variables !== undefined) told.push(describeSet(state.variables, state.safetyBackup));
  const text = `The restore of ${state.url} did not come to its end. ${told.join(" ")}`;
  deps.log.warning(text);
  await writeSummary(`### ⚠️ Restore cut short\n\n${text}\n\n`);
}
