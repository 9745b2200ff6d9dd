import { digitsEnd, FAIL, QUOTE } from "./json-text.ts";

const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
export const ID_LENGTH = 32;
/** More digits would have to be looked at as a number. */
const LONGEST = 300;

/**
 * `{"_creationTime":1795409831284.8787,"_id":"..."` in one go: nearly every line begins so. The place of the id behind its
 * quote, or FAIL when the line has another form, right or wrong.
 */
export function usualIdPlace(view: DataView, start: number): number {
  const named =
    view.getInt32(start, true) === 0x635f227b &&
    view.getInt32(start + 4, true) === 0x74616572 &&
    view.getInt32(start + 8, true) === 0x546e6f69 &&
    view.getInt32(start + 12, true) === 0x22656d69 &&
    view.getUint8(start + 16) === COLON;
  if (!named) return FAIL;
  const first = view.getUint8(start + 17);
  const point = digitsEnd(view, start + 17);
  if (first <= ZERO || first > NINE || view.getUint8(point) !== POINT) return FAIL;
  const end = digitsEnd(view, point + 1);
  const id = end + 8;
  const followed = view.getInt32(end, true) === 0x695f222c && view.getInt32(end + 4, true) === 0x223a2264;
  const whole = followed && end !== point + 1 && end - start <= LONGEST && view.getUint8(id + ID_LENGTH) === QUOTE;
  return whole ? id : FAIL;
}
