import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { release } from "../system/memory.ts";

/*
 * The payload of an age file (https://age-encryption.org/v1, "Payload"): chunks of 64 KiB, each sealed with
 * ChaCha20-Poly1305 under a nonce of 11 bytes of counter and a byte that marks the last one. The library does the same
 * in JavaScript, at a fifth of the speed of Node's own cipher.
 */

const CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;
/** Sealed chunks are given out so many at a time: each time costs the whole way to the store. */
const CHUNKS_AT_ONCE = 16;
const ALGORITHM = "chacha20-poly1305";

/** A chunk that does not belong where it stands: changed, moved, missing, or behind the end. */
export class PayloadDamage extends Error {
  constructor(chunk: number, what: string) {
    super(`chunk ${chunk + 1} of the encrypted data ${what}`);
    this.name = "PayloadDamage";
  }
}

function nonceOf(chunk: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(chunk, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** Seals a chunk into `target`; returns the bytes that it takes there. */
function sealInto(target: Buffer, key: KeyObject, chunk: number, last: boolean, plain: Buffer): number {
  const cipher = createCipheriv(ALGORITHM, key, nonceOf(chunk, last), { authTagLength: TAG_BYTES });
  const sealed = cipher.update(plain);
  cipher.final();
  sealed.copy(target);
  release(sealed);
  cipher.getAuthTag().copy(target, plain.length);
  return plain.length + TAG_BYTES;
}

function open(key: KeyObject, chunk: number, last: boolean, sealed: Buffer): Buffer {
  if (sealed.length < TAG_BYTES) throw new PayloadDamage(chunk, "is cut off");
  const decipher = createDecipheriv(ALGORITHM, key, nonceOf(chunk, last), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    throw new PayloadDamage(chunk, "is not what was written there");
  }
  return plain;
}

/**
 * Cuts a stream into pieces of `size`; the last one is shorter, or empty where there is nothing at all. A piece that is
 * full is held back: only the end of the stream tells whether it is the last one. What is held when the source is asked
 * for more is copied, since its buffers are its own again then.
 */
async function* pieces(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly bytes: Buffer; readonly last: boolean }> {
  const held = Buffer.allocUnsafeSlow(size);
  let kept = 0;
  for await (const part of source) {
    const more = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    let at = 0;
    while (kept + more.length - at > size) {
      if (kept === 0) {
        yield { bytes: more.subarray(at, at + size), last: false };
        at += size;
      } else {
        at += more.copy(held, kept, at);
        kept = 0;
        yield { bytes: held, last: false };
      }
    }
    kept += more.copy(held, kept, at);
  }
  yield { bytes: held.subarray(0, kept), last: true };
}

/**
 * Seals a stream; memory does not grow with it.
 * @param key 32 bytes, used for nothing else
 * @param source its buffers may be used again once it is asked for the next one, and so may those that come out
 */
export async function* sealPayload(key: Buffer, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const secret = createSecretKey(key);
  const block = Buffer.allocUnsafeSlow(CHUNKS_AT_ONCE * (CHUNK_BYTES + TAG_BYTES));
  let [chunk, filled] = [0, 0];
  for await (const { bytes, last } of pieces(source, CHUNK_BYTES)) {
    filled += sealInto(block.subarray(filled), secret, chunk, last, bytes);
    chunk += 1;
    if (filled < block.length && !last) continue;
    yield block.subarray(0, filled);
    filled = 0;
  }
}

/** Opens what `sealPayload` sealed; nothing is given out before it is proved. @throws PayloadDamage */
export async function* openPayload(key: Buffer, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const secret = createSecretKey(key);
  let chunk = 0;
  for await (const { bytes, last } of pieces(source, CHUNK_BYTES + TAG_BYTES)) {
    const plain = open(secret, chunk, last, bytes);
    if (plain.length === 0 && chunk > 0) throw new PayloadDamage(chunk, "is empty");
    if (plain.length > 0) yield plain;
    chunk += 1;
  }
}
