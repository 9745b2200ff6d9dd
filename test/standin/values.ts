/**
 * Convex values and their texts (contract 6.2 "format", 7.2). Every text is compact JSON with keys in byte order; a
 * Float64 always has a point or an exponent, so that it can be told from an Int64.
 */
import type { Fields, Value } from "./types.ts";

export type Encoding = "convex_encoded_json" | "json" | "export_json";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** A Float64 as the backend writes it: shortest digits, plain between 1e-5 and 1e16, `1e21` beyond. Finite only. */
export function floatText(x: number): string {
  if (x === 0) return Object.is(x, -0) ? "-0.0" : "0.0";
  const [mantissa = "", exponent = "0"] = Math.abs(x).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const point = Number(exponent) + 1;
  const sign = x < 0 ? "-" : "";
  if (point >= digits.length && point <= 16) return `${sign}${digits.padEnd(point, "0")}.0`;
  if (point > 0 && point <= 16) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  if (point > -5 && point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return `${sign}${mantissa}e${point - 1}`;
}

/** 8 little-endian bytes of an Int64, base64: timestamps of the websocket and `$integer`. */
export function int64Base64(x: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt.asIntN(64, x));
  return bytes.toString("base64");
}

function float64Base64(x: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(x);
  return bytes.toString("base64");
}

const needsFloatObject = (x: number, encoding: Encoding) =>
  encoding !== "json" && (!Number.isFinite(x) || (encoding === "convex_encoded_json" && Object.is(x, -0)));

/** The text of a value in one of the encodings. */
export function encode(value: Value, encoding: Encoding): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") {
    if (encoding === "export_json") return String(value);
    return encoding === "json" ? `"${value}"` : `{"$integer":"${int64Base64(value)}"}`;
  }
  if (typeof value === "number") {
    if (needsFloatObject(value, encoding)) return `{"$float":"${float64Base64(value)}"}`;
    return Number.isFinite(value) ? floatText(value) : `"${value}"`;
  }
  if (isBytes(value)) {
    const text = Buffer.from(value).toString("base64");
    return encoding === "json" ? `"${text}"` : `{"$bytes":"${text}"}`;
  }
  if (Array.isArray(value)) return `[${value.map((item) => encode(item, encoding)).join(",")}]`;
  const fields = sortedEntries(value).map(([key, item]) => `${JSON.stringify(key)}:${encode(item, encoding)}`);
  return `{${fields.join(",")}}`;
}

/** Fields in byte order; `undefined` ones, which come from JavaScript only, are left out. */
export function sortedEntries(fields: Fields): [string, Value][] {
  return Object.entries(fields)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Also true for a buffer of another realm (code runs in its own). */
export function isBytes(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === "[object ArrayBuffer]";
}

export function isFields(value: Value | undefined): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isBytes(value);
}

/** A value that cannot be: the text is the backend's. */
export class ValueError extends Error {}

/**
 * Reads arguments: `{"$integer"}`, `{"$bytes"}`, `{"$float"}` are understood, every JSON number is a Float64
 * (contract 6.2). Takes parsed JSON; throws ValueError.
 */
export function fromJson(json: unknown): Value {
  if (json === null || typeof json === "boolean" || typeof json === "string" || typeof json === "number") return json;
  if (Array.isArray(json)) return json.map(fromJson);
  if (typeof json !== "object") throw new ValueError(`${typeof json} is not a Convex value`);
  const entries = Object.entries(json);
  const [first] = entries;
  if (entries.length === 1 && first?.[0].startsWith("$")) return special(first[0], first[1]);
  const fields: Fields = {};
  for (const [key, item] of entries) {
    checkFieldName(key);
    setField(fields, key, fromJson(item));
  }
  return fields;
}

/** Reads a line of a snapshot in the "uniform" encoding: integers are Int64, a point or exponent makes a Float64. */
export function parseExport(text: string): Value {
  const revive = (_key: string, item: unknown, context?: { source?: string }): unknown => {
    if (typeof item === "number") return numberFrom(context?.source ?? String(item));
    if (item === null || typeof item !== "object" || Array.isArray(item) || isBytes(item)) return item;
    const keys = Object.keys(item);
    const [first = ""] = keys;
    if (keys.length === 1 && first.startsWith("$") && first !== "$integer")
      return special(first, Object.values(item)[0]);
    for (const key of keys) checkFieldName(key);
    return item;
  };
  return JSON.parse(text, revive as (key: string, item: unknown) => unknown) as Value;
}

