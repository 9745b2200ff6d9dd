import type { FileHandle } from "node:fs/promises";
import yauzl from "yauzl";

/** Read at a time. */
const WINDOW = 256 * 1024;

/** Reads ahead: two small reads for each of maybe a million entries would take longer than their content. */
export class DirectoryReader extends yauzl.RandomAccessReader {
  readonly #file: FileHandle;
  readonly #window = Buffer.allocUnsafe(WINDOW);
  #start = 0;
  #filled = 0;

  constructor(file: FileHandle) {
    super();
    this.#file = file;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytes?: number) => void,
  ): void {
    this.#read(buffer, offset, length, position).then(
      (bytes) => callback(null, bytes),
      (error: unknown) => callback(error as Error),
    );
  }

  async #read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    if (length > WINDOW) return (await this.#file.read(buffer, offset, length, position)).bytesRead;
    if (position < this.#start || position + length > this.#start + this.#filled) {
      this.#start = position;
      this.#filled = (await this.#file.read(this.#window, 0, WINDOW, position)).bytesRead;
    }
    const from = position - this.#start;
    return this.#window.copy(buffer, offset, from, Math.min(from + length, this.#filled));
  }
}
