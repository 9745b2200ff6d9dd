import { type FileHandle, open } from "node:fs/promises";
import type { Sink } from "../snapshot/download.ts";
import { writeFailure } from "../snapshot/spool.ts";

/** A new file that nobody else can read, written from its beginning to its end. */
export class FileSink implements Sink {
  readonly path: string;
  readonly #file: FileHandle;
  #written = 0;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** @throws ActionError `disk-full`, `disk-unwritable` */
  static async create(path: string): Promise<FileSink> {
    try {
      return new FileSink(path, await open(path, "wx", 0o600));
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /** @throws ActionError `disk-full`, `disk-unwritable` */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#written);
        at += bytesWritten;
        this.#written += bytesWritten;
      }
    } catch (error) {
      throw writeFailure(this.path, error);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
