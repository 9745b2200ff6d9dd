import type { DefectKind } from "./defects.ts";
import { tableKey } from "./entries.ts";
import type { Findings } from "./findings.ts";
import type { TableFacts } from "./inspection.ts";
import type { LineFacts, LineScanner } from "./line-scanner.ts";

const NOTHING_READ: LineFacts = {
  documents: 0,
  digest: "",
  number: 0,
  exactValues: false,
  unordered: false,
  found: [],
};

export type TableEncoding = "uniform" | "shapes" | "none";

/** One `documents.jsonl`, read once: counts, digest, and what is wrong with its lines. */
export class TableReader {
  readonly component: string;
  readonly name: string;
  /** Name of the entry. */
  readonly entry: string;
  /** See LineFacts; a generated_schema.jsonl may say it, too. */
  exactValues = false;
  readonly #scanner: LineScanner;
  readonly #found = new Map<DefectKind, { readonly line: number; readonly count: number }>();
  #read = NOTHING_READ;
  #bytes = 0;

  constructor(component: string, name: string, entry: string, scanner: LineScanner) {
    this.component = component;
    this.name = name;
    this.entry = entry;
    this.#scanner = scanner;
    scanner.begin();
  }

  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.#scanner.push(chunk);
  }

  end(): void {
    this.#scanner.end();
    this.settle();
  }

  /** Keeps what was read, even where it is not all: the scanner goes on to the next entry. */
  settle(): void {
    if (this.#read !== NOTHING_READ) return;
    this.#read = this.#scanner.facts;
    this.exactValues = this.#read.exactValues;
    for (const { kind, line, count } of this.#read.found) this.#found.set(kind, { line, count });
  }

  /** @param line whose id stood in an earlier one, and not only in the one before */
  addRepeatedId(line: number): void {
    const before = this.#found.get("id-twice");
    this.#found.set("id-twice", before === undefined ? { line, count: 1 } : { ...before, count: before.count + 1 });
  }

  get documents(): number {
    return this.#read.documents;
  }

  get unordered(): boolean {
    return this.#read.unordered;
  }

  get facts(): TableFacts {
    const { component, name, exactValues } = this;
    const { documents, digest } = this.#read;
    return { component, name, documents, bytes: this.#bytes, digest, exactValues };
  }

  /** @param number of the table as `_tables` says, where it does */
  judge(findings: Findings, encoding: TableEncoding, number: number | undefined): void {
    for (const [kind, { line, count }] of this.#found) {
      if (encoding !== "uniform" && (kind === "creation-time-integer" || kind === "integer-too-large")) continue;
      if (encoding === "uniform" && kind === "value-old-encoding") continue;
      const more = count === 1 ? "" : ` (and ${(count - 1).toLocaleString("en")} more lines)`;
      findings.add(kind, `${this.entry} line ${line}${more}`);
    }
    const own = this.#read.number;
    if (number !== undefined && own !== 0 && number !== own) {
      findings.add("id-number", `${this.entry} (${own}, _tables says ${number})`);
    }
  }

  get key(): string {
    return tableKey(this.component, this.name);
  }
}
