import { Archive, type ArchiveEntry } from "./archive.ts";
import { DocumentReader, IDS_AT_ONCE, partsOf } from "./document-reader.ts";
import { placeOf, tableKey } from "./entries.ts";
import type { TableFacts } from "./inspection.ts";
import { LineScanner } from "./line-scanner.ts";

/** Ids of documents that two snapshots do not agree on, some of each kind. */
export interface TableSamples {
  readonly component: string;
  readonly name: string;
  /** Only in the first. */
  readonly missing: readonly string[];
  /** Only in the second. */
  readonly unexpected: readonly string[];
  /** In both, with other values. */
  readonly changed: readonly string[];
}

/** Of each kind and table. */
const SAMPLES = 5;

type Table = Pick<TableFacts, "component" | "name" | "documents">;

/**
 * Names documents that differ between two snapshots. Reads both tables once for each `idsAtOnce` documents, until it
 * has enough. Both archives were inspected before.
 * @param expected the first, with the tables to look at and how many documents they have there
 */
export async function sampleDifferences(
  expected: string,
  found: string,
  tables: readonly Table[],
  idsAtOnce = IDS_AT_ONCE,
): Promise<readonly TableSamples[]> {
  const first = await Archive.open(expected);
  try {
    const second = await Archive.open(found);
    try {
      const wanted = new Set(tables.map(({ component, name }) => tableKey(component, name)));
      const [left, right] = [await documentEntries(first, wanted), await documentEntries(second, wanted)];
      const scanner = new LineScanner();
      const samples: TableSamples[] = [];
      for (const table of tables) {
        const key = tableKey(table.component, table.name);
        const sides = [
          { archive: first, entry: left.get(key), scanner },
          { archive: second, entry: right.get(key), scanner },
        ] as const;
        samples.push(await compareTable(table, sides, idsAtOnce));
      }
      return samples;
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}

async function documentEntries(archive: Archive, wanted: ReadonlySet<string>): Promise<Map<string, ArchiveEntry>> {
  const entries = new Map<string, ArchiveEntry>();
  for await (const each of archive.entries()) {
    const { entry } = placeOf(each.name);
    if (entry.role !== "documents") continue;
    const key = tableKey(entry.component, entry.table);
    if (wanted.has(key)) entries.set(key, each);
  }
  return entries;
}

interface Side {
  readonly archive: Archive;
  /** Undefined where the snapshot does not have the table. */
  readonly entry: ArchiveEntry | undefined;
  /** One for both: they are read by turns. */
  readonly scanner: LineScanner;
}

async function compareTable(
  { component, name, documents }: Table,
  [first, second]: readonly [Side, Side],
  idsAtOnce: number,
): Promise<TableSamples> {
  const missing: string[] = [];
  const unexpected: string[] = [];
  const changed: string[] = [];
  const parts = partsOf(documents, idsAtOnce);
  for (let part = 0; part < parts; part += 1) {
    const hashes = new Map<string, number>();
    await readPart(first, part, parts, (id, hash) => hashes.set(id, hash));
    await readPart(second, part, parts, (id, hash) => {
      const before = hashes.get(id);
      if (before === undefined) add(unexpected, id);
      else if (before !== hash) add(changed, id);
      hashes.delete(id);
    });
    for (const id of hashes.keys()) add(missing, id);
    if ([missing, unexpected, changed].some((ids) => ids.length === SAMPLES)) break;
  }
  return { component, name, missing, unexpected, changed };
}

async function readPart(
  { archive, entry, scanner }: Side,
  part: number,
  parts: number,
  document: (id: string, hash: number) => void,
): Promise<void> {
  if (entry === undefined) return;
  const reader = new DocumentReader(scanner, { document }, part, parts);
  await archive.read(entry, (chunk) => reader.push(chunk));
  reader.end();
}

function add(ids: string[], id: string): void {
  if (ids.length < SAMPLES) ids.push(id);
}
