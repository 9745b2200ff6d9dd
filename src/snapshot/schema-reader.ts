import type { DefectKind } from "./defects.ts";
import { type LineSink, Lines } from "./lines.ts";
import { readShape, type Shape } from "./shape.ts";
import type { TableEncoding } from "./table-reader.ts";

/** One `generated_schema.jsonl`: how the values of its table are written. */
export class SchemaReader implements LineSink {
  readonly entry: string;
  readonly #lines = new Lines(this);
  encoding: TableEncoding = "none";
  shape: Shape | undefined;
  /** Lines for single documents follow the shape. */
  overrides = 0;
  problem: string | undefined;

  constructor(entry: string) {
    this.entry = entry;
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
    if (this.#lines.count === 0) this.problem ??= "it is empty";
  }

  line(bytes: Uint8Array, _view: DataView, start: number, end: number): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
    const value = parsed(text);
    if (this.#lines.count === 1) this.#takeShape(value);
    else if (typeof value === "object" && value !== null && !Array.isArray(value)) this.overrides += 1;
    else this.problem ??= `line ${this.#lines.count} is no JSON object`;
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
