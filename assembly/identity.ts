// Ids of documents as text (contract 7.2): base32 of LEB128 table number, 16 bytes, and a Fletcher checksum.

const NONE: u32 = 32;
const INTERNAL_BYTES: i32 = 16;
const LONGEST: usize = 37;
export const USUAL_LENGTH: usize = 32;

/** Of each byte: its value in the alphabet 0123456789abcdefghjkmnpqrstvwxyz, or NONE. */
const VALUES: usize = memory.data(256);
memory.fill(VALUES, <u8>NONE, 256);
for (let value: u32 = 0, letter: u32 = 0x30; value < 32; letter += 1) {
  const gap = letter > 0x39 && letter < 0x61;
  // i, l, o, u
  if (gap || letter === 0x69 || letter === 0x6c || letter === 0x6f || letter === 0x75) continue;
  store<u8>(VALUES + letter, <u8>value);
  value += 1;
}

// @ts-expect-error: decorator
@inline
function valueAt(at: usize, offset: usize): u32 {
  return load<u8>(VALUES + load<u8>(at + offset));
}

/** The table number of the id that stands at `start`, or 0 when it is no id or its checksum is wrong. */
export function tableNumber(start: usize, end: usize): f64 {
  return end - start === USUAL_LENGTH ? usualNumber(start) : anyNumber(start, end);
}

/**
 * The same for ids of 32 characters, which all real ones have: numbers 128 to 16383 in two bytes, 20 bytes altogether. It
 * is done for every document, so five bytes at a time.
 */
function usualNumber(start: usize): f64 {
  let sum: u32 = 0;
  let sums: u32 = 0;
  let table: u32 = 0;
  // a value of 32 is no letter of the alphabet
  let seen: u32 = 0;
  let at = start;
  while (true) {
    const a = valueAt(at, 0);
    const b = valueAt(at, 1);
    const c = valueAt(at, 2);
    const d = valueAt(at, 3);
    const e = valueAt(at, 4);
    const f = valueAt(at, 5);
    const g = valueAt(at, 6);
    const h = valueAt(at, 7);
    seen |= a | b | c | d | e | f | g | h;
    const high = (a << 15) | (b << 10) | (c << 5) | d;
    const low = (e << 15) | (f << 10) | (g << 5) | h;
    if (at === start) {
      if (high >> 19 !== 1 || ((high >> 11) & 1) !== 0) return anyNumber(start, start + USUAL_LENGTH);
      table = ((high >> 12) & 0x7f) | (((high >> 4) & 0x7f) << 7);
    }
    sum += high >> 12;
    sums += sum;
    sum += (high >> 4) & 0xff;
    sums += sum;
    sum += ((high & 0xf) << 4) | (low >> 16);
    sums += sum;
    if (at === start + USUAL_LENGTH - 8) {
      const right = (sum & 0xff) === ((low >> 8) & 0xff) && (sums & 0xff) === (low & 0xff);
      return right && seen < NONE ? <f64>table : 0;
    }
    sum += (low >> 8) & 0xff;
    sums += sum;
    sum += low & 0xff;
    sums += sum;
    at += 8;
  }
}

function anyNumber(start: usize, end: usize): f64 {
  if (end - start > LONGEST) return 0;
  let word: u32 = 0;
  let bits: u32 = 0;
  let count = 0;
  let table: u64 = 0;
  // table number bytes, 1 to 5; 0 while they are being read
  let tableBytes = 0;
  let sum: u32 = 0;
  let sums: u32 = 0;
  for (let at = start; at < end; at += 1) {
    const value = valueAt(at, 0);
    if (value === NONE) return 0;
    word = ((word << 5) | value) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    const byte = (word >> bits) & 0xff;
    if (tableBytes === 0) {
      table += <u64>(byte & 0x7f) << (7 * count);
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
  return whole && bits < 5 && (word & ((1 << bits) - 1)) === 0 ? <f64>table : 0;
}
