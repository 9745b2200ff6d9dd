import { createHash } from "node:crypto";

/** Length and SHA-256 of what passes through. */
export class Digest {
  readonly #hash = createHash("sha256");
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Hex; once. */
  sha256(): string {
    return this.#hash.digest("hex");
  }

  async *through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      this.#hash.update(bytes);
      this.#bytes += bytes.length;
      yield bytes;
    }
  }
}
