import { finding } from "./defects.ts";
import { prefixOf } from "./entries.ts";
import type { Inspection, SnapshotFinding, TableFacts } from "./inspection.ts";

/** The importer takes every folder that ends so for file storage (contract 7.3). */
const STORAGE_SUFFIX = "_storage";

type Facts = Pick<Inspection, "tables" | "storage">;

/** What a backend cannot restore from its own export, and how a restore gets around it without losing anything. */
export interface Restorability {
  /**
   * Components whose `_storage/documents.jsonl` is empty. Where such a component is not on the target yet, the import fails,
   * so its entry is left out; where it is, the entry stays, since it is what removes files that came later.
   */
  readonly emptyStorage: readonly { readonly component: string; readonly entry: string }[];
  /** Entries that are always left out: `my_storage/generated_schema.jsonl`, without which the table's values survive too. */
  readonly leaveOut: readonly string[];
  /** What no road brings back; a restore is refused before it changes anything. */
  readonly refused: readonly SnapshotFinding[];
}

export function restorability({ tables, storage }: Facts): Restorability {
  const suffixed = tables.filter(({ name }) => name.endsWith(STORAGE_SUFFIX));
  const empty = (storage ?? []).filter(({ component, files }) => component !== "" && files === 0);
  return {
    emptyStorage: empty.map(({ component }) => ({ component, entry: metadataOf(component) })),
    leaveOut: suffixed.filter(({ exactValues }) => !exactValues).map(schemaOf),
    refused: suffixed.filter(({ exactValues }) => exactValues).map(suffixFinding),
  };
}

/** The entries to leave out of what is uploaded to a target that has these components. */
export function entriesToLeaveOut(roads: Restorability, targetComponents: readonly string[]): readonly string[] {
  const missing = roads.emptyStorage.filter(({ component }) => !targetComponents.includes(component));
  return [...roads.leaveOut, ...missing.map(({ entry }) => entry)];
}

/** The same, as it is said when the backup is made. */
export function restoreFindings(facts: Facts): readonly SnapshotFinding[] {
  const suffixed = facts.tables.filter(({ name }) => name.endsWith(STORAGE_SUFFIX));
  const empty = restorability(facts).emptyStorage.map(({ component, entry }) =>
    finding("component-storage-empty", entry, component),
  );
  return [...suffixed.map(suffixFinding), ...empty];
}

function suffixFinding(table: TableFacts): SnapshotFinding {
  return finding(table.exactValues ? "storage-suffix-lost" : "storage-suffix-table", schemaOf(table), table.name);
}

function schemaOf({ component, name }: TableFacts): string {
  return `${prefixOf(component)}${name}/generated_schema.jsonl`;
}

function metadataOf(component: string): string {
  return `${prefixOf(component)}_storage/documents.jsonl`;
}
