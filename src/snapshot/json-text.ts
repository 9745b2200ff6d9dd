/**
 * Pieces of JSON as bytes. Each function gets the place of a piece and returns the place behind it, or FAIL. Where it
 * pays, four bytes are looked at in one go, twice in a turn, so seven bytes behind a piece must be readable.
 */

export const FAIL = -1;

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const LETTER_U = 0x75;
const LETTER_E = 0x65;
const TRUE = 0x65757274;
const FALS = 0x736c6166;
const NULL = 0x6c6c756e;

/** The highest bit of each byte that is a quote, a backslash or a control character; above the lowest it may be wrong. */
function stops(word: number): number {
  const quote = word ^ 0x22222222;
  const slash = word ^ 0x5c5c5c5c;
  const control = (word - 0x20202020) & ~word;
  return (((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash) | control) & 0x80808080;
}

/** Behind the closing quote of a string; `at` is behind the opening one. UTF-8 is checked elsewhere. */
export function stringEnd(view: DataView, start: number): number {
  let at = start;
  for (;;) {
    // two words in a turn, since most of a snapshot is text
    let hit = stops(view.getInt32(at, true));
    if (hit === 0) {
      at += 4;
      hit = stops(view.getInt32(at, true));
      if (hit === 0) {
        at += 4;
        continue;
      }
    }
    at += (31 - Math.clz32(hit & -hit)) >>> 3;
    const byte = view.getUint8(at);
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return FAIL;
    at = escapeEnd(view, at);
    if (at < 0) return FAIL;
  }
}

/** The next byte of a field's name that is none of the ASCII characters which the backend lets be there unescaped. */
export function plainNameEnd(view: DataView, start: number): number {
  for (let at = start; ; at += 4) {
    const word = view.getInt32(at, true);
    const quote = word ^ 0x22222222;
    const slash = word ^ 0x5c5c5c5c;
    // as in stringEnd; beyond ASCII and DEL (0x7f) too
    const odd = word | (word + 0x01010101) | ((word - 0x20202020) & ~word);
    const hit = (odd | ((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash)) & 0x80808080;
    if (hit !== 0) return at + ((31 - Math.clz32(hit & -hit)) >>> 3);
  }
}

/** Behind `\n`, `\u001f` or a pair of surrogates, whose halves are refused alone. */
export function escapeEnd(view: DataView, at: number): number {
  const byte = view.getUint8(at + 1);
  if (byte !== LETTER_U) return '"\\/bfnrt'.includes(String.fromCharCode(byte)) ? at + 2 : FAIL;
  const unit = hex(view, at + 2);
  if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return FAIL;
  if (unit < 0xd800 || unit > 0xdbff) return at + 6;
  const pair = view.getUint8(at + 6) === BACKSLASH && view.getUint8(at + 7) === LETTER_U;
  const second = pair ? hex(view, at + 8) : FAIL;
  return second >= 0xdc00 && second <= 0xdfff ? at + 12 : FAIL;
}

function hex(view: DataView, at: number): number {
  const text = textOf(view, at, at + 4);
  return /^[0-9a-fA-F]{4}$/.test(text) ? Number.parseInt(text, 16) : FAIL;
}

/** Behind as many digits as there are, maybe none. */
export function digitsEnd(view: DataView, start: number): number {
  for (let at = start; ; at += 4) {
    const values = view.getInt32(at, true) ^ 0x30303030;
    // the upper half of each byte is 0 where there is a digit
    const hit = (values | (values + 0x06060606)) & 0xf0f0f0f0;
    if (hit !== 0) return at + ((31 - Math.clz32(hit & -hit)) >>> 3);
  }
}

/** Behind `true`, `false` or `null`. */
export function literalEnd(view: DataView, at: number): number {
  const word = view.getInt32(at, true);
  if (word === TRUE || word === NULL) return at + 4;
  return word === FALS && view.getUint8(at + 4) === LETTER_E ? at + 5 : FAIL;
}

/** Behind blanks; the line break is none of them. */
export function blanksEnd(view: DataView, start: number): number {
  for (let at = start; ; at += 1) {
    const byte = view.getUint8(at);
    if (byte !== SPACE && byte !== 0x09 && byte !== 0x0d) return at;
  }
}

export function textOf(view: DataView, start: number, end: number): string {
  return Buffer.from(view.buffer, view.byteOffset + start, end - start).toString();
}
