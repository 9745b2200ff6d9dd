/**
 * Runs several things at once: all of their results, or the first failure. A failure ends the others by the signal that
 * each gets, and is thrown only when they have ended, so that nothing goes on behind the back of what cleans up.
 */
export async function together<T extends readonly unknown[]>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  const stop = new AbortController();
  let failure: { readonly error: unknown } | undefined;
  const settled = start(AbortSignal.any([signal, stop.signal])).map((one) =>
    (one as Promise<unknown>).catch((error: unknown) => {
      failure ??= { error };
      stop.abort(error);
    }),
  );
  const results = await Promise.all(settled);
  if (failure !== undefined) throw failure.error;
  return results as unknown as T;
}
