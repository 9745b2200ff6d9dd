import { murmur } from "./digest.ts";
import type { LineScanner, LineSink, ScannedLine } from "./line-scanner.ts";

export interface DocumentSink {
  /** @param hash 52 bits of the line's hash @param line from 1 */
  document(id: string, hash: number, line: number): void;
}

/**
 * Hands over the valid ids of a `documents.jsonl`, one part of them at a time: those whose random bytes fall to `part` of
 * `parts`. So ids can be compared in flat memory, by reading the table once for each part.
 */
export class DocumentReader implements LineSink {
  readonly #scanner: LineScanner;
  readonly #hash = new Int32Array(4);
  readonly #sink: DocumentSink;
  readonly #part: number;
  readonly #parts: number;

  constructor(scanner: LineScanner, sink: DocumentSink, part: number, parts: number) {
    this.#scanner = scanner;
    this.#sink = sink;
    this.#part = part;
    this.#parts = parts;
    scanner.begin(this);
  }

  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  end(): void {
    this.#scanner.end();
  }

  defect(): void {}

  line({ start, end, idStart, idEnd, idTable }: ScannedLine, number: number): void {
    if (idTable === 0) return;
    const { memory } = this.#scanner;
    if (memory.readUInt32LE(idStart + 8) % this.#parts !== this.#part) return;
    murmur(memory.subarray(start, end), this.#hash);
    const [high = 0, low = 0] = this.#hash;
    this.#sink.document(memory.toString("latin1", idStart, idEnd), (high >>> 0) * 2 ** 20 + (low & 0xfffff), number);
  }
}

/** Ids held in memory at a time: 500,000 take some 50 MB. */
export const IDS_AT_ONCE = 500_000;

/** Into how many parts a table is cut. */
export function partsOf(documents: number, idsAtOnce: number): number {
  return Math.max(1, Math.ceil(documents / idsAtOnce));
}
