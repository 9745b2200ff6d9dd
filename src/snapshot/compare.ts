import { tableKey } from "./entries.ts";
import type { Inspection, StorageFacts, TableFacts } from "./inspection.ts";

/** What a manifest keeps of an inspection. */
export type SnapshotFacts = Pick<Inspection, "tables" | "storage" | "encoding">;

/** Where two snapshots do not hold the same. */
export interface Difference {
  readonly component: string;
  /** A table's name, or `_storage` for the files of the component. */
  readonly name: string;
  /** `missing`, `unexpected`: on one side only; `count`: another number; `content`: as many, but others. */
  readonly kind: "missing" | "unexpected" | "count" | "content";
  /** Documents or files. */
  readonly expected: number;
  readonly found: number;
}

/**
 * Table by table, component by component. Digests are compared where both snapshots write values in one encoding;
 * else (a snapshot from before 2026-03-11, and the export of a newer backend) counts alone, see `sameEncoding`.
 * A table that is only found and empty is no difference: it stands in the target's schema.
 */
export function compareInspections(expected: SnapshotFacts, found: SnapshotFacts): readonly Difference[] {
  const tables = differences(
    expected.tables.map(fromTable),
    found.tables.map(fromTable),
    sameEncoding(expected, found),
  );
  // a backup without file storage says nothing about files
  if (expected.storage === undefined) return tables;
  return [...tables, ...differences(expected.storage.map(fromFiles), (found.storage ?? []).map(fromFiles), true)];
}

/** Whether the digests of tables can be compared at all. */
export function sameEncoding(expected: SnapshotFacts, found: SnapshotFacts): boolean {
  return expected.encoding === found.encoding || expected.encoding === "none" || found.encoding === "none";
}

interface Counted {
  readonly component: string;
  readonly name: string;
  readonly count: number;
  readonly digest: string;
}

function fromTable({ component, name, documents, digest }: TableFacts): Counted {
  return { component, name, count: documents, digest };
}

function fromFiles({ component, files, digest }: StorageFacts): Counted {
  return { component, name: "_storage", count: files, digest };
}

function differences(expected: readonly Counted[], found: readonly Counted[], digests: boolean): Difference[] {
  const rest = new Map(found.map((each) => [tableKey(each.component, each.name), each]));
  const list: Difference[] = [];
  for (const one of expected) {
    const key = tableKey(one.component, one.name);
    const other = rest.get(key);
    rest.delete(key);
    const kind = kindOf(one, other, digests);
    if (kind !== undefined) list.push(difference(kind, one, one.count, other?.count ?? 0));
  }
  for (const other of rest.values()) {
    if (other.count > 0) list.push(difference("unexpected", other, 0, other.count));
  }
  return list;
}

function kindOf(one: Counted, other: Counted | undefined, digests: boolean): Difference["kind"] | undefined {
  // a component without files may have no folder for them
  if (other === undefined) return one.name === "_storage" && one.count === 0 ? undefined : "missing";
  if (one.count !== other.count) return "count";
  return digests && one.digest !== other.digest ? "content" : undefined;
}

function difference(
  kind: Difference["kind"],
  { component, name }: Counted,
  expected: number,
  found: number,
): Difference {
  return { component, name, kind, expected, found };
}
