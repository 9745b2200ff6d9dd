import { isUtf8 } from "node:buffer";
import type { DefectKind } from "./defects.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const FEWEST_BYTES = 4 * 1024;
/**
 * A document has 1 MiB at most; written as JSON, with every character escaped, it may be six times as long. Shorter
 * documents are not judged: the backend counts bytes of its own encoding, which a line does not show, and what it has
 * exported was within its limit.
 */
export const LONGEST_LINE = 8 * 1024 * 1024;
/** What reads a line may look as many bytes beyond its line break. */
const READ_BEHIND = 64;

export interface LineSink {
  /** One line without its line break; the memory is only valid now, and readable a few bytes beyond. */
  line(bytes: Uint8Array, view: DataView, start: number, end: number): void;
  /** @param line number of the line, from 1 */
  defect(kind: DefectKind, line: number, detail?: string): void;
}

/** Reads a line before it is handed over, and so finds its end on the way. */
export interface LineReader {
  /** The place of the line break, or less than 0 when it must be looked for. */
  scan(bytes: Uint8Array, view: DataView, start: number): number;
}

/**
 * Cuts what arrives in pieces into lines. They are read where they are; only what lies over the border of two pieces is
 * copied. Memory grows to the longest line and no further.
 */
export class Lines {
  readonly #sink: LineSink;
  readonly #reader: LineReader | undefined;
  /** The beginning of a line whose end has not arrived yet, or arrived within the last bytes of a piece. */
  #kept = Buffer.alloc(0);
  #filled = 0;
  /** In the middle of a line that is too long. */
  #skipping = false;
  /** Lines so far. */
  count = 0;

  constructor(sink: LineSink, reader?: LineReader) {
    this.#sink = sink;
    this.#reader = reader;
  }

  push(chunk: Buffer): void {
    let from = 0;
    if (this.#skipping || this.#filled > 0) {
      const newline = chunk.indexOf(NEWLINE);
      from = newline < 0 ? chunk.length : newline + 1;
      if (!this.#skipping) this.#keep(chunk, 0, from);
      if (newline < 0) return;
      this.#skipping = false;
      this.#takeKept();
      this.#filled = 0;
    }
    const last = chunk.length > READ_BEHIND ? chunk.lastIndexOf(NEWLINE, chunk.length - READ_BEHIND - 1) : -1;
    if (last >= from) {
      this.#take(chunk, from, last + 1);
      from = last + 1;
    }
    this.#keep(chunk, from, chunk.length);
  }

  /** Takes what is left, and gives the memory back: a snapshot has many tables. */
  end(): void {
    const whole = this.#takeKept();
    if (whole < this.#filled) {
      this.#sink.defect("line-unfinished", this.count + 1);
      this.#kept[this.#filled] = NEWLINE;
      this.#take(this.#kept, whole, this.#filled + 1);
    }
    this.#filled = 0;
    this.#kept = Buffer.alloc(0);
  }

  /** The whole lines of what was kept; where they end. */
  #takeKept(): number {
    const whole = this.#filled === 0 ? 0 : this.#kept.lastIndexOf(NEWLINE, this.#filled - 1) + 1;
    this.#take(this.#kept, 0, whole);
    return whole;
  }

  /** All lines from `from` to `end`, which is behind a line break. */
  #take(bytes: Buffer, from: number, end: number): void {
    if (from === end) return;
    const valid = isUtf8(bytes.subarray(from, end));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let start = from; start < end; ) {
      const read = this.#reader?.scan(bytes, view, start) ?? -1;
      const newline = read < 0 ? bytes.indexOf(NEWLINE, start) : read;
      const stop = newline > start && bytes[newline - 1] === RETURN ? newline - 1 : newline;
      this.count += 1;
      if (this.count === 1) this.#refuseMark(bytes, start);
      if (stop === start) this.#sink.defect("line-empty", this.count);
      else if (stop - start > LONGEST_LINE) this.#sink.defect("line-too-long", this.count, `${stop - start} bytes`);
      else {
        if (!valid && !isUtf8(bytes.subarray(start, stop))) this.#sink.defect("not-utf8", this.count);
        this.#sink.line(bytes, view, start, stop);
      }
      start = newline + 1;
    }
  }

  #refuseMark(bytes: Buffer, start: number): void {
    if (bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) this.#sink.defect("bom", 1);
  }

  #keep(chunk: Buffer, from: number, end: number): void {
    const filled = this.#filled + end - from;
    if (filled > LONGEST_LINE + READ_BEHIND && chunk[end - 1] !== NEWLINE) {
      this.#tooLong();
      return;
    }
    if (filled + READ_BEHIND > this.#kept.length) this.#grow(filled + READ_BEHIND);
    chunk.copy(this.#kept, this.#filled, from, end);
    this.#filled = filled;
  }

  #tooLong(): void {
    this.#takeKept();
    this.count += 1;
    this.#sink.defect("line-too-long", this.count, `more than ${LONGEST_LINE / 1024 / 1024} MiB`);
    this.#filled = 0;
    this.#skipping = true;
  }

  #grow(needed: number): void {
    const bytes = Buffer.alloc(Math.max(FEWEST_BYTES, 2 ** Math.ceil(Math.log2(needed))));
    this.#kept.copy(bytes, 0, 0, this.#filled);
    this.#kept = bytes;
  }
}
