/** A failure of what is being stored (the download that feeds an upload), not of the store: it goes to the caller as it is. */
export class SourceFailure extends Error {
  constructor(cause: unknown) {
    super("what is stored could not be read", { cause });
    this.name = "SourceFailure";
  }
}

/**
 * The bytes of a body, chunk by chunk. Ends with the signal's reason even while the body is silent, and tells the body so.
 * @throws SourceFailure around whatever the body throws
 */
export async function* chunksOf(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) {
    yield body;
    return;
  }
  const iterator = body[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => undefined);
  const abort = (): void => reject(new SourceFailure(signal?.reason));
  signal?.addEventListener("abort", abort, { once: true });
  let ended = false;
  try {
    if (signal?.aborted === true) throw new SourceFailure(signal.reason);
    for (;;) {
      const next = iterator.next().catch((failure: unknown) => {
        ended = true;
        throw new SourceFailure(failure);
      });
      const result = await Promise.race([next, aborted]);
      ended = result.done === true;
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // Not awaited: a body that hangs would hold up its own end.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
