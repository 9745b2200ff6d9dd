import { createInflateRaw, type InflateRaw } from "node:zlib";
import { release } from "../system/memory.ts";

/** At a time: each piece is a hand-over between threads, and all that reads it finds it in the processor's cache. */
const PIECE_BYTES = 512 * 1024;

/**
 * Inflates a raw deflate stream. What lies in memory is given back at once: left to the collector, it is a third of all
 * memory of an inspection.
 * @param packed a piece has to be good until the next is asked for
 * @param take a piece is only valid until it returns
 * @returns how many of the packed bytes were used
 */
export async function unpack(packed: Iterable<Buffer>, take: (piece: Buffer) => void): Promise<number> {
  const inflate = createInflateRaw({ chunkSize: PIECE_BYTES });
  const fed = feed(inflate, packed);
  try {
    await drain(inflate, take);
  } finally {
    inflate.destroy();
    await fed;
  }
  return inflate.bytesWritten;
}

/** Never rejects: what fails here is what reading from `inflate` fails with. Ends with it, too. */
async function feed(inflate: InflateRaw, packed: Iterable<Buffer>): Promise<void> {
  let next: (() => void) | undefined;
  inflate.once("close", () => next?.());
  try {
    for (const piece of packed) {
      await new Promise<void>((resolve) => {
        next = resolve;
        inflate.write(piece, () => resolve());
      });
      if (inflate.destroyed) return;
    }
    inflate.end();
  } catch (error) {
    inflate.destroy(error as Error);
  }
}

/** Pieces of one buffer come in their order, and a new one follows its end: it is done with then. */
async function drain(inflate: InflateRaw, take: (piece: Buffer) => void): Promise<void> {
  for await (const piece of inflate as AsyncIterable<Buffer>) {
    take(piece);
    const whole = new Uint8Array(piece.buffer);
    if (piece.byteOffset + piece.length === whole.length) release(whole);
  }
}
