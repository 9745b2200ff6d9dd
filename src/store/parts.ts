import { chunksOf } from "./source.ts";

const MIB = 1024 * 1024;

/** What S3 allows (User Guide, "Amazon S3 multipart upload limits"). */
export const MOST_PARTS = 10_000;
export const LEAST_PART = 5 * MIB;

export interface PartSizes {
  /** Bytes of each part up to number `even`; some stores (R2) take parts of one size only, so this reaches far. */
  readonly first: number;
  readonly even: number;
  /** Bytes of each part after that. */
  readonly later: number;
}

/** 62 GiB in parts of one size, and then as far as an object can be: 5 TiB. */
export const PART_SIZES: PartSizes = { first: 8 * MIB, even: 8000, later: 2650 * MIB };

export function sizeOfPart(number: number, sizes: PartSizes): number {
  return number <= sizes.even ? sizes.first : sizes.later;
}

/**
 * Buffers that are used again, so that memory stays flat however long an upload is. Never freed by hand: a socket of a
 * request that was answered early may still be writing one, and the system knows only its address.
 */
export class BufferPool {
  readonly #free: Buffer[] = [];
  readonly #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  give(buffer: Buffer): void {
    this.#free.push(buffer);
  }
}

/** Cuts a body into parts of the sizes that are asked for. A part of no bytes is the end. */
export class PartReader {
  readonly #chunks: AsyncGenerator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();
  #ended = false;

  constructor(body: Uint8Array | AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#chunks = chunksOf(body, signal);
  }

  /** Fills as much of `buffer` as there is; less than its length only at the end. Returns the bytes. */
  async fill(buffer: Buffer): Promise<number> {
    let filled = 0;
    while (filled < buffer.length) {
      const chunk = await this.next(buffer.length - filled);
      if (chunk === undefined) break;
      buffer.set(chunk, filled);
      filled += chunk.length;
    }
    return filled;
  }

  /** The next bytes, `most` of them at most; undefined at the end. */
  async next(most: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      if (this.#ended) return undefined;
      const result = await this.#chunks.next();
      if (result.done === true) this.#ended = true;
      else this.#rest = result.value;
    }
    const chunk = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(chunk.length);
    return chunk;
  }

  /** Tells the body that no more of it is wanted. */
  async end(): Promise<void> {
    await this.#chunks.return(undefined);
  }
}
