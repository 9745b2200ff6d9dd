import { isUtf8 } from "node:buffer";
import * as FLAG from "./line-flags.ts";

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN, CLOSE, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d];
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const WRAPPED = /^(bytes|float|integer)":"(.*)"$/;

/**
 * What the scanner's module asks for, because it is seldom needed or the engine has it: see assembly/rarities.ts. All
 * texts are valid JSON, by their bytes in the module's memory.
 * @param memory as it is now: it may grow between two calls
 */
export function rarities(memory: () => Buffer) {
  const textOf = (start: number, end: number): string => memory().toString("utf8", start, end);
  return {
    isUtf8: (start: number, end: number): boolean => isUtf8(memory().subarray(start, end)),
    judgeNumber: (start: number, end: number, integer: number): number => judged(textOf(start, end), integer !== 0),
    isPositive: (start: number, end: number): boolean => Number(textOf(start, end)) > 0,
    repeatsName: (start: number, end: number): boolean => repeatsName(memory().subarray(start, end)),
    isWrappedValue: (start: number, end: number): boolean => isWrapped(textOf(start, end)),
  };
}

/**
 * Whether two fields of an object have one name, however it is written. Its values are passed over: built as a whole,
 * one line could take a gigabyte.
 */
function repeatsName(object: Buffer): boolean {
  const names = new Set<string>();
  let depth = 0;
  let nameNext = false;
  for (let at = 0; at < object.length; at += 1) {
    const byte = object[at];
    if (byte === QUOTE) {
      const start = at;
      for (at += 1; object[at] !== QUOTE; at += 1) if (object[at] === BACKSLASH) at += 1;
      if (!nameNext) continue;
      nameNext = false;
      const name = JSON.parse(object.toString("utf8", start, at + 1)) as string;
      if (names.has(name)) return true;
      names.add(name);
    } else if (byte === OPEN || byte === OPEN_ARRAY) {
      depth += 1;
      nameNext = depth === 1;
    } else if (byte === CLOSE || byte === CLOSE_ARRAY) depth -= 1;
    else if (byte === COMMA) nameNext = depth === 1;
  }
  return false;
}

function judged(text: string, integer: boolean): number {
  if (!Number.isFinite(Number(text))) return FLAG.numberTooLarge;
  return integer && BigInt.asIntN(64, BigInt(text)) !== BigInt(text) ? FLAG.integerTooLarge : 0;
}

/** `$float` is only for what JSON has no number for; an ordinary one is refused by the importer. */
function isWrapped(field: string): boolean {
  const [, name, text = "%"] = WRAPPED.exec(field) ?? [];
  if (!BASE64.test(text)) return false;
  if (name === "bytes") return true;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 8 && (name === "integer" || !Number.isFinite(bytes.readDoubleLE(0)));
}
