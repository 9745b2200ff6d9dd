import type { DefectKind } from "./defects.ts";
import { hexOf } from "./digest.ts";
import { KINDS_OF_FLAGS, KINDS_OF_LINES } from "./line-defects.ts";
import * as FLAG from "./line-flags.ts";
import { rarities } from "./rarities.ts";
import { MODULE } from "./scanner.wasm.ts";

/** One line without its line break, as places in the scanner's memory, which hold it until the next one. */
export interface ScannedLine {
  readonly start: number;
  readonly end: number;
  /** See line-flags.ts. */
  readonly flags: number;
  /** Of the top-level `_id`, between its quotes. */
  readonly idStart: number;
  readonly idEnd: number;
  /** Table number of `_id`, 0 when it is not valid. */
  readonly idTable: number;
}

/** Who wants to see each line. */
export interface LineSink {
  /** What is neither empty nor too long. @param number from 1 */
  line(line: ScannedLine, number: number): void;
  defect(kind: DefectKind, number: number): void;
}

/** What all lines of an entry have together. */
export interface LineFacts {
  readonly documents: number;
  /** 32 hex digits, see digest.ts. */
  readonly digest: string;
  /** Table number of the ids; 0 without any valid one. */
  readonly number: number;
  /** Integers, bytes, NaN or infinities are there: what survives only an import with generated_schema.jsonl. */
  readonly exactValues: boolean;
  /** Ids do not ascend as in what a backend writes, so one may be there twice. */
  readonly unordered: boolean;
  /** In the order in which they were found. */
  readonly found: readonly { readonly kind: DefectKind; readonly line: number; readonly count: number }[];
}

/** assembly/lines.ts; places and lengths are in bytes. */
interface Module {
  readonly memory: { readonly buffer: ArrayBuffer };
  begin(handOverEach: boolean): void;
  place(length: number): number;
  push(length: number): void;
  end(): void;
  tableNumber(start: number, end: number): number;
  lines(): number;
  documents(): number;
  flags(): number;
  number(): number;
  unordered(): number;
  firstLine(bit: number): number;
  linesWith(bit: number): number;
  digest(word: number): number;
}

/** A longer id is none. */
const LONGEST_ID = 37;
const UNREAD = FLAG.empty | FLAG.tooLong;
let compiled: WebAssembly.Module | undefined;

/**
 * Reads the lines of one entry at a time, which arrive in pieces: whether each is valid JSON, everything in it that a
 * restore would refuse or change, and the digest of all. JSON.parse would take longer and hide what matters most: `1.0`
 * beside `1`, one key twice. The work is done by a WebAssembly module (assembly/), whose memory holds one piece and the
 * longest line; so there is one scanner for all entries of a snapshot.
 */
export class LineScanner {
  readonly #module: Module;
  #memory = Buffer.alloc(0);
  #sink: LineSink | undefined;

  constructor() {
    compiled ??= new WebAssembly.Module(Buffer.from(MODULE, "base64"));
    const handOver = (start: number, end: number, flags: number, idStart: number, idEnd: number, idTable: number) =>
      this.#handOver({ start, end, flags, idStart, idEnd, idTable });
    const imports = { rarities: { ...rarities(() => this.memory), handOver } };
    this.#module = new WebAssembly.Instance(compiled, imports).exports as Module;
  }

  /** The module's memory, in which lines have their places. */
  get memory(): Buffer {
    const { buffer } = this.#module.memory;
    // it is another one after it grew
    if (this.#memory.buffer !== buffer) this.#memory = Buffer.from(buffer);
    return this.#memory;
  }

  /** Before the pieces of an entry; forgets the one before. @param sink is handed each line */
  begin(sink?: LineSink): void {
    this.#sink = sink;
    this.#module.begin(sink !== undefined);
  }

  push(piece: Buffer): void {
    this.#put(piece);
    this.#module.push(piece.length);
  }

  /** Behind the last piece. */
  end(): void {
    this.#module.end();
  }

  get lines(): number {
    return this.#module.lines();
  }

  get facts(): LineFacts {
    const module = this.#module;
    const found = KINDS_OF_FLAGS.map(([flag, kind]) => {
      const bit = 31 - Math.clz32(flag);
      return { kind, line: module.firstLine(bit), count: module.linesWith(bit) };
    });
    return {
      documents: module.documents(),
      digest: hexOf([0, 1, 2, 3].map((word) => module.digest(word))),
      number: module.number(),
      exactValues: (module.flags() & (FLAG.wrapped | FLAG.integer)) !== 0,
      unordered: module.unordered() !== 0,
      found: found.filter(({ count }) => count > 0).toSorted((a, b) => a.line - b.line),
    };
  }

  /** The table number of an id (contract 7.2), or 0 when it is none or its checksum is wrong. Not between two pieces. */
  tableNumber(id: string): number {
    if (id.length > LONGEST_ID) return 0;
    const bytes = Buffer.from(id);
    const place = this.#put(bytes);
    return this.#module.tableNumber(place, place + bytes.length);
  }

  textOf({ start, end }: ScannedLine): string {
    return this.memory.toString("utf8", start, end);
  }

  /** @throws RangeError */
  #put(bytes: Buffer): number {
    const place = this.#module.place(bytes.length);
    if (place === 0) throw new RangeError("WebAssembly memory: allocation failed");
    this.memory.set(bytes, place);
    return place;
  }

  #handOver(line: ScannedLine): void {
    for (const [flag, kind] of KINDS_OF_LINES) {
      if ((line.flags & flag) !== 0) this.#sink?.defect(kind, this.lines);
    }
    if ((line.flags & UNREAD) === 0) this.#sink?.line(line, this.lines);
  }
}
