import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { DeploymentClient } from "../deployment/client.ts";
import { asRecord } from "../deployment/json.ts";
import type { ReportRow } from "../report/report.ts";
import type { Inspection, StorageFacts, TableFacts } from "../snapshot/inspection.ts";
import type { Deps } from "../system/deps.ts";
import type { Backup } from "./backup.ts";
import type { BringOptions } from "./bring-in.ts";
import { lookInto } from "./look.ts";

/** Whether a deployment holds what a backup holds. */
export interface Verification {
  readonly equal: boolean;
  /** Table by table, then the files of each component. */
  readonly rows: readonly ReportRow[];
}

const titleOf = (component: string, name: string): string => (component === "" ? name : `${name} in ${component}`);
const keyOf = ({ component, name }: TableFacts): string => `${component}\0${name}`;

/** Two encodings write the same values in other texts (contract 7.2), so their digests say nothing. */
function comparable(expected: Inspection, found: Inspection): boolean {
  return expected.encoding === "none" || found.encoding === "none" || expected.encoding === found.encoding;
}

function contentOf(
  expected: string | undefined,
  found: string | undefined,
  byContent: boolean,
  sameCount: boolean,
): ReportRow["content"] {
  if (!byContent) return sameCount ? "not compared" : "different";
  return expected === found ? "equal" : "different";
}

/** A table of the code's schema that the backup does not have is there all the same, and empty. */
function isOnlyDeclared(expected: TableFacts | undefined, found: TableFacts | undefined): boolean {
  return expected === undefined && found?.documents === 0;
}

function tableRows(expected: Inspection, found: Inspection): ReportRow[] {
  const wanted = new Map(expected.tables.map((table) => [keyOf(table), table]));
  const there = new Map(found.tables.map((table) => [keyOf(table), table]));
  const byContent = comparable(expected, found);
  return [...new Set([...wanted.keys(), ...there.keys()])].flatMap((key) => {
    const [before, after] = [wanted.get(key), there.get(key)];
    const facts = before ?? after;
    if (facts === undefined || isOnlyDeclared(before, after)) return [];
    const counts = { expected: before?.documents ?? 0, found: after?.documents ?? 0 };
    const content =
      counts.expected === 0 && counts.found === 0
        ? "equal"
        : contentOf(before?.digest, after?.digest, byContent, counts.expected === counts.found);
    return [{ name: titleOf(facts.component, facts.name), ...counts, content }];
  });
}

function fileRows(expected: readonly StorageFacts[], found: readonly StorageFacts[] | undefined): ReportRow[] {
  const there = new Map((found ?? []).map((one) => [one.component, one]));
  return expected.flatMap((before): ReportRow[] => {
    const after = there.get(before.component);
    if (before.files === 0 && (after?.files ?? 0) === 0) return [];
    const name = titleOf(before.component, "stored files");
    const equal = after !== undefined && after.digest === before.digest;
    return [{ name, expected: before.files, found: after?.files ?? 0, content: equal ? "equal" : "different" }];
  });
}

/** Compares two snapshots as a whole; pure. */
export function compareSnapshots(expected: Inspection, found: Inspection): Verification {
  const rows = [...tableRows(expected, found), ...fileRows(expected.storage ?? [], found.storage)];
  return { rows, equal: rows.every(({ content }) => content !== "different") };
}

/** Ids of components by path, over HTTP (contract 6.2). */
async function componentIds(client: DeploymentClient): Promise<ReadonlyMap<string, string>> {
  const list = await client.systemQuery("_system/frontend/components:list", {});
  return new Map(
    (Array.isArray(list) ? list : []).map(asRecord).map(({ path, id }) => [String(path), String(id)] as const),
  );
}

/** Counts alone: what the backend keeps as each table's size. Files are not looked at. */
async function countTables(client: DeploymentClient, expected: Inspection): Promise<Verification> {
  const ids = expected.tables.some(({ component }) => component !== "") ? await componentIds(client) : new Map();
  const rows: ReportRow[] = [];
  for (const { component, name, documents } of expected.tables) {
    const query =
      component === ""
        ? client.systemQuery("_system/cli/tableSize", { tableName: name })
        : client.systemQuery("_system/frontend/tableSize:default", {
            tableName: name,
            componentId: ids.get(component) ?? "",
          });
    const size = Number(await query.catch(() => Number.NaN));
    const found = Number.isFinite(size) ? { found: size } : {};
    const wrong = Number.isFinite(size) && size !== documents;
    rows.push({
      name: titleOf(component, name),
      expected: documents,
      ...found,
      content: wrong ? "different" : "not compared",
    });
  }
  return { rows, equal: rows.every(({ content }) => content !== "different") };
}

/**
 * Looks whether a deployment holds what the backup holds: by exporting it again and comparing every table and file, or
 * by counts. It has to be paused, else what its functions write meanwhile is a difference.
 */
export async function verifyTarget(
  client: DeploymentClient,
  backup: Backup,
  options: BringOptions,
  deps: Deps,
): Promise<Verification> {
  const expected = backup.inspection;
  if (options.verify === "counts") return await countTables(client, expected);
  const path = join(options.directory, `verify-${randomBytes(4).toString("hex")}.zip`);
  try {
    const look = { path, includeStorage: expected.storage !== undefined, timeoutMs: options.exportTimeoutMs };
    const { inspection } = await lookInto(client, look, deps);
    return compareSnapshots(expected, inspection);
  } finally {
    await rm(path, { force: true });
  }
}
