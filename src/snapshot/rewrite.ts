import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { Archive, type ArchiveEntry } from "./archive.ts";
import { placeOf } from "./entries.ts";
import { type CopiedEntry, zipCopy } from "./zip-copy.ts";

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
      for await (const chunk of zipCopy(archive, kept(archive, leaveOut))) {
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

async function* kept(archive: Archive, leaveOut: readonly string[]): AsyncGenerator<CopiedEntry> {
  const missing = new Set(leaveOut);
  for await (const entry of archive.entries()) {
    if (leaveOut.includes(plainName(entry))) missing.delete(plainName(entry));
    else yield { entry, name: entry.raw.fileNameRaw };
  }
  if (missing.size > 0) throw new Error(`not in the snapshot: ${[...missing].join(", ")}`);
}

/** Without a folder in front, which the importer ignores too. */
function plainName({ name }: ArchiveEntry): string {
  const { folder } = placeOf(name);
  return folder !== "" && name.startsWith(`${folder}/`) ? name.slice(folder.length + 1) : name;
}
