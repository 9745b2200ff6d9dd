import { FAIL, stringEnd, textOf } from "./json-text.ts";

const CLOSE = 0x7d;
const LONGEST_NAME = 12;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** `"$bytes":"..."}` and its like, behind their opening brace: what JSON has no form for. */
export interface WrappedValue {
  /** The place behind the closing brace. */
  readonly end: number;
  readonly valid: boolean;
}

/** Undefined when it is none of them: an object like any other, whose name is refused. */
export function wrappedValue(view: DataView, at: number): WrappedValue | undefined {
  const name = /^"\$(bytes|float|integer)":"/.exec(textOf(view, at, at + LONGEST_NAME));
  if (name === null) return undefined;
  const start = at + name[0].length;
  const behind = stringEnd(view, start);
  if (behind === FAIL || view.getUint8(behind) !== CLOSE) return undefined;
  return { end: behind + 1, valid: valid(name[1] ?? "", textOf(view, start, behind - 1)) };
}

/** `$float` is only for what JSON has no number for; an ordinary one is refused by the importer. */
function valid(name: string, text: string): boolean {
  if (!BASE64.test(text)) return false;
  if (name === "bytes") return true;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 8 && (name === "integer" || !Number.isFinite(bytes.readDoubleLE(0)));
}
