import { murmur } from "./digest.ts";
import { LineScanner } from "./line-scanner.ts";
import { type LineSink, Lines } from "./lines.ts";

export interface DocumentSink {
  /** @param hash 52 bits of the line's hash @param line from 1 */
  document(id: string, hash: number, line: number): void;
}

/**
 * Hands over the valid ids of a `documents.jsonl`, one part of them at a time: those whose random bytes fall to `part` of
 * `parts`. So ids can be compared in flat memory, by reading the table once for each part.
 */
export class DocumentReader implements LineSink {
  readonly #scanner = new LineScanner();
  readonly #lines = new Lines(this, this.#scanner);
  readonly #hash = new Int32Array(4);
  readonly #sink: DocumentSink;
  readonly #part: number;
  readonly #parts: number;

  constructor(sink: DocumentSink, part: number, parts: number) {
    this.#sink = sink;
    this.#part = part;
    this.#parts = parts;
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
  }

  defect(): void {}

  line(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const scanner = this.#scanner;
    if (scanner.idTable === 0) return;
    const at = scanner.idStart;
    if (view.getUint32(at + 8, true) % this.#parts !== this.#part) return;
    const id = Buffer.from(bytes.buffer, bytes.byteOffset + at, scanner.idEnd - at).toString("latin1");
    murmur(view, start, end, this.#hash);
    const [high = 0, low = 0] = this.#hash;
    this.#sink.document(id, (high >>> 0) * 2 ** 20 + (low & 0xfffff), this.#lines.count);
  }
}

/** Ids held in memory at a time: 500,000 take some 50 MB. */
export const IDS_AT_ONCE = 500_000;

/** Into how many parts a table is cut. */
export function partsOf(documents: number, idsAtOnce: number): number {
  return Math.max(1, Math.ceil(documents / idsAtOnce));
}
