/** Ids of documents as text (contract 7.2): base32 of LEB128 table number, 16 bytes, and a Fletcher checksum. */

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const NONE = 32;
const INTERNAL_BYTES = 16;
const LONGEST = 37;

const VALUES = new Uint8Array(256).fill(NONE);
for (const [value, letter] of [...ALPHABET].entries()) VALUES[letter.charCodeAt(0)] = value;

/** The table number of the id that stands at `start`, or 0 when it is no id or its checksum is wrong. */
export function tableNumberOf(bytes: Uint8Array, start: number, end: number): number {
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
