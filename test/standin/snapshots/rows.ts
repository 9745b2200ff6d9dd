/** Lines of an import: their JSON, and the Convex value in it under each of the number rules (contract 7.2, 7.3). */
import { JsonSyntaxError, parseJson, position } from "../json.ts";
import type { Fields, Value } from "../types.ts";
import { isFields, setField } from "../values.ts";
import { ImportError } from "./import-error.ts";
import type { Decoder } from "./old-shapes.ts";

const MAX_NESTING = 64;
const MAX_ARRAY = 8192;
const MAX_FIELDS = 1024;
const INT64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;

/** How numbers and special objects of a table are read. */
export type RowEncoding =
  /** integers are Int64, a point or exponent makes a Float64 */
  | { readonly kind: "uniform" }
  /** no generated_schema: every number is a Float64, no special objects */
  | { readonly kind: "plain" }
  | { readonly kind: "shape"; readonly decode: Decoder };

/** JSON with numbers as they stand in the text. */
export type Raw = null | boolean | string | RawNumber | Raw[] | { [key: string]: Raw };

export class RawNumber {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

/** Lines with their numbers from 1; a missing last newline is fine, an empty line is not. */
export function splitLines(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Checks that a line is JSON. `complete` tells whether a newline follows, which shows in the position. @throws ImportError */
export function checkRow(line: string, row: number, complete: boolean): void {
  try {
    parseRaw(line);
  } catch (error) {
    throw ImportError.badRow(row, syntaxText(complete ? `${line}\n` : line, error));
  }
}

class Refused extends Error {}

/** @throws SyntaxError or Refused */
export function parseRaw(text: string): Raw {
  const revive = (_key: string, item: unknown, context?: { source?: string }): unknown => {
    if (typeof item === "number") {
      const source = context?.source ?? String(item);
      if (!Number.isFinite(item))
        throw new Refused(`number out of range${position(text, text.indexOf(source) + source.length)}`);
      return new RawNumber(source);
    }
    if (typeof item === "string" && !item.isWellFormed()) {
      throw new Refused(`unexpected end of hex escape${position(text, loneSurrogate(text) + 7)}`);
    }
    return item;
  };
  return JSON.parse(text, revive as (key: string, item: unknown) => unknown) as Raw;
}

function loneSurrogate(text: string): number {
  const match = /\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f])/i.exec(text);
  return match?.index ?? 0;
}

/** The parser's words for text that it refuses. */
export function syntaxText(text: string, error: unknown): string {
  if (error instanceof Refused) return error.message;
  try {
    parseJson(text);
  } catch (syntax) {
    if (syntax instanceof JsonSyntaxError) return syntax.message;
  }
  return "expected value at line 1 column 1";
}

/** The document in a line. @throws ImportError */
export function rowValue(raw: Raw, row: number, encoding: RowEncoding): Fields {
  try {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw) || raw instanceof RawNumber) {
      throw new Refused(`expected object, received ${rawText(raw)}`);
    }
    const value = encoding.kind === "shape" ? encoding.decode(raw) : plainValue(raw, encoding.kind === "uniform", 0);
    if (!isFields(value)) throw new Refused(`expected object, received ${rawText(raw)}`);
    return value;
  } catch (error) {
    throw ImportError.badValue(row, error instanceof Error ? error.message : String(error));
  }
}

export function rawText(raw: Raw): string {
  if (raw instanceof RawNumber) return raw.source;
  if (Array.isArray(raw)) return `[${raw.map(rawText).join(",")}]`;
  if (raw !== null && typeof raw === "object") {
    return `{${Object.entries(raw)
      .map(([key, item]) => `${JSON.stringify(key)}:${rawText(item)}`)
      .join(",")}}`;
  }
  return JSON.stringify(raw);
}

/** @throws Refused with the text after `Row N wasn't a valid Convex value: ` */
export function plainValue(raw: Raw, uniform: boolean, depth: number): Value {
  if (depth > MAX_NESTING) {
    throw new Refused(`Value is too nested (nested ${MAX_NESTING + 1} levels deep > maximum nesting ${MAX_NESTING})`);
  }
  if (raw === null || typeof raw === "boolean" || typeof raw === "string") return raw;
  if (raw instanceof RawNumber) return uniform ? uniformNumber(raw.source) : Number(raw.source);
  if (Array.isArray(raw)) {
    if (raw.length > MAX_ARRAY)
      throw new Refused(`Array length is too long (${raw.length} > maximum length ${MAX_ARRAY})`);
    return raw.map((item) => plainValue(item, uniform, depth + 1));
  }
  const entries = Object.entries(raw);
  const [only] = entries;
  if (uniform && entries.length === 1 && only?.[0].startsWith("$")) return special(only[0], only[1]);
  if (entries.length > MAX_FIELDS) {
    throw new Refused(`Object has too many fields (${entries.length} > maximum number ${MAX_FIELDS})`);
  }
  const fields: Fields = {};
  for (const [key, item] of entries) {
    checkFieldName(key);
    setField(fields, key, plainValue(item, uniform, depth + 1));
  }
  return fields;
}

/** Beyond 64 bits an integer is a Float64, inexact. */
function uniformNumber(source: string): bigint | number {
  if (/[.eE]/.test(source) || source === "-0") return Number(source);
  const integer = BigInt(source);
  return integer >= INT64[0] && integer <= INT64[1] ? integer : Number(source);
}

function special(key: string, content: Raw): Value {
  if (typeof content === "string" && ["$bytes", "$integer", "$float"].includes(key)) {
    const bytes = decodeBase64(content);
    if (key === "$bytes") return new Uint8Array(bytes).buffer;
    if (bytes.length === 8 && key === "$integer") return bytes.readBigInt64LE();
    if (bytes.length === 8) {
      const float = bytes.readDoubleLE();
      if (Number.isFinite(float) && !Object.is(float, -0))
        throw new Refused(`Float64 ${float} should be encoded as a number`);
      return float;
    }
  }
  throw reserved(key);
}

/** @throws Refused naming the first byte that is none of base64 */
export function decodeBase64(text: string): Buffer {
  const bad = /[^A-Za-z0-9+/=]/.exec(text);
  if (bad) throw new Refused(`Invalid byte ${bad[0].charCodeAt(0)}, offset ${bad.index}.`);
  return Buffer.from(text, "base64");
}

function reserved(key: string): Refused {
  return new Refused(`Field name ${key} starts with '$', which is reserved.`);
}

/** @throws Refused */
export function checkFieldName(key: string): void {
  if (key.startsWith("$")) throw reserved(key);
  const bad = /[^\x20-\x7e]/u.exec(key);
  if (bad) {
    const rule = "Field names can only contain non-control ASCII characters";
    throw new Refused(`Field name ${key} has invalid character '${bad[0]}': ${rule}`);
  }
}
