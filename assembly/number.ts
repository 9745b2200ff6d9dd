import * as FLAG from "../src/snapshot/line-flags";
import { Line } from "./line";
import { judgeNumber } from "./rarities";
import { digitsEnd, FAIL, SPACE } from "./text";

export const ZERO: u8 = 0x30;
export const NINE: u8 = 0x39;
export const MINUS: u8 = 0x2d;
const PLUS: u8 = 0x2b;
export const POINT: u8 = 0x2e;
const LETTER_E: u8 = 0x65;

/** Integers of up to as many digits have 64 bits; other numbers can only be too large with many more, or an exponent. */
const SAFE_DIGITS: usize = 18;
const SAFE_FLOAT: usize = 300;
/** 200 digits with an exponent of two are no more than a float can hold. */
const SAFE_BEFORE_EXPONENT: usize = 200;
const SAFE_EXPONENT: usize = 2;

/** Behind the number, or FAIL. */
export function numberEnd(start: usize): usize {
  const digits = load<u8>(start) === MINUS ? start + 1 : start;
  let at = digitsEnd(digits);
  if (at === digits || (at > digits + 1 && load<u8>(digits) === ZERO)) return FAIL;
  let integer = true;
  if (load<u8>(at) === POINT) {
    integer = false;
    const fraction = at + 1;
    at = digitsEnd(fraction);
    if (at === fraction) return FAIL;
  }
  if ((load<u8>(at) | SPACE) === LETTER_E) return exponentEnd(start, at + 1);
  Line.integer = integer;
  if (integer) Line.flags |= FLAG.integer;
  if (at - digits > (integer ? SAFE_DIGITS : SAFE_FLOAT)) Line.flags |= judgeNumber(start, at, integer);
  return at;
}

function exponentEnd(numberStart: usize, start: usize): usize {
  Line.integer = false;
  const sign = load<u8>(start);
  if (sign === PLUS) Line.flags |= FLAG.foreignNumber;
  const digits = sign === PLUS || sign === MINUS ? start + 1 : start;
  const at = digitsEnd(digits);
  if (at === digits) return FAIL;
  const safe = start - numberStart <= SAFE_BEFORE_EXPONENT && at - digits <= SAFE_EXPONENT;
  if (!safe) Line.flags |= judgeNumber(numberStart, at, false);
  return at;
}
