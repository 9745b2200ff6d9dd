import { isUtf8 } from "node:buffer";
import * as FLAG from "./line-flags.ts";

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
    // one name of two is all that is left of them
    repeatsName: (start: number, end: number, fields: number): boolean =>
      Object.keys(JSON.parse(textOf(start, end)) as object).length < fields,
    isWrappedValue: (start: number, end: number): boolean => isWrapped(textOf(start, end)),
  };
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
