/** Ids of documents as text (contract 7.2): base32 of LEB128 table number, 16 bytes, and a Fletcher checksum. */

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const NONE = 32;
const INTERNAL_BYTES = 16;
const LONGEST = 37;
const USUAL = 32;

const VALUES = new Uint8Array(256).fill(NONE);
for (const [value, letter] of [...ALPHABET].entries()) VALUES[letter.charCodeAt(0)] = value;

/** The table number of the id that stands at `start`, or 0 when it is no id or its checksum is wrong. */
export function tableNumberOf(bytes: Uint8Array, start: number, end: number): number {
  return end - start === USUAL ? usualNumber(bytes, start) : anyNumber(bytes, start, end);
}

/**
 * The same for ids of 32 characters, which all real ones have: numbers 128 to 16383 in two bytes, 20 bytes altogether. It
 * is done for every document, so five bytes at a time.
 */
function usualNumber(bytes: Uint8Array, start: number): number {
  let sum = 0;
  let sums = 0;
  let table = 0;
  // a value of 32 is no letter of the alphabet
  let seen = 0;
  for (let at = start; at < start + USUAL; at += 8) {
    const a = VALUES[bytes[at] ?? 0] ?? NONE;
    const b = VALUES[bytes[at + 1] ?? 0] ?? NONE;
    const c = VALUES[bytes[at + 2] ?? 0] ?? NONE;
    const d = VALUES[bytes[at + 3] ?? 0] ?? NONE;
    const e = VALUES[bytes[at + 4] ?? 0] ?? NONE;
    const f = VALUES[bytes[at + 5] ?? 0] ?? NONE;
    const g = VALUES[bytes[at + 6] ?? 0] ?? NONE;
    const h = VALUES[bytes[at + 7] ?? 0] ?? NONE;
    seen |= a | b | c | d | e | f | g | h;
    const high = (a << 15) | (b << 10) | (c << 5) | d;
    const low = (e << 15) | (f << 10) | (g << 5) | h;
    if (at === start) {
      if (high >> 19 !== 1 || ((high >> 11) & 1) !== 0) return anyNumber(bytes, start, start + USUAL);
      table = ((high >> 12) & 0x7f) | (((high >> 4) & 0x7f) << 7);
    }
    sum += high >> 12;
    sums += sum;
    sum += (high >> 4) & 0xff;
    sums += sum;
    sum += ((high & 0xf) << 4) | (low >> 16);
    sums += sum;
    if (at === start + USUAL - 8) {
      const right = (sum & 0xff) === ((low >> 8) & 0xff) && (sums & 0xff) === (low & 0xff);
      return right && seen < NONE ? table : 0;
    }
    sum += (low >> 8) & 0xff;
    sums += sum;
    sum += low & 0xff;
    sums += sum;
  }
  return 0;
}

function anyNumber(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > LONGEST) return 0;
  let word = 0;
  let bits = 0;
  let count = 0;
  let table = 0;
  // table number bytes, 1 to 5; 0 while they are being read
  let tableBytes = 0;
  let sum = 0;
  let sums = 0;
  for (let at = start; at < end; at += 1) {
    const value = VALUES[bytes[at] ?? 0] ?? NONE;
    if (value === NONE) return 0;
    word = ((word << 5) | value) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    const byte = (word >> bits) & 0xff;
    if (tableBytes === 0) {
      table += (byte & 0x7f) * 2 ** (7 * count);
      if (byte < 0x80) tableBytes = count + 1;
      else if (count === 4) return 0;
    }
    count += 1;
    const past = count - tableBytes - INTERNAL_BYTES;
    if (tableBytes === 0 || past <= 0) {
      sum = (sum + byte) & 0xff;
      sums = (sums + sum) & 0xff;
    } else if (byte !== (past === 1 ? sum : sums)) return 0;
  }
  const whole = tableBytes > 0 && count === tableBytes + INTERNAL_BYTES + 2;
  return whole && bits < 5 && (word & ((1 << bits) - 1)) === 0 ? table : 0;
}

export function tableNumberOfText(id: string): number {
  const bytes = Buffer.from(id);
  return tableNumberOf(bytes, 0, bytes.length);
}
