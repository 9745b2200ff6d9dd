import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { Archive, type ArchiveEntry } from "./archive.ts";
import { placeOf } from "./entries.ts";
import { centralRecord, endRecords, localHeader, type WrittenEntry } from "./zip-records.ts";

/**
 * Writes the archive to upload when some entries must be left out. The others are copied as they are packed, byte by
 * byte: no document is ever serialised again. Memory does not grow with the snapshot. The file is new, and readable for its
 * owner alone.
 * @param leaveOut names of entries, each of which must be there
 */
export async function rewriteSnapshot(
  path: string,
  out: string,
  leaveOut: readonly string[],
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const archive = await Archive.open(path);
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of rewritten(archive, leaveOut)) {
        hash.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    };
    await pipeline(counted, createWriteStream(out, { flags: "wx", mode: 0o600 }));
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    await archive.close();
  }
}

async function* rewritten(archive: Archive, leaveOut: readonly string[]): AsyncGenerator<Buffer> {
  const missing = new Set(leaveOut);
  const written: WrittenEntry[] = [];
  let at = 0;
  for await (const entry of archive.entries()) {
    if (leaveOut.includes(plainName(entry))) {
      missing.delete(plainName(entry));
      continue;
    }
    const kept = {
      name: entry.raw.fileNameRaw,
      flags: entry.flags,
      method: entry.method,
      crc: entry.crc,
      size: entry.size,
      packed: entry.packed,
      offset: at,
    };
    written.push(kept);
    const header = localHeader(kept);
    yield header;
    yield* archive.packed(entry);
    at += header.length + entry.packed;
  }
  if (missing.size > 0) throw new Error(`not in the snapshot: ${[...missing].join(", ")}`);
  const start = at;
  for (const entry of written) {
    const record = centralRecord(entry);
    at += record.length;
    yield record;
  }
  yield endRecords(written.length, start, at - start);
}

/** Without a folder in front, which the importer ignores too. */
function plainName({ name }: ArchiveEntry): string {
  const { folder } = placeOf(name);
  return folder !== "" && name.startsWith(`${folder}/`) ? name.slice(folder.length + 1) : name;
}
