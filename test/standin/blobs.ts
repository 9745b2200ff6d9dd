/** Blobs in a directory: `storage/{files,modules,search,exports,snapshot_imports}/<uuid>.blob` (contract 1.4). */
import { createHash, randomUUID } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BlobKind, Blobs } from "./types.ts";

export const BLOB_KINDS: readonly BlobKind[] = ["files", "modules", "search", "exports", "snapshot_imports"];

export class LocalBlobs implements Blobs {
  readonly directory: string;

  /** Makes the directories; throws the system's error. */
  constructor(directory: string) {
    this.directory = directory;
    for (const kind of BLOB_KINDS) mkdirSync(join(directory, kind), { recursive: true });
  }

  async put(kind: BlobKind, bytes: Uint8Array): Promise<string> {
    const uuid = randomUUID();
    await writeFile(this.path(kind, uuid), bytes, { flag: "wx" });
    return uuid;
  }

  async putStream(kind: BlobKind, stream: Readable): Promise<{ uuid: string; size: number; sha256: Buffer }> {
    const uuid = randomUUID();
    const hash = createHash("sha256");
    let size = 0;
    const measured = async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        size += chunk.length;
        hash.update(chunk);
        yield chunk;
      }
    };
    await pipeline(stream, measured, createWriteStream(this.path(kind, uuid), { flags: "wx" }));
    return { uuid, size, sha256: hash.digest() };
  }

  async get(kind: BlobKind, uuid: string): Promise<Buffer | undefined> {
    if (!this.has(kind, uuid)) return undefined;
    return readFile(this.path(kind, uuid));
  }

  async delete(kind: BlobKind, uuid: string): Promise<void> {
    await rm(this.path(kind, uuid), { force: true });
  }

  has(kind: BlobKind, uuid: string): boolean {
    return existsSync(this.path(kind, uuid));
  }

  path(kind: BlobKind, uuid: string): string {
    return join(this.directory, kind, `${uuid}.blob`);
  }
}
