import type { DefectKind } from "./defects.ts";
import type { LineScanner, LineSink, ScannedLine } from "./line-scanner.ts";
import { readShape, type Shape } from "./shape.ts";
import type { TableEncoding } from "./table-reader.ts";

/** One `generated_schema.jsonl`: how the values of its table are written. */
export class SchemaReader implements LineSink {
  readonly entry: string;
  readonly #scanner: LineScanner;
  encoding: TableEncoding = "none";
  shape: Shape | undefined;
  /** Lines for single documents follow the shape. */
  overrides = 0;
  problem: string | undefined;

  constructor(entry: string, scanner: LineScanner) {
    this.entry = entry;
    this.#scanner = scanner;
    scanner.begin(this);
  }

  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  end(): void {
    this.#scanner.end();
    if (this.#scanner.lines === 0) this.problem ??= "it is empty";
  }

  line(scanned: ScannedLine, line: number): void {
    const value = parsed(this.#scanner.textOf(scanned));
    if (line === 1) this.#takeShape(value);
    else if (typeof value === "object" && value !== null && !Array.isArray(value)) this.overrides += 1;
    else this.problem ??= `line ${line} is no JSON object`;
  }

  defect(kind: DefectKind, line: number): void {
    // a missing last line break changes nothing here
    if (kind !== "line-unfinished") this.problem ??= `line ${line} is not readable`;
  }

  #takeShape(value: unknown): void {
    if (value === "uniform") this.encoding = "uniform";
    else if (typeof value !== "string") this.problem = "its first line is no JSON string";
    else {
      this.shape = readShape(value);
      if (this.shape === undefined) this.problem = "its shape is not known";
      else this.encoding = "shapes";
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
