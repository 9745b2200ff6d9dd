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
  // One listener for all chunks, and no race against one promise: each race would hold on to its chunk until the end.
  let stop: (() => void) | undefined;
  const aborted = (): void => stop?.();
  signal?.addEventListener("abort", aborted);
  const next = (): Promise<IteratorResult<Uint8Array>> =>
    new Promise((resolve, reject) => {
      stop = () => reject(new SourceFailure(signal?.reason));
      if (signal?.aborted === true) stop();
      else iterator.next().then(resolve, (failure: unknown) => reject(new SourceFailure(failure)));
    });
  let ended = false;
  try {
    for (;;) {
      const result = await next();
      ended = result.done === true;
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    signal?.removeEventListener("abort", aborted);
    // Not awaited: a body that hangs would hold up its own end.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
