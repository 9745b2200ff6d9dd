/**
 * The digest of a table: the sum of one 128-bit hash per line, each of its four words modulo 2^32, so that the order
 * of the lines does not matter and nothing grows with their number. The hash is MurmurHash3 (x86, 128 bit, seed 0) of the
 * line's bytes without its line break: text, so `1.0` and `1` differ. Two tables that differ by accident have one digest
 * with a chance of 2^-128.
 *
 * It is no defence against somebody who makes up documents to hit a given digest, and needs to be none: what is
 * compared by it is our own export of what a backend has just imported. That nobody touched a stored backup is proved by
 * the SHA-256 of the file in the manifest, and stored files are compared by their own SHA-256. A SHA-256 for each line
 * would take longer than unpacking and checking it.
 */
export class LinesDigest {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;
  /** The hash of the last line; valid until the next one. */
  readonly #hash = new Int32Array(4);

  add(line: string): void {
    murmur(Buffer.from(line), this.#hash);
    this.#a = (this.#a + (this.#hash[0] ?? 0)) | 0;
    this.#b = (this.#b + (this.#hash[1] ?? 0)) | 0;
    this.#c = (this.#c + (this.#hash[2] ?? 0)) | 0;
    this.#d = (this.#d + (this.#hash[3] ?? 0)) | 0;
  }

  /** 32 hex digits. */
  get hex(): string {
    return hexOf([this.#a, this.#b, this.#c, this.#d]);
  }
}

/** 8 hex digits for each word. */
export function hexOf(words: readonly number[]): string {
  return words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

/** MurmurHash3_x86_128 by Austin Appleby (public domain); the tests compute the value that he published to prove one. */
export function murmur(bytes: Uint8Array, out: Int32Array, seed = 0): void {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  let h1 = seed;
  let h2 = seed;
  let h3 = seed;
  let h4 = seed;
  let at = 0;
  for (const last = length - 16; at <= last; at += 16) {
    let k = Math.imul(view.getInt32(at, true), C1);
    h1 ^= Math.imul((k << 15) | (k >>> 17), C2);
    h1 = (Math.imul(((h1 << 19) | (h1 >>> 13)) + h2, 5) + 0x561ccd1b) | 0;
    k = Math.imul(view.getInt32(at + 4, true), C2);
    h2 ^= Math.imul((k << 16) | (k >>> 16), C3);
    h2 = (Math.imul(((h2 << 17) | (h2 >>> 15)) + h3, 5) + 0x0bcaa747) | 0;
    k = Math.imul(view.getInt32(at + 8, true), C3);
    h3 ^= Math.imul((k << 17) | (k >>> 15), C4);
    h3 = (Math.imul(((h3 << 15) | (h3 >>> 17)) + h4, 5) + 0x96cd1c35) | 0;
    k = Math.imul(view.getInt32(at + 12, true), C4);
    h4 ^= Math.imul((k << 18) | (k >>> 14), C1);
    h4 = (Math.imul(((h4 << 13) | (h4 >>> 19)) + h1, 5) + 0x32ac3b17) | 0;
  }
  if (at < length) {
    let k = Math.imul(rest(view, at + 12, length), C4);
    h4 ^= Math.imul((k << 18) | (k >>> 14), C1);
    k = Math.imul(rest(view, at + 8, length), C3);
    h3 ^= Math.imul((k << 17) | (k >>> 15), C4);
    k = Math.imul(rest(view, at + 4, length), C2);
    h2 ^= Math.imul((k << 16) | (k >>> 16), C3);
    k = Math.imul(rest(view, at, length), C1);
    h1 ^= Math.imul((k << 15) | (k >>> 17), C2);
  }
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mixed(h1);
  h2 = mixed(h2);
  h3 = mixed(h3);
  h4 = mixed(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1;
  out[1] = h2 + h1;
  out[2] = h3 + h1;
  out[3] = h4 + h1;
}

/** Up to four bytes, little-endian; 0 when there is none left. */
function rest(view: DataView, at: number, end: number): number {
  if (at + 4 <= end) return view.getInt32(at, true);
  let word = 0;
  for (let i = end - 1; i >= at; i -= 1) word = (word << 8) | view.getUint8(i);
  return word;
}

function mixed(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
