// Pieces of JSON as bytes. Each function gets the place of a piece and returns the place behind it, or FAIL. Up to 31
// bytes behind a piece are looked at.

export const FAIL: usize = 0;

export const QUOTE: u8 = 0x22;
export const BACKSLASH: u8 = 0x5c;
export const SPACE: u8 = 0x20;
const LETTER_U: u8 = 0x75;
const LETTER_E: u8 = 0x65;
const TRUE: u32 = 0x65757274;
const FALS: u32 = 0x736c6166;
const NULL: u32 = 0x6c6c756e;

/** Behind the closing quote of a string; `at` is behind the opening one. UTF-8 is checked elsewhere. */
export function stringEnd(start: usize): usize {
  let at = start;
  while (true) {
    const bytes = v128.load(at);
    const control = i8x16.eq(i8x16.min_u(bytes, i8x16.splat(0x1f)), bytes);
    const quote = i8x16.eq(bytes, i8x16.splat(0x22));
    const slash = i8x16.eq(bytes, i8x16.splat(0x5c));
    const hits = i8x16.bitmask(v128.or(v128.or(quote, slash), control));
    if (hits === 0) {
      at += 16;
      continue;
    }
    at += ctz(hits);
    const byte = load<u8>(at);
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return FAIL;
    at = escapeEnd(at);
    if (at === FAIL) return FAIL;
  }
}

/** The next byte of a field's name that is none of the ASCII characters which the backend lets be there unescaped. */
export function plainNameEnd(start: usize): usize {
  let at = start;
  while (true) {
    const bytes = v128.load(at);
    // signed: what is beyond ASCII is less than 0
    const odd = v128.or(i8x16.lt_s(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x7f)));
    const quote = i8x16.eq(bytes, i8x16.splat(0x22));
    const slash = i8x16.eq(bytes, i8x16.splat(0x5c));
    const hits = i8x16.bitmask(v128.or(v128.or(quote, slash), odd));
    if (hits !== 0) return at + ctz(hits);
    at += 16;
  }
}

/** Behind as many digits as there are, maybe none. */
export function digitsEnd(start: usize): usize {
  let at = start;
  while (true) {
    const values = i8x16.sub(v128.load(at), i8x16.splat(0x30));
    const others = ~i8x16.bitmask(i8x16.eq(i8x16.min_u(values, i8x16.splat(9)), values)) & 0xffff;
    if (others !== 0) return at + ctz(others);
    at += 16;
  }
}

/** Behind `\n`, `\u001f` or a pair of surrogates, whose halves are refused alone. */
export function escapeEnd(at: usize): usize {
  switch (load<u8>(at, 1)) {
    case 0x22:
    case 0x2f:
    case 0x5c:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 2;
    case LETTER_U:
      break;
    default:
      return FAIL;
  }
  const unit = hex(at + 2);
  if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return FAIL;
  if (unit < 0xd800 || unit > 0xdbff) return at + 6;
  const second = load<u8>(at, 6) === BACKSLASH && load<u8>(at, 7) === LETTER_U ? hex(at + 8) : -1;
  return second >= 0xdc00 && second <= 0xdfff ? at + 12 : FAIL;
}

/** The number of four hex digits, or -1. */
function hex(start: usize): i32 {
  let number = 0;
  for (let at = start; at < start + 4; at += 1) {
    const byte = <i32>load<u8>(at);
    const letter = (byte | 0x20) - 0x61;
    if (byte >= 0x30 && byte <= 0x39) number = (number << 4) | (byte - 0x30);
    else if (letter >= 0 && letter <= 5) number = (number << 4) | (letter + 10);
    else return -1;
  }
  return number;
}

/** Behind `true`, `false` or `null`. */
export function literalEnd(at: usize): usize {
  const word = load<u32>(at);
  if (word === TRUE || word === NULL) return at + 4;
  return word === FALS && load<u8>(at, 4) === LETTER_E ? at + 5 : FAIL;
}

/** Behind blanks; the line break is none of them. */
export function blanksEnd(start: usize): usize {
  let at = start;
  for (let byte = load<u8>(at); byte === SPACE || byte === 0x09 || byte === 0x0d; byte = load<u8>(at)) at += 1;
  return at;
}

/** Whether one text is before another in the order of bytes. */
export function less(aStart: usize, aEnd: usize, bStart: usize, bEnd: usize): bool {
  const length = min(aEnd - aStart, bEnd - bStart);
  for (let i: usize = 0; i < length; i += 1) {
    const a = load<u8>(aStart + i);
    const b = load<u8>(bStart + i);
    if (a !== b) return a < b;
  }
  return aEnd - aStart < bEnd - bStart;
}
