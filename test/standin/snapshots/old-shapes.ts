/**
 * `generated_schema.jsonl` of snapshots from before 2026-03-11 (contract 7.2): the inferred shape of a table as text,
 * which tells the strings that stand for Int64 and bytes from those that are strings, then lines for single documents.
 */
import type { Fields, Value } from "../types.ts";
import { setField } from "../values.ts";
import { checkFieldName, decodeBase64, plainValue, type Raw, RawNumber } from "./rows.ts";

export type Decoder = (raw: Raw) => Value;

type Shape =
  | { kind: "scalar"; name: string }
  | { kind: "array"; item: Shape }
  | { kind: "record"; value: Shape }
  | { kind: "object"; fields: Map<string, Shape> }
  | { kind: "union"; members: Shape[] };

/** Fields of one document that are not as the table's shape says. */
type Override = string | { [field: string]: Override };

const SCALARS = "never unknown null int64 float64 normalfloat64 inf -inf -0 NaN boolean string bytes".split(" ");

export class ShapeSyntaxError extends Error {}

/** @throws ShapeSyntaxError */
export function oldDecoder(shapeText: string, overrides: Record<string, unknown>): Decoder {
  const shape = parse(shapeText);
  return (raw) => {
    const id =
      typeof raw === "object" && raw !== null && !Array.isArray(raw) && !(raw instanceof RawNumber)
        ? raw["_id"]
        : undefined;
    const override = typeof id === "string" ? (overrides[`<${id}>`] ?? overrides[id]) : undefined;
    return decode(raw, override === undefined ? shape : merge(shape, override as Override), 0);
  };
}

// ---------------------------------------------------------------- reading shapes

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")(\?)?|([A-Za-z0-9_-]+)|([{}<>,:|]))/y;

function parse(text: string): Shape {
  const reader = new Reader(text);
  const shape = reader.union();
  if (!reader.done()) throw new ShapeSyntaxError(`unexpected token at '${reader.rest()}'`);
  return shape;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  rest(): string {
    return this.#text.slice(this.#at).trim();
  }

  done(): boolean {
    return this.rest() === "";
  }

  union(): Shape {
    const members = [this.#single()];
    while (this.#take("|")) members.push(this.#single());
    const [only] = members;
    return members.length === 1 && only !== undefined ? only : { kind: "union", members };
  }

  #single(): Shape {
    if (this.#take("{")) return this.#object();
    const start = this.rest();
    const token = this.#token();
    if (token?.[1] !== undefined) return { kind: "scalar", name: "string" };
    const word = token?.[3];
    if (word === "array") return { kind: "array", item: this.#inBrackets(() => this.union()) };
    if (word === "id") return this.#id();
    if (word === "record") return this.#record();
    if (word === undefined || !SCALARS.includes(word)) throw new ShapeSyntaxError(`unexpected token at '${start}'`);
    return { kind: "scalar", name: word };
  }

  #object(): Shape {
    const fields = new Map<string, Shape>();
    while (!this.#take("}")) {
      const start = this.rest();
      const key = this.#token()?.[1];
      if (key === undefined)
        throw new ShapeSyntaxError(`cannot parse object key '${/^[^\s:,}]*/.exec(start)?.[0] ?? ""}'`);
      this.#need(":");
      fields.set(JSON.parse(key), this.union());
      if (!this.#take(",")) {
        this.#need("}");
        break;
      }
    }
    return { kind: "object", fields };
  }

  #record(): Shape {
    return this.#inBrackets(() => {
      // the key's type, `field_name`
      this.#token();
      this.#need(",");
      return { kind: "record", value: this.union() };
    });
  }

  #id(): Shape {
    return this.#inBrackets(() => {
      const number = this.#token()?.[3] ?? "";
      if (!/^\d+$/.test(number)) throw new ShapeSyntaxError("invalid digit found in string");
      return { kind: "scalar", name: "string" };
    });
  }

  #inBrackets(read: () => Shape): Shape {
    this.#need("<");
    const shape = read();
    this.#need(">");
    return shape;
  }

  #need(mark: string): void {
    if (!this.#take(mark)) throw new ShapeSyntaxError(`unexpected token at '${this.rest()}'`);
  }

  #take(mark: string): boolean {
    const before = this.#at;
    if (this.#token()?.[4] === mark) return true;
    this.#at = before;
    return false;
  }

  #token(): RegExpExecArray | undefined {
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) return undefined;
    this.#at = TOKEN.lastIndex;
    return match;
  }
}

// ---------------------------------------------------------------- applying them

function merge(shape: Shape, override: Override): Shape {
  if (typeof override === "string") return parse(override);
  const fields = shape.kind === "object" ? new Map(shape.fields) : new Map<string, Shape>();
  const unknown: Shape = { kind: "scalar", name: "unknown" };
  for (const [key, item] of Object.entries(override)) fields.set(key, merge(fields.get(key) ?? unknown, item));
  return { kind: "object", fields };
}

function decode(raw: Raw, shape: Shape, depth: number): Value {
  if (shape.kind === "union") return decode(raw, choose(raw, shape.members), depth);
  if (typeof raw === "string") return decodeString(raw, shape);
  if (Array.isArray(raw)) {
    const item: Shape = shape.kind === "array" ? shape.item : { kind: "scalar", name: "unknown" };
    return raw.map((each) => decode(each, item, depth + 1));
  }
  if (raw === null || typeof raw !== "object" || raw instanceof RawNumber) return plainValue(raw, false, depth);
  const fields: Fields = {};
  for (const [key, item] of Object.entries(raw)) {
    checkFieldName(key);
    setField(fields, key, decode(item, fieldShape(shape, key), depth + 1));
  }
  return fields;
}

function fieldShape(shape: Shape, key: string): Shape {
  if (shape.kind === "record") return shape.value;
  return (shape.kind === "object" ? shape.fields.get(key) : undefined) ?? { kind: "scalar", name: "unknown" };
}

function decodeString(text: string, shape: Shape): Value {
  if (shape.kind === "scalar" && shape.name === "int64") {
    if (!/^-?\d+$/.test(text)) throw new Error("Unexpected string for i64");
    return BigInt(text);
  }
  if (shape.kind === "scalar" && shape.name === "bytes") return new Uint8Array(decodeBase64(text)).buffer;
  if (shape.kind === "scalar" && ["inf", "-inf", "NaN", "float64"].includes(shape.name)) return Number(text);
  return text;
}

/** A string is a string when the union has one; otherwise it stands for the Int64 or the bytes in it. */
function choose(raw: Raw, members: Shape[]): Shape {
  const scalar = (...names: string[]) => members.find((m) => m.kind === "scalar" && names.includes(m.name));
  const fallback: Shape = { kind: "scalar", name: "unknown" };
  if (typeof raw === "string")
    return scalar("string") ?? scalar("int64", "bytes") ?? scalar("NaN", "inf", "-inf") ?? fallback;
  if (Array.isArray(raw)) return members.find((m) => m.kind === "array") ?? fallback;
  if (raw === null || typeof raw !== "object" || raw instanceof RawNumber) return fallback;
  const keys = Object.keys(raw);
  const object = members.find((m) => m.kind === "object" && keys.every((key) => m.fields.has(key)));
  return object ?? members.find((m) => m.kind === "record" || m.kind === "object") ?? fallback;
}
