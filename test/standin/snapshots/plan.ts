/** What an import would do, table by table: its checkpoints and the summary that is to be confirmed (contract 7.3). */
import { componentPaths } from "../components.ts";
import type { Fields, ReadTransaction } from "../types.ts";
import { ImportError } from "./import-error.ts";
import { type FileUnit, type ImportSource, nameOf, rowId, type TableUnit } from "./source.ts";

export type ImportMode = "requireEmpty" | "append" | "replace" | "replaceAll";

export const STORAGE = "_storage";

export interface PlannedTable {
  readonly component: string;
  /** `_storage` for files */
  readonly table: string;
  readonly units: readonly TableUnit[];
  readonly files: FileUnit | undefined;
  /** Only there because replaceAll empties or deletes it. */
  readonly absent: boolean;
  readonly existing: number;
  readonly total: number;
  readonly missingId: boolean;
}

/** Ordered by component (root first), then by name. @throws ImportError for a table that must be empty and is not */
export function makePlan(tx: ReadTransaction, source: ImportSource, mode: ImportMode): PlannedTable[] {
  const names = new Map<string, { component: string; table: string; absent: boolean }>();
  const add = (component: string, table: string, absent = false) => {
    const key = `${component}\0${table}`;
    if (!names.has(key)) names.set(key, { component, table, absent });
  };
  for (const unit of source.tables) if (!unit.table.startsWith("_")) add(unit.component, unit.table);
  for (const { component, lines } of source.numbers) for (const line of lines) add(component, nameOf(line) ?? "");
  for (const unit of source.files) if (unit.listed) add(unit.component, STORAGE);
  if (mode === "replaceAll") {
    const live = componentPaths(tx).flatMap((component) => tx.userTables(component));
    for (const { component, name } of live) add(component, name, true);
  }
  const plan = [...names.values()].map((name) => planned(tx, source, name)).sort(inOrder);
  const occupied = mode === "requireEmpty" ? plan.find((entry) => entry.existing > 0) : undefined;
  if (occupied !== undefined) {
    throw new ImportError(
      `Table ${occupied.table} already exists. Please choose a new table name or use replace/append modes.`,
    );
  }
  return plan;
}

function planned(
  tx: ReadTransaction,
  source: ImportSource,
  { component, table, absent }: { component: string; table: string; absent: boolean },
): PlannedTable {
  const units = source.tables.filter((unit) => unit.component === component && unit.table === table);
  const files = table === STORAGE ? source.files.find((unit) => unit.component === component) : undefined;
  const total = files?.lines.length ?? units.reduce((sum, unit) => sum + unit.rows.length, 0);
  const missingId = units.some((unit) => unit.rows.some((row) => rowId(row) === undefined));
  return { component, table, units, files, absent, existing: tx.count(component, table), total, missingId };
}

function inOrder(a: PlannedTable, b: PlannedTable): number {
  const left = `${a.component}\0${a.table}`;
  const right = `${b.component}\0${b.table}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

function deletedRows(entry: PlannedTable, mode: ImportMode): number {
  return mode === "replace" || mode === "replaceAll" ? entry.existing : 0;
}

/** The document's `checkpoints`. `tablets` as they are made, by component and table. */
export function checkpoints(plan: readonly PlannedTable[], mode: ImportMode): Fields[] {
  return plan.map((entry) => ({
    component_path: entry.component === "" ? null : entry.component,
    display_table_name: entry.table,
    existing_rows_in_table: BigInt(entry.existing),
    existing_rows_to_delete: BigInt(deletedRows(entry, mode)),
    is_missing_id_field: entry.missingId,
    num_rows_written: 0n,
    tablet_id: null,
    total_num_rows_to_write: BigInt(entry.total),
  }));
}

/** The fields of `waiting_for_confirmation`. */
export function confirmation(plan: readonly PlannedTable[], mode: ImportMode): Fields {
  const lines: string[] = [];
  for (const component of [...new Set(plan.map((entry) => entry.component))]) {
    if (component !== "") lines.push(`Component ${component}`);
    lines.push(
      ...tableLines(
        plan.filter((entry) => entry.component === component),
        mode,
      ),
    );
  }
  const head = lines.length === 0 ? [] : ["Import change summary:", ...lines];
  const tail = [
    "Once the import has started, it will run in the background.",
    "Interrupting `npx convex import` will not cancel it.",
  ];
  return {
    message_to_confirm: [...head, ...tail].join("\n"),
    require_manual_confirmation: plan.some((entry) => deletedRows(entry, mode) > 0),
  };
}

function tableLines(entries: readonly PlannedTable[], mode: ImportMode): string[] {
  const rows = entries.map((entry) => {
    const files = entry.table === STORAGE ? " files" : "";
    return [entry.table, count(entry.total), `${count(deletedRows(entry, mode))} of ${count(entry.existing)}${files}`];
  });
  const table = [["table", "create", "delete"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const texts = table.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
  const [header = "", ...body] = texts;
  return [header, "-".repeat(header.length), ...body];
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