function numberFrom(source: string): bigint | number {
  if (/[.eE]/.test(source) || source === "-0") return Number(source);
  const integer = BigInt(source);
  return integer >= INT64_MIN && integer <= INT64_MAX ? integer : Number(source);
}

function special(key: string, content: unknown): Value {
  if (typeof content === "string") {
    const bytes = Buffer.from(content, "base64");
    if (key === "$bytes") return new Uint8Array(bytes).buffer;
    if (key === "$integer" && bytes.length === 8) return bytes.readBigInt64LE();
    if (key === "$float" && bytes.length === 8) return bytes.readDoubleLE();
  }
  throw new ValueError(`Field name ${key} starts with '$', which is reserved.`);
}

export function checkFieldName(name: string): void {
  if (name.startsWith("$")) throw new ValueError(`Field name ${name} starts with '$', which is reserved.`);
  const bad = /[^\x20-\x7e]/u.exec(name)?.[0];
  if (bad === undefined) return;
  const rule = "Field names can only contain non-control ASCII characters";
  throw new ValueError(`Field name ${name} has invalid character '${bad}': ${rule}`);
}

/** Assigns without the setter of `__proto__`. */
export function setField(fields: Fields, key: string, value: Value): void {
  if (key === "__proto__")
    Object.defineProperty(fields, key, { value, enumerable: true, writable: true, configurable: true });
  else fields[key] = value;
}

/** How validator errors show a value: `{author: "a", n: 1.0}`. */
export function display(value: Value): string {
  if (typeof value === "number") return Number.isFinite(value) ? floatText(value) : String(value);
  if (isBytes(value)) return `<${value.byteLength} bytes>`;
  if (Array.isArray(value)) return `[${value.map(display).join(", ")}]`;
  if (isFields(value))
    return `{${sortedEntries(value)
      .map(([key, item]) => `${key}: ${display(item)}`)
      .join(", ")}}`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

const rank = (value: Value | undefined): number => {
  if (value === undefined) return 0;
  if (value === null) return 1;
  const plain = { bigint: 2, number: 3, boolean: 4, string: 5 }[
    typeof value as "bigint" | "number" | "boolean" | "string"
  ];
  if (plain !== undefined) return plain;
  if (isBytes(value)) return 6;
  return Array.isArray(value) ? 7 : 8;
};

/** The order of indexes: undefined, null, Int64, Float64, boolean, string, bytes, array, object. */
export function compare(a: Value | undefined, b: Value | undefined): number {
  const difference = rank(a) - rank(b);
  if (difference !== 0 || a === undefined || b === undefined || a === null || b === null) return difference;
  if (typeof a === "number" && typeof b === "number") return compareFloats(a, b);
  if (typeof a === "string" && typeof b === "string") return a === b ? 0 : compareStrings(a, b);
  if (isBytes(a) && isBytes(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (Array.isArray(a) && Array.isArray(b)) return compareLists(a, b, compare);
  if (isFields(a) && isFields(b)) {
    const byName = ([k1, v1]: [string, Value], [k2, v2]: [string, Value]) => compareStrings(k1, k2) || compare(v1, v2);
    return compareLists(sortedEntries(a), sortedEntries(b), byName);
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareFloats(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (Object.is(a, b)) return 0;
  if (a === b) return Object.is(a, -0) ? -1 : 1;
  return Number.isNaN(a) ? 1 : -1;
}

function compareStrings(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compareLists<T>(a: readonly T[], b: readonly T[], each: (a: T, b: T) => number): number {
  for (const [i, item] of a.entries()) {
    const other = b[i];
    if (other === undefined) return 1;
    const difference = each(item, other);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Same type and content, NaN equal to itself, 0 not to -0. */
export function equal(a: Value | undefined, b: Value | undefined): boolean {
  return compare(a, b) === 0;
}
