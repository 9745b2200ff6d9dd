import type { DefectKind } from "./defects.ts";
import { LinesDigest } from "./digest.ts";
import { tableKey } from "./entries.ts";
import type { Findings } from "./findings.ts";
import type { TableFacts } from "./inspection.ts";
import { FLAG } from "./line-flags.ts";
import { LineScanner } from "./line-scanner.ts";
import { type LineSink, Lines } from "./lines.ts";

const KIND_OF_FLAG: readonly (readonly [number, DefectKind])[] = [
  [FLAG.broken, "json-broken"],
  [FLAG.notObject, "json-not-object"],
  [FLAG.keyTwice, "key-twice"],
  [FLAG.reserved, "field-reserved"],
  [FLAG.fieldName, "field-name"],
  [FLAG.underscore, "field-underscore"],
  [FLAG.badValue, "value-invalid"],
  [FLAG.tooDeep, "value-too-deep"],
  [FLAG.arrayTooLong, "array-too-long"],
  [FLAG.objectTooLarge, "object-too-large"],
  [FLAG.numberTooLarge, "number-too-large"],
  [FLAG.integerTooLarge, "integer-too-large"],
  [FLAG.foreignNumber, "number-foreign"],
  [FLAG.timeInteger, "creation-time-integer"],
  [FLAG.timeMissing, "creation-time-missing"],
  [FLAG.timeInvalid, "creation-time-invalid"],
  [FLAG.idMissing, "id-missing"],
  [FLAG.idInvalid, "id-invalid"],
];
/** A broken line lacks everything; one finding says it. */
const BROKEN = FLAG.broken | FLAG.notObject;
const HARMLESS = FLAG.wrapped | FLAG.integer;
const LONGEST_ID = 40;

interface Occurrence {
  readonly line: number;
  count: number;
}

export type TableEncoding = "uniform" | "shapes" | "none";

/** One `documents.jsonl`, read once: counts, digest, and what is wrong with its lines. */
export class TableReader implements LineSink {
  readonly component: string;
  readonly name: string;
  /** Name of the entry. */
  readonly entry: string;
  /** Table number of the ids; 0 without any valid one. */
  number = 0;
  /** Integers, bytes, NaN or infinities are there: what survives only an import with generated_schema.jsonl. */
  exactValues = false;
  /** Ids do not ascend as in what a backend writes, so one may be there twice. */
  unordered = false;
  readonly #lines: Lines;
  readonly #scanner = new LineScanner();
  readonly #digest = new LinesDigest();
  readonly #found = new Map<DefectKind, Occurrence>();
  readonly #idBefore = new DataView(new ArrayBuffer(LONGEST_ID));
  #idLength = 0;
  #bytes = 0;
  #documents = 0;

  constructor(component: string, name: string, entry: string) {
    this.component = component;
    this.name = name;
    this.entry = entry;
    this.#lines = new Lines(this, this.#scanner);
  }

  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
    this.#scanner.release();
  }

  get documents(): number {
    return this.#documents;
  }

  get facts(): TableFacts {
    const { component, name, exactValues } = this;
    return { component, name, documents: this.#documents, bytes: this.#bytes, digest: this.#digest.hex, exactValues };
  }

  line(_bytes: Uint8Array, view: DataView, start: number, end: number): void {
    this.#documents += 1;
    this.#digest.add(view, start, end);
    const { flags, idTable } = this.#scanner;
    if (flags !== 0) this.#take(flags);
    if (idTable !== 0) this.#takeId(view, this.#scanner);
  }

  defect(kind: DefectKind, line: number): void {
    const before = this.#found.get(kind);
    if (before === undefined) this.#found.set(kind, { line, count: 1 });
    else before.count += 1;
  }

  #take(flags: number): void {
    if ((flags & HARMLESS) !== 0) this.exactValues = true;
    if ((flags & FLAG.wrapped) !== 0) this.defect("value-old-encoding", this.#lines.count);
    if ((flags & ~HARMLESS) === 0) return;
    const counted = (flags & BROKEN) === 0 ? flags : flags & BROKEN;
    for (const [flag, kind] of KIND_OF_FLAG) {
      if ((counted & flag) !== 0) this.defect(kind, this.#lines.count);
    }
  }

  #takeId(view: DataView, { idTable, idStart, idEnd }: LineScanner): void {
    if (this.number === 0) this.number = idTable;
    else if (this.number !== idTable) this.defect("id-number", this.#lines.count);
    const before = this.#idBefore;
    const length = idEnd - idStart;
    // more than 0: greater than the one before, 0: equal so far
    let order = 0;
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      const word = view.getUint32(idStart + i);
      if (order === 0) order = word - before.getUint32(i);
      before.setUint32(i, word);
    }
    for (; i < length; i += 1) {
      const byte = view.getUint8(idStart + i);
      if (order === 0) order = byte - before.getUint8(i);
      before.setUint8(i, byte);
    }
    if (order === 0 && length === this.#idLength) this.defect("id-twice", this.#lines.count);
    else if (order < 0 && this.#idLength > 0) this.unordered = true;
    this.#idLength = length;
  }

  /** @param number of the table as `_tables` says, where it does */
  judge(findings: Findings, encoding: TableEncoding, number: number | undefined): void {
    for (const [kind, { line, count }] of this.#found) {
      if (encoding !== "uniform" && (kind === "creation-time-integer" || kind === "integer-too-large")) continue;
      if (encoding === "uniform" && kind === "value-old-encoding") continue;
      const more = count === 1 ? "" : ` (and ${(count - 1).toLocaleString("en")} more lines)`;
      findings.add(kind, `${this.entry} line ${line}${more}`);
    }
    if (number !== undefined && this.number !== 0 && number !== this.number) {
      findings.add("id-number", `${this.entry} (${this.number}, _tables says ${number})`);
    }
  }

  get key(): string {
    return tableKey(this.component, this.name);
  }
}
