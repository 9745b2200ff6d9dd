import type { Archive, ArchiveEntry } from "./archive.ts";
import { DocumentReader, IDS_AT_ONCE, partsOf } from "./document-reader.ts";
import type { LineScanner } from "./line-scanner.ts";

/**
 * The number of a line whose `_id` stood in an earlier one; undefined without any. Only needed for tables whose ids do
 * not ascend, which a backend never writes.
 */
export async function firstRepeatedId(
  archive: Archive,
  entry: ArchiveEntry,
  documents: number,
  scanner: LineScanner,
  idsAtOnce = IDS_AT_ONCE,
): Promise<number | undefined> {
  const parts = partsOf(documents, idsAtOnce);
  for (let part = 0; part < parts; part += 1) {
    const ids = new Set<string>();
    let repeated: number | undefined;
    const take = (id: string, _hash: number, line: number): void => {
      if (ids.has(id)) repeated ??= line;
      ids.add(id);
    };
    const reader = new DocumentReader(scanner, { document: take }, part, parts);
    await archive.read(entry, (chunk) => reader.push(chunk));
    reader.end();
    if (repeated !== undefined) return repeated;
  }
  return undefined;
}
