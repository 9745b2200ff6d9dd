import { join } from "node:path";
import { timeOf } from "../backup/manifest.ts";
import { compareVariables } from "../backup/settings.ts";
import { parseAdminKey } from "../credentials/admin-key.ts";
import { checkAccess } from "../deployment/access.ts";
import { settle } from "../deployment/findings.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { Backup } from "./backup.ts";
import { openBackup } from "./backup.ts";
import { type BringOptions, bringIn } from "./bring-in.ts";
import { runChecks } from "./checks.ts";
import { checkEnvironment, withVariables } from "./environment.ts";
import { lookInto } from "./look.ts";
import { measure } from "./objectives.ts";
import { isPaused } from "./pause.ts";
import { pickBackup } from "./pick.ts";
import { endImport, type Outcome } from "./post.ts";
import { note, type Run } from "./run.ts";
import { keepPresent } from "./safety.ts";
import {
  checkConfirm,
  checkConsent,
  countRoot,
  describeHoldings,
  type Holdings,
  holdingsOf,
  isEmpty,
} from "./target.ts";
import { whilePaused, whileRunning } from "./target-state.ts";
import { describeDifference } from "./variables.ts";
import { verifyTarget } from "./verify.ts";

/** Which deployment answers there, and whether this key may write to it. Nothing else is asked before. */
async function meetTarget(run: Run): Promise<string> {
  const { client, inputs, tell, deps } = run;
  settle(await checkAccess(client, inputs.adminKey, deps.http), deps.log);
  // Where a proxy passes on /api alone, the key tells the name too.
  const named = await client.instanceName().catch(() => parseAdminKey(inputs.adminKey).instanceName);
  const instanceName = named.trim();
  tell({ instanceName });
  checkConfirm(inputs.confirm, instanceName, client.url);
  return instanceName;
}

/**
 * What the target holds, found out as cheaply as it can be: counts show most of it; where they show nothing, and nobody
 * agreed to lose anything, an export shows the rest (components, files).
 */
async function examine(run: Run, instanceName: string, directory: string): Promise<Holdings> {
  const { client, inputs, keeper, tell, deps } = run;
  let holdings = await countRoot(client);
  checkConsent(holdings, inputs, instanceName, client.url);
  const agreed = inputs.confirm !== undefined && inputs.safetyBackup !== undefined;
  if (isEmpty(holdings) && !agreed) {
    const path = join(directory, "target.zip");
    const look = { path, includeStorage: true, timeoutMs: inputs.exportTimeoutMs, watch: keeper.exports };
    const { inspection } = await lookInto(client, look, deps);
    const tables = inspection.tables.map(({ component, name, documents }) => ({
      name: component === "" ? name : `${name} in ${component}`,
      size: documents,
    }));
    holdings = holdingsOf(tables, inspection.files);
    checkConsent(holdings, inputs, instanceName, client.url);
  }
  if (!isEmpty(holdings)) tell({ replaced: describeHoldings(holdings) });
  return holdings;
}

/** Says how the target's variables differ from those that the data were written under; returns the target's. */
async function compareEnvironment(run: Run, backup: Backup): Promise<ReadonlyMap<string, string>> {
  const present = await run.client.listVariables();
  const difference = compareVariables(backup.manifest, backup.settings?.fingerprintKey, present);
  note(run, ...describeDifference(difference));
  return present;
}

/** What became of imports that did not come to a good end: the backend puts each into effect as a whole or not at all. */
async function settleImports({ client, keeper, tell, deps }: Run): Promise<void> {
  const outcomes: Outcome[] = [];
  for (const importId of keeper.now.imports) outcomes.push(await endImport(client, importId, deps));
  if (outcomes.includes("running")) return;
  const took = outcomes.includes("completed");
  keeper.set({ stage: took ? "imported" : "untouched" });
  tell({
    state: [
      took
        ? "The data of the backup are in the deployment, and were not verified."
        : "The import did not take place: the deployment holds the data that it had before.",
    ],
  });
}

