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

/** The table number of the id that stands at `start`, or 0 when it is no id or its checksum is wrong. */
export function tableNumber(start: usize, end: usize): f64 {
  return end - start === USUAL_LENGTH ? usualNumber(start) : anyNumber(start, end);
}

/**
 * The same for ids of 32 characters, which all real ones have: numbers 128 to 16383 in two bytes, 20 bytes altogether. It
 * is done for every document, so 16 characters at a time.
 */
function usualNumber(start: usize): f64 {
  const first = valuesPlusOne(v128.load(start));
  const second = valuesPlusOne(v128.load(start, 16));
  if (!i8x16.all_true(first) || !i8x16.all_true(second)) return 0;
  // two groups of five bytes in each, the first of a group being the highest: bytes 0 to 9, 10 to 19
  const a = groups(i8x16.sub(first, i8x16.splat(1)));
  const b = groups(i8x16.sub(second, i8x16.splat(1)));
  const head = i64x2.extract_lane(a, 0);
  const low = <u32>(head >> 32);
  const high = <u32>(head >> 24) & 0xff;
  if (low < 0x80 || high >= 0x80) return anyNumber(start, start + USUAL_LENGTH);
  const a1 = i16x8.extend_low_i8x16_u(a);
  const a2 = i16x8.extend_high_i8x16_u(a);
  const b1 = i16x8.extend_low_i8x16_u(b);
  const b2 = i16x8.extend_high_i8x16_u(b);
  const bytes = i16x8.add(i16x8.add(a1, a2), b1);
  const sum = i32x4.add(i32x4.dot_i16x8_s(bytes, i16x8.splat(1)), i32x4.dot_i16x8_s(b2, i16x8(0, 0, 1, 1, 1, 0, 0, 0)));
  // of the 18 sums so far, the first byte is in each, the last in one
  const sums = i32x4.add(
    i32x4.add(
      i32x4.dot_i16x8_s(a1, i16x8(14, 15, 16, 17, 18, 0, 0, 0)),
      i32x4.dot_i16x8_s(a2, i16x8(9, 10, 11, 12, 13, 0, 0, 0)),
    ),
    i32x4.add(
      i32x4.dot_i16x8_s(b1, i16x8(4, 5, 6, 7, 8, 0, 0, 0)),
      i32x4.dot_i16x8_s(b2, i16x8(0, 0, 1, 2, 3, 0, 0, 0)),
    ),
  );
  const tail = <u32>i64x2.extract_lane(b, 1);
  const right = (total(sum) & 0xff) === ((tail >> 8) & 0xff) && (total(sums) & 0xff) === (tail & 0xff);
  return right ? <f64>((low & 0x7f) | (high << 7)) : 0;
}

/** Of 16 characters: each value in the alphabet and 1, or 0 for a character that is none. */
function valuesPlusOne(characters: v128): v128 {
  // an index beyond 15 gives 0
  const digits = i8x16(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 0, 0);
  const aToO = i8x16(0, 11, 12, 13, 14, 15, 16, 17, 18, 0, 19, 20, 0, 21, 22, 0);
  const pToZ = i8x16(23, 24, 25, 26, 27, 0, 28, 29, 30, 31, 32, 0, 0, 0, 0, 0);
  return v128.or(
    i8x16.swizzle(digits, i8x16.sub(characters, i8x16.splat(0x30))),
    v128.or(
      i8x16.swizzle(aToO, i8x16.sub(characters, i8x16.splat(0x60))),
      i8x16.swizzle(pToZ, i8x16.sub(characters, i8x16.splat(0x70))),
    ),
  );
}

/** Of 16 values of five bits: two numbers of forty. */
function groups(values: v128): v128 {
  const tens = v128.or(i16x8.shl(v128.and(values, i16x8.splat(0xff)), 5), i16x8.shr_u(values, 8));
  const twenties = v128.or(i32x4.shl(v128.and(tens, i32x4.splat(0xffff)), 10), i32x4.shr_u(tens, 16));
  return v128.or(i64x2.shl(v128.and(twenties, i64x2.splat(0xffffffff)), 20), i64x2.shr_u(twenties, 32));
}

function total(words: v128): u32 {
  const low = i32x4.extract_lane(words, 0) + i32x4.extract_lane(words, 1);
  return low + i32x4.extract_lane(words, 2) + i32x4.extract_lane(words, 3);
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
    const value = <u32>load<u8>(VALUES + load<u8>(at));
    if (value === NONE) return 0;
    word = ((word << 5) | value) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    const byte = (word >> bits) & 0xff;
    if (tableBytes === 0) {
      table += (<u64>(byte & 0x7f)) << (7 * count);
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
