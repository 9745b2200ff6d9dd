import { type FileHandle, open, rm } from "node:fs/promises";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";

/** As much as one call of the file system writes or reads. */
const BLOCK_BYTES = 1024 * 1024;

/** What a file that cannot be written means. */
export function writeFailure(path: string, error: unknown): ActionError {
  const code = systemCode(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") {
    return new ActionError(
      "disk-unwritable",
      `${path} cannot be written: ${messageOf(error)}.`,
      "Check that RUNNER_TEMP is a directory that this job may write to.",
      { cause: error },
    );
  }
  return new ActionError(
    "disk-full",
    `No space left for ${path}.`,
    "Free space on the runner's disk, or point RUNNER_TEMP at a larger one: a snapshot lies there as a whole for a while.",
    { cause: error },
  );
}

/**
 * A file that is read while it is still being written. What is slow to read it (an upload) does not hold up what
 * writes it (a download, which a server may cut off when nobody takes its bytes), and neither needs memory for it.
 */
export class Spool implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  /** What is not in the file yet. */
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #pending = 0;
  /** What readers may read. */
  #written = 0;
  #state: "open" | "complete" | "failed" = "open";
  #failure: unknown;
  #waiting = new Set<() => void>();

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** A new file that nobody else can read. @throws ActionError `disk-full`, `disk-unwritable` */
  static async create(path: string): Promise<Spool> {
    try {
      return new Spool(path, await open(path, "wx+", 0o600));
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /**
   * What is written lies in memory until there is a block of it, or the end; the caller may use `bytes` again.
   * @throws ActionError `disk-full`, `disk-unwritable`
   */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.subarray(at, at + BLOCK_BYTES - this.#pending);
      this.#block.set(taken, this.#pending);
      this.#pending += taken.length;
      at += taken.length;
      if (this.#pending === BLOCK_BYTES) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    try {
      for (let at = 0; at < this.#pending; ) {
        const { bytesWritten } = await this.#file.write(this.#block, at, this.#pending - at, this.#written);
        at += bytesWritten;
        this.#written += bytesWritten;
      }
    } catch (error) {
      throw writeFailure(this.path, error);
    }
    this.#pending = 0;
    this.#wake();
  }

  /** Nothing follows: readers come to their end. @throws ActionError `disk-full`, `disk-unwritable` */
  async complete(): Promise<void> {
    await this.#flush();
    this.#state = "complete";
    this.#wake();
  }

  /** Readers end with this error once they have read what there is. */
  fail(error: unknown): void {
    this.#state = "failed";
    this.#failure = error;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /**
   * Everything from the start, as it comes, until the writer is done. All pieces lie in one buffer: each is good until
   * the next is asked for.
   */
  async *read(): AsyncGenerator<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    for (let at = 0; ; ) {
      if (at < this.#written) {
        const { bytesRead } = await this.#file.read(buffer, 0, Math.min(BLOCK_BYTES, this.#written - at), at);
        if (bytesRead === 0) throw new Error(`${this.path} is shorter than what was written to it`);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (this.#state === "failed") {
        throw this.#failure instanceof Error ? this.#failure : new Error(messageOf(this.#failure));
      } else if (this.#state === "complete") {
        return;
      } else {
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    }
  }

  /** Removes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "open") this.fail(new Error(`${this.path} was removed`));
    await this.#file.close();
    await rm(this.path, { force: true });
  }
}
