import { blanksEnd, QUOTE, stringEnd, textOf } from "./json-text.ts";

const COLON = 0x3a;
const OPEN = [0x7b, 0x5b];
const CLOSE = [0x7d, 0x5d];

/**
 * Whether two fields of an object have one name, however it is written. Only for objects whose names do not ascend as in
 * what a backend writes. They are known to be valid JSON, so braces and strings are all that must be told apart.
 * @param start of the object's brace
 */
export function repeatsName(view: DataView, start: number): boolean {
  const names = new Set<string>();
  let depth = 0;
  for (let at = start; ; ) {
    const byte = view.getUint8(at);
    if (byte === QUOTE) {
      const end = stringEnd(view, at + 1);
      if (depth === 1 && view.getUint8(blanksEnd(view, end)) === COLON) {
        const name: string = JSON.parse(textOf(view, at, end));
        if (names.has(name)) return true;
        names.add(name);
      }
      at = end;
      continue;
    }
    if (OPEN.includes(byte)) depth += 1;
    else if (CLOSE.includes(byte)) depth -= 1;
    if (depth === 0) return false;
    at += 1;
  }
}
