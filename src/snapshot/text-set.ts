import { murmur } from "./digest.ts";

/** Of each text. */
const WORDS = 4;
const FEWEST = 64;

/**
 * A set of texts that only tells whether one was added before. It holds 128 bits of each, a sixth of what a Set of
 * strings takes, since there may be as many texts as a snapshot has files; two texts are taken for one with a chance of
 * 2^-128, and then the snapshot is refused.
 */
export class TextSet {
  readonly #hash = new Int32Array(WORDS);
  /** Open addressing; four zeros are a free place. */
  #places = new Int32Array(FEWEST * WORDS);
  #size = 0;

  /** Whether it was not there. */
  add(text: string): boolean {
    murmur(Buffer.from(text), this.#hash);
    const [a = 0, b = 0, c = 0, d = 0] = this.#hash;
    // never the free place
    if (!put(this.#places, (a | b | c | d) === 0 ? 1 : a, b, c, d)) return false;
    this.#size += 1;
    if (this.#size * WORDS * 2 > this.#places.length) this.#grow();
    return true;
  }

  #grow(): void {
    const before = this.#places;
    this.#places = new Int32Array(before.length * 2);
    for (let at = 0; at < before.length; at += WORDS) {
      const [a = 0, b = 0, c = 0, d = 0] = before.subarray(at, at + WORDS);
      if ((a | b | c | d) !== 0) put(this.#places, a, b, c, d);
    }
  }
}

/** Whether it was not there. */
function put(places: Int32Array, a: number, b: number, c: number, d: number): boolean {
  const last = places.length / WORDS - 1;
  for (let place = a & last; ; place = (place + 1) & last) {
    const at = place * WORDS;
    if (((places[at] ?? 0) | (places[at + 1] ?? 0) | (places[at + 2] ?? 0) | (places[at + 3] ?? 0)) === 0) {
      places[at] = a;
      places[at + 1] = b;
      places[at + 2] = c;
      places[at + 3] = d;
      return true;
    }
    if (places[at] === a && places[at + 1] === b && places[at + 2] === c && places[at + 3] === d) return false;
  }
}
