/** Which number each table of an import gets, and what that collides with (contract 7.3). */
import { inComponent } from "../components.ts";
import { decodeId } from "../ids.ts";
import { SYSTEM_TABLES } from "../store-read.ts";
import type { ReadTransaction } from "../types.ts";
import { ImportError } from "./import-error.ts";
import { type ImportMode, type PlannedTable, STORAGE } from "./plan.ts";
import { type ImportSource, nameOf, numberOf, rowId } from "./source.ts";

/** Numbers from `_tables` by component and name. @throws ImportError */
export function listedNumbers(source: ImportSource): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const { component, lines } of source.numbers) {
    for (const [i, line] of lines.entries()) {
      const name = nameOf(line) ?? "";
      const number = numberOf(line, i + 1);
      if (numbers.has(keyOf(component, name))) {
        throw ImportError.prefixed(`\`_tables\` contains duplicate entries for \`${name}\``);
      }
      const other = [...numbers].find(([key, taken]) => taken === number && key.startsWith(`${component}\0`));
      if (other !== undefined) {
        throw ImportError.prefixed(
          `conflict between \`${other[0].split("\0")[1]}\` and \`${name}\` with number ${number}`,
        );
      }
      numbers.set(keyOf(component, name), number);
    }
  }
  return numbers;
}

export function keyOf(component: string, table: string): string {
  return `${component}\0${table}`;
}

/**
 * The number that a table wants: listed, else that of its first `_id`, else the one it has; undefined for any.
 */
export function wantedNumber(
  tx: ReadTransaction,
  entry: PlannedTable,
  listed: Map<string, number>,
): number | undefined {
  const first = entry.units.flatMap((unit) => unit.rows.slice(0, 1)).map(rowId)[0];
  const ofFirst = typeof first === "string" ? decodeId(first)?.table : undefined;
  return listed.get(keyOf(entry.component, entry.table)) ?? ofFirst ?? tx.table(entry.component, entry.table)?.number;
}

/**
 * Refuses a number that something else has: a table that stays, or a system table.
 * @param leaving tables of the same component whose number becomes free
 * @throws ImportError
 */
export function checkNumber(
  tx: ReadTransaction,
  entry: Pick<PlannedTable, "component" | "table">,
  number: number,
  leaving: (name: string) => boolean,
): void {
  const shown = entry.table === STORAGE ? "_file_storage" : entry.table;
  const what = `New table \`${shown}\`${inComponent(entry.component)} has IDs that conflict with existing`;
  if (Object.entries(SYSTEM_TABLES).some(([name, known]) => known === number && name !== entry.table)) {
    const advice = "Consider importing this table without `_id` fields or import into a new deployment.";
    throw ImportError.prefixed(`${what} internal table. ${advice}`);
  }
  const other = tx.tableByNumber(entry.component, number);
  if (other === undefined || other.name === entry.table || leaving(other.name)) return;
  const advice = "To delete all existing tables, import with `npx convex import --replace-all`.";
  throw ImportError.prefixed(`${what} table \`${other.name}\`. ${advice}`);
}

/** Appending keeps the number of the table that is there. @throws ImportError */
export function checkAppend(
  entry: PlannedTable,
  mode: ImportMode,
  wanted: number | undefined,
  has: number | undefined,
): void {
  if (mode !== "append" || has === undefined || wanted === undefined || wanted === has) return;
  throw ImportError.prefixed(`table ${entry.table} wants table number ${wanted} but was already assigned ${has}`);
}
