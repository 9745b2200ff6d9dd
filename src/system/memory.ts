/**
 * Frees what a buffer lies in, at once and not at some later collection: a stream of such buffers costs the engine more
 * in collections than all the rest of the work on it. The buffer is empty afterwards. One that shares its memory with
 * others is left as it is. Never for what a socket or a file may still be writing: it would write what comes to lie there.
 */
export function release({ buffer, byteLength }: Uint8Array): void {
  if (byteLength > 0 && buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
