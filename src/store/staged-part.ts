import { randomUUID } from "node:crypto";
import { createReadStream, type ReadStream } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { PartReader } from "./parts.ts";

/** A part too large for memory, in a file that only this user can read, so that it can be sent again. */
export class StagedPart {
  readonly bytes: number;
  readonly crc: number;
  readonly #path: string;

  private constructor(path: string, bytes: number, crc: number) {
    this.#path = path;
    this.bytes = bytes;
    this.crc = crc;
  }

  /** @param onChunk sees each chunk once, in order */
  static async read(
    reader: PartReader,
    most: number,
    folder: string,
    onChunk: (chunk: Uint8Array) => void,
  ): Promise<StagedPart> {
    const path = join(folder, `convex-part-${randomUUID()}`);
    const file = await open(path, "wx", 0o600);
    try {
      let bytes = 0;
      let crc = 0;
      while (bytes < most) {
        const chunk = await reader.next(most - bytes);
        if (chunk === undefined) break;
        onChunk(chunk);
        crc = crc32(chunk, crc);
        let written = 0;
        while (written < chunk.length) written += (await file.write(chunk, written)).bytesWritten;
        bytes += chunk.length;
      }
      return new StagedPart(path, bytes, crc);
    } catch (failure) {
      await unlink(path).catch(() => undefined);
      throw failure;
    } finally {
      await file.close();
    }
  }

  open(): ReadStream {
    return createReadStream(this.#path);
  }

  async remove(): Promise<void> {
    await unlink(this.#path).catch(() => undefined);
  }
}
