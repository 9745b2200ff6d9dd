import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { DeploymentClient } from "../deployment/client.ts";
import { withoutDocuments } from "../deployment/documents.ts";
import { isComponentClash } from "../deployment/import.ts";
import { runImport } from "../deployment/import-run.ts";
import type { ImportState } from "../deployment/import-state.ts";
import { asRecord } from "../deployment/json.ts";
import { ActionError } from "../runner/errors.ts";
import type { ExportWatch } from "../snapshot/export.ts";
import type { Inspection } from "../snapshot/inspection.ts";
import { rewriteSnapshot } from "../snapshot/rewrite.ts";
import { entriesToLeaveOut, restorability } from "../snapshot/roads.ts";
import type { Deps } from "../system/deps.ts";
import type { Backup } from "./backup.ts";

export interface BringOptions {
  /** Ours, mode 0700. */
  readonly directory: string;
  readonly verify: "full" | "counts";
  readonly importTimeoutMs: number;
  readonly exportTimeoutMs: number;
  readonly showDocuments: boolean;
  /** Documents that are there may be replaced; without it an import that would do so is canceled. */
  readonly mayReplace: boolean;
  /** Told of every import before it may change anything. */
  readonly onImport?: (importId: string) => void;
  /** Of the export that the verification asks for. */
  readonly watch?: ExportWatch;
}

/** Between tries while the backend builds indexes. */
const BACKFILL_MS = 2000;

const titleOf = (component: string, name: string): string => (component === "" ? name : `${name} in ${component}`);

/** The last look before anything changes: what would go, and whether the backend read what we read (contract 7.3). */
function checkSummary(summary: ImportState, expected: Inspection, mayReplace: boolean): void {
  const { tables } = summary;
  const lost = tables.filter(({ deleted }) => deleted > 0);
  if (lost.length > 0 && !mayReplace) {
    const what = lost.map(({ component, name, deleted }) => `${titleOf(component, name)} ${deleted}`).join(", ");
    throw new ActionError(
      "target-filled-meanwhile",
      `The deployment was empty when it was looked at, and holds data now (${what}). Nothing was changed.`,
      "Find out who writes to it; to replace these data set confirm and safety-backup.",
    );
  }
  if (tables.length === 0) return;
  const read = new Map(tables.map((table) => [`${table.component}\0${table.name}`, table.total]));
  for (const { component, name, documents } of expected.tables) {
    const total = read.get(`${component}\0${name}`) ?? 0;
    if (total === documents) continue;
    throw new ActionError(
      "import-miscounted",
      `The backend would import ${total} documents into ${titleOf(component, name)}, and the backup has ${documents}. Nothing was changed.`,
      "Something between this job and the backend changes what is uploaded, or this release reads snapshots otherwise; go to the backend directly.",
    );
  }
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /cannot parse .*generated_schema\.jsonl/,
    "The snapshot was made by a newer release (since 2026-03-11 values are written in another way): restore it into that release or a newer one.",
  ],
  [
    /does not match the schema/,
    "Deploy the code that the data were written under (the report names its commit), restore, and deploy the newer code afterwards.",
  ],
  [/backfilling indexes/, "Wait until the deploy before it has built its indexes, then run again."],
  [/schema changed/, "Do not deploy while a restore runs: give both workflows the same concurrency group."],
  [/came from a different deployment/, "Restore into a deployment whose tables nobody else has filled."],
  [/Import canceled/, "Somebody canceled it; run again."],
];

function failed(text: string, showDocuments: boolean): ActionError {
  const reason = text.replace(/^Hit an error while importing:\s*/, "");
  const hint =
    HINTS.find(([pattern]) => pattern.test(reason))?.[1] ?? "The text is the backend's own; its log has more.";
  return new ActionError(
    "restore-import-failed",
    `The backend refused the import, the data are as before: ${showDocuments ? reason : withoutDocuments(reason)}`,
    hint,
  );
}

/** The components that the target has; undefined where the release does not tell. */
async function componentsOf(client: DeploymentClient): Promise<string[] | undefined> {
  try {
    const list = await client.systemQuery("_system/frontend/components:list", {});
    return (Array.isArray(list) ? list : []).map((entry) => String(asRecord(entry)["path"] ?? ""));
  } catch {
    return undefined;
  }
}

/**
 * The file to upload: the backup as it is, or without the entries on which the importer fails and without which nothing
 * is lost (contract 7.3).
 */
async function importable(
  client: DeploymentClient,
  { path, inspection }: Backup,
  directory: string,
  deps: Deps,
): Promise<string> {
  const roads = restorability(inspection);
  const components = await componentsOf(client);
  const leaveOut = components === undefined ? roads.leaveOut : entriesToLeaveOut(roads, components);
  if (leaveOut.length === 0) return path;
  deps.log.info(`Left out of the upload, nothing is lost without: ${leaveOut.join(", ")}.`);
  const out = join(directory, `import-${randomBytes(4).toString("hex")}.zip`);
  await rewriteSnapshot(path, out, leaveOut);
  return out;
}

/**
 * Imports a backup in place of everything that is there. Takes the roads that lose nothing: components that do not
 * exist yet are made by a first try, and indexes that are being built are waited for (contract 7.3).
 * @throws ActionError restore-import-failed, target-filled-meanwhile, import-miscounted, import-timeout; BackendError
 */
export async function bringIn(
  client: DeploymentClient,
  backup: Backup,
  options: BringOptions,
  deps: Deps,
): Promise<{ readonly documents: number }> {
  const { clock, log } = deps;
  const deadline = clock.now() + options.importTimeoutMs;
  const path = await importable(client, backup, options.directory, deps);
  let clashed = false;
  for (;;) {
    const state = await runImport(
      client,
      deps,
      { path, format: "zip" },
      {
        mode: "replaceAll",
        timeoutMs: deadline - clock.now(),
        confirm: (summary) => checkSummary(summary, backup.inspection, options.mayReplace),
        ...(options.onImport === undefined ? {} : { onImport: options.onImport }),
      },
    );
    if (state.state === "completed") return { documents: state.documents };
    if (isComponentClash(state) && !clashed) {
      clashed = true;
      log.info("The backend made the snapshot's components and took no data yet; importing it again.");
    } else if (/backfilling indexes/.test(state.text) && clock.now() + BACKFILL_MS < deadline) {
      log.info("The backend builds indexes, and cannot replace their tables meanwhile; waiting for that.");
      await clock.sleep(BACKFILL_MS);
    } else throw failed(state.text, options.showDocuments);
  }
}
