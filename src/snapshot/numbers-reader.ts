import type { DefectKind } from "./defects.ts";
import type { Findings } from "./findings.ts";
import type { LineScanner, LineSink, ScannedLine } from "./line-scanner.ts";

/** User tables start here in every component (contract 7.2). */
const FIRST_USER_TABLE = 10001;
const LINE = /^\{"name":"((?:[^"\\]|\\.)*)","id":(\d+)(?:\.0)?\}$/;

/** One `_tables/documents.jsonl`: the tables of a component and their numbers. */
export class NumbersReader implements LineSink {
  readonly entry: string;
  readonly component: string;
  readonly byName = new Map<string, number>();
  readonly #numbers = new Set<number>();
  readonly #scanner: LineScanner;
  readonly #findings: Findings;

  constructor(component: string, entry: string, findings: Findings, scanner: LineScanner) {
    this.component = component;
    this.entry = entry;
    this.#findings = findings;
    this.#scanner = scanner;
    scanner.begin(this);
  }

  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  end(): void {
    this.#scanner.end();
  }

  defect(kind: DefectKind, line: number, detail?: string): void {
    this.#findings.add(kind, `${this.entry} line ${line}`, detail);
  }

  line(scanned: ScannedLine, line: number): void {
    const found = entryOf(this.#scanner.textOf(scanned));
    if (typeof found === "string") {
      this.defect("tables-line", line, found);
      return;
    }
    const { name, number } = found;
    if (this.byName.has(name)) this.defect("tables-twice", line, `the table ${name}`);
    if (this.#numbers.has(number)) this.defect("tables-twice", line, `the number ${number}`);
    if (number < FIRST_USER_TABLE) this.defect("tables-system-number", line, `${number}`);
    this.byName.set(name, number);
    this.#numbers.add(number);
  }
}

/** What is wrong with it, when it is a text. */
function entryOf(text: string): { name: string; number: number } | string {
  const plain = LINE.exec(text);
  if (plain !== null && !(plain[1] ?? "").includes("\\")) return { name: plain[1] ?? "", number: Number(plain[2]) };
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch {
    return "it is no valid JSON";
  }
  if (typeof value !== "object" || value === null) return "it is no JSON object";
  const { name, id } = value as { name?: unknown; id?: unknown };
  if (typeof name !== "string") return "it has no name";
  if (typeof id !== "number" || !Number.isInteger(id) || id <= 0) return "it has no id";
  return { name, number: id };
}
