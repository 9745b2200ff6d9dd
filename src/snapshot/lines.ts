import { isUtf8 } from "node:buffer";
import type { DefectKind } from "./defects.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const FEWEST_BYTES = 64 * 1024;
/** A document has 1 MiB at most; written as JSON, with every character escaped, it may be six times as long. */
export const LONGEST_LINE = 8 * 1024 * 1024;
/** What reads a line may look a few bytes beyond it. */
const BEHIND = 16;

export interface LineSink {
  /** One line without its line break; the memory is only valid now, and readable a few bytes beyond. */
  line(bytes: Uint8Array, view: DataView, start: number, end: number): void;
  /** @param line number of the line, from 1 */
  defect(kind: DefectKind, line: number, detail?: string): void;
}

/** Cuts what arrives in pieces into lines. Memory grows to the longest line and no further. */
export class Lines {
  readonly #sink: LineSink;
  #bytes = Buffer.alloc(0);
  #view = new DataView(this.#bytes.buffer, 0, 0);
  #filled = 0;
  /** In the middle of a line that is too long. */
  #skipping = false;
  /** Lines so far. */
  count = 0;

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    if (this.#skipping) {
      const newline = rest.indexOf(NEWLINE);
      if (newline < 0) return;
      this.#skipping = false;
      rest = rest.subarray(newline + 1);
    }
    if (this.#filled + rest.length > this.#bytes.length - BEHIND) {
      this.#grow(this.#filled + rest.length);
    }
    rest.copy(this.#bytes, this.#filled);
    const before = this.#filled;
    this.#filled += rest.length;
    const last = rest.lastIndexOf(NEWLINE);
    if (last >= 0) this.#take(before + last + 1);
    if (this.#filled > LONGEST_LINE) this.#tooLong();
  }

  /** Takes what is left, and gives the memory back: a snapshot has many tables. */
  end(): void {
    if (this.#filled > 0) {
      this.#sink.defect("line-unfinished", this.count + 1);
      this.#bytes[this.#filled] = NEWLINE;
      this.#filled += 1;
      this.#take(this.#filled);
    }
    this.#replace(0);
  }

  /** All lines up to `end`, which is behind a line break. */
  #take(end: number): void {
    const bytes = this.#bytes;
    const valid = isUtf8(bytes.subarray(0, end));
    for (let start = 0; start < end; ) {
      const newline = bytes.indexOf(NEWLINE, start);
      const stop = newline > start && bytes[newline - 1] === RETURN ? newline - 1 : newline;
      this.count += 1;
      if (this.count === 1) this.#refuseMark(start);
      if (stop === start) this.#sink.defect("line-empty", this.count);
      else if (stop - start > LONGEST_LINE) this.#sink.defect("line-too-long", this.count, `${stop - start} bytes`);
      else {
        if (!valid && !isUtf8(bytes.subarray(start, stop))) this.#sink.defect("not-utf8", this.count);
        this.#sink.line(bytes, this.#view, start, stop);
      }
      start = newline + 1;
    }
    bytes.copyWithin(0, end, this.#filled);
    this.#filled -= end;
  }

  #refuseMark(start: number): void {
    if (this.#bytes[start] === 0xef && this.#bytes[start + 1] === 0xbb && this.#bytes[start + 2] === 0xbf) {
      this.#sink.defect("bom", 1);
    }
  }

  #tooLong(): void {
    this.count += 1;
    this.#sink.defect("line-too-long", this.count, `more than ${LONGEST_LINE / 1024 / 1024} MiB`);
    this.#filled = 0;
    this.#skipping = true;
  }

  #grow(needed: number): void {
    this.#replace(Math.max(FEWEST_BYTES, 2 ** Math.ceil(Math.log2(needed + BEHIND))));
  }

  #replace(size: number): void {
    const bytes = Buffer.alloc(size);
    this.#bytes.copy(bytes, 0, 0, this.#filled);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}
