import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { DeploymentClient } from "../deployment/client.ts";
import { asRecord } from "../deployment/json.ts";
import type { ReportRow } from "../report/report.ts";
import { compareInspections, type Difference, sameEncoding } from "../snapshot/compare.ts";
import type { Inspection } from "../snapshot/inspection.ts";
import { sampleDifferences } from "../snapshot/samples.ts";
import type { Deps } from "../system/deps.ts";
import type { Backup } from "./backup.ts";
import type { BringOptions } from "./bring-in.ts";
import { type Look, lookInto } from "./look.ts";

/** Whether a deployment holds what a backup holds. */
export interface Verification {
  readonly equal: boolean;
  /** Table by table, then the files of each component. */
  readonly rows: readonly ReportRow[];
}

/** More tables are not looked into for samples: what went wrong shows in the first ones. */
const MOST_SAMPLED = 20;

const titleOf = (component: string, name: string): string => {
  const what = name === "_storage" ? "stored files" : name;
  return component === "" ? what : `${what} in ${component}`;
};

/** Every table and every file storage of the backup, with what was found there, and what is there beside. */
function rowsOf(expected: Inspection, found: Inspection, differences: readonly Difference[]): ReportRow[] {
  const byContent = sameEncoding(expected, found);
  const wrong = new Map(differences.map((one) => [`${one.component}\0${one.name}`, one]));
  const counted = [
    ...expected.tables.map(({ component, name, documents }) => ({ component, name, count: documents })),
    ...(expected.storage ?? [])
      .filter(({ files }) => files > 0)
      .map(({ component, files }) => ({ component, name: "_storage", count: files })),
  ];
  const rows = counted.map(({ component, name, count }): ReportRow => {
    const key = `${component}\0${name}`;
    const difference = wrong.get(key);
    wrong.delete(key);
    const equal = byContent || name === "_storage" ? "equal" : "not compared";
    return {
      name: titleOf(component, name),
      expected: count,
      found: difference?.found ?? count,
      content: difference === undefined ? equal : "different",
    };
  });
  const extra = [...wrong.values()].map(({ component, name, expected: before, found: after }): ReportRow => {
    return { name: titleOf(component, name), expected: before, found: after, content: "different" };
  });
  return [...rows, ...extra];
}

/** Ids of documents that differ, so that somebody can look at them; the files of a deployment have none here. */
async function sample(backup: Backup, found: string, differences: readonly Difference[]): Promise<SamplesByName> {
  const tables = differences
    .filter(({ name }) => name !== "_storage")
    .slice(0, MOST_SAMPLED)
    .map(({ component, name, expected }) => ({ component, name, documents: expected }));
  if (tables.length === 0) return new Map();
  const samples = await sampleDifferences(backup.path, found, tables);
  return new Map(
    samples.map(({ component, name, missing, unexpected, changed }) => [
      titleOf(component, name),
      [
        ...missing.map((id) => ({ id, how: "missing" })),
        ...unexpected.map((id) => ({ id, how: "not in the backup" })),
        ...changed.map((id) => ({ id, how: "changed" })),
      ],
    ]),
  );
}

type SamplesByName = ReadonlyMap<string, NonNullable<ReportRow["samples"]>>;

/** Compares a backup with the snapshot of a deployment, whole. */
export async function compareSnapshots(backup: Backup, found: Look): Promise<Verification> {
  const differences = compareInspections(backup.inspection, found.inspection);
  const samples = await sample(backup, found.path, differences);
  const rows = rowsOf(backup.inspection, found.inspection, differences).map((row) => {
    const ids = samples.get(row.name);
    return ids === undefined ? row : { ...row, samples: ids };
  });
  return { rows, equal: differences.length === 0 };
}

/** Ids of components by path, over HTTP (contract 6.2). */
async function componentIds(client: DeploymentClient): Promise<ReadonlyMap<string, string>> {
  const list = await client.systemQuery("_system/frontend/components:list", {});
  return new Map(
    (Array.isArray(list) ? list : []).map(asRecord).map(({ path, id }) => [String(path), String(id)] as const),
  );
}

/**
 * Counts alone: what the backend keeps as each table's size. Files and tables beyond those of the backup are not looked at.
 * @throws BackendError where a table cannot be counted: that would be no proof
 */
async function countTables(client: DeploymentClient, expected: Inspection): Promise<Verification> {
  const ids = expected.tables.some(({ component }) => component !== "") ? await componentIds(client) : new Map();
  const rows: ReportRow[] = [];
  for (const { component, name, documents } of expected.tables) {
    const componentId = ids.get(component);
    const found =
      component === ""
        ? Number(await client.systemQuery("_system/cli/tableSize", { tableName: name }))
        : componentId === undefined
          ? 0
          : Number(await client.systemQuery("_system/frontend/tableSize:default", { tableName: name, componentId }));
    const content = found === documents ? "not compared" : "different";
    rows.push({ name: titleOf(component, name), expected: documents, found, content });
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
    const { exportTimeoutMs: timeoutMs, watch } = options;
    const look = { path, includeStorage: expected.storage !== undefined, timeoutMs, watch };
    return await compareSnapshots(backup, await lookInto(client, look, deps));
  } finally {
    await rm(path, { force: true });
  }
}