async function importBackup(run: Run, backup: Backup, options: BringOptions): Promise<void> {
  const { client, keeper, tell, deps } = run;
  keeper.set({ stage: "importing" });
  try {
    const { documents } = await bringIn(client, backup, options, deps);
    keeper.set({ stage: "imported" });
    tell({ documents });
  } catch (error) {
    await settleImports(run).catch((failure: unknown) => deps.log.warning(messageOf(failure)));
    throw error;
  }
}

/** @throws ActionError restore-differs */
async function verify(run: Run, backup: Backup, options: BringOptions): Promise<void> {
  const { client, keeper, tell, deps } = run;
  const { rows, equal } = await verifyTarget(client, backup, options, deps);
  tell({ rows });
  if (!equal) {
    const different = rows.filter(({ content }) => content === "different").map(({ name }) => name);
    tell({ state: ["The data of the backup were imported, and what is there now is not the same."] });
    throw new ActionError(
      "restore-differs",
      `The import succeeded, and ${different.length} of ${rows.length} tables are not what the backup holds: ${different.slice(0, 5).join(", ")}${different.length > 5 ? ", …" : ""}.`,
      "The report lists them. Something wrote to the deployment meanwhile (another job, the dashboard), or the backend changed values; restore again, or use the safety backup.",
    );
  }
  keeper.set({ stage: "verified" });
  tell({ verified: true, state: ["The data of the backup are in the deployment, verified."] });
}

/** @throws ActionError checks-failed */
async function check(run: Run, was: "running" | "paused"): Promise<void> {
  const { checks, client, tell } = run;
  if (checks.length === 0) return;
  const results = await whileRunning(run, was, () => runChecks(client, checks));
  tell({ checks: results });
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  throw new ActionError(
    "checks-failed",
    `The data are restored and verified, and ${failed.length} of ${checks.length} checks failed: ${failed.map(({ name, detail }) => `${name} (${detail ?? ""})`).join("; ")}.`,
    "The data are those of the backup: look at the function, the code that is deployed, and its variables.",
  );
}

/** Everything between the inputs and the report. The order matters: nothing changes before all that can be known is known. */
export async function carryOut(run: Run, directory: string): Promise<void> {
  const { inputs, identities, store, timeline, keeper, tell, deps } = run;
  const [instanceName, manifest] = await timeline.phase("find", () =>
    Promise.all([meetTarget(run), pickBackup(store, inputs.backupId, deps.log)]),
  );
  tell({ manifest });
  deps.log.info(`Backup ${manifest.id} of ${manifest.instance.name}, as of ${timeOf(manifest.snapshot.timestamp)}.`);
  const holdings = await timeline.phase("look", () => examine(run, instanceName, directory));
  const opener = { store, identities, directory };
  const backup = await timeline.phase("fetch", () => openBackup(manifest, opener, deps));
  checkEnvironment(run, backup);
  const present = await compareEnvironment(run, backup);
  tell({ drill: isEmpty(holdings) && (await isPaused(run.client)) });
  const options: BringOptions = {
    directory,
    verify: inputs.verify,
    importTimeoutMs: inputs.importTimeoutMs,
    exportTimeoutMs: inputs.exportTimeoutMs,
    showDocuments: inputs.showDocuments,
    mayReplace: inputs.confirm !== undefined && inputs.safetyBackup !== undefined,
    watch: keeper.exports,
    onImport: (importId) => keeper.set({ imports: [...keeper.now.imports, importId] }),
  };
  await whilePaused(run, async (was) => {
    if (!isEmpty(holdings)) await timeline.phase("safety backup", () => keepPresent(run, directory));
    await withVariables(run, backup, present, async () => {
      await timeline.phase("import", () => importBackup(run, backup, options));
      await timeline.phase("verify", () => verify(run, backup, options));
    });
    await timeline.phase("checks", () => check(run, was));
  });
  tell({
    objectives: measure(
      {
        startedAt: timeline.start,
        doneAt: deps.clock.now(),
        snapshotAt: new Date(timeOf(manifest.snapshot.timestamp)),
      },
      inputs,
    ),
  });
}
