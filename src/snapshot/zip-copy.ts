import type { Archive, ArchiveEntry } from "./archive.ts";
import { centralRecord, endRecords, localHeader, type WrittenEntry } from "./zip-records.ts";

export interface CopiedEntry {
  readonly entry: ArchiveEntry;
  /** In the copy. */
  readonly name: Buffer;
}

/** A ZIP of entries of another one, which are copied as they are packed: nothing is ever serialised again. */
export async function* zipCopy(archive: Archive, entries: AsyncIterable<CopiedEntry>): AsyncGenerator<Buffer> {
  const written: WrittenEntry[] = [];
  let at = 0;
  for await (const { entry, name } of entries) {
    const { flags, method, crc, size, packed } = entry;
    const copy = { name, flags, method, crc, size, packed, offset: at };
    written.push(copy);
    const header = localHeader(copy);
    yield header;
    yield* archive.packed(entry);
    at += header.length + packed;
  }
  const start = at;
  for (const entry of written) {
    const record = centralRecord(entry);
    at += record.length;
    yield record;
  }
  yield endRecords(written.length, start, at - start);
}
