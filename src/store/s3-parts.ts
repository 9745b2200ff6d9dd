import type { CompletedPart } from "@aws-sdk/client-s3";
import { unsupported } from "./faults.ts";
import { type BufferPool, MOST_PARTS, type PartReader, type PartSizes, sizeOfPart } from "./parts.ts";
import { faultOf } from "./s3-errors.ts";
import { StagedPart } from "./staged-part.ts";

const ATTEMPTS = 3;

/** The SDK repeats requests by itself, but not those whose bytes were damaged on their way, and no streams. */
export async function repeating<T>(
  send: () => Promise<T>,
  body: Uint8Array | StagedPart,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send();
    } catch (failure) {
      const { name, status } = faultOf(failure);
      const broken = /^(BadDigest|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch|IncompleteBody)$/.test(name);
      const again = broken || (body instanceof StagedPart && (status === undefined || status >= 500));
      if (signal.aborted || attempt === ATTEMPTS || !again) throw failure;
    }
  }
}

export interface PartsContext {
  readonly location: string;
  readonly sizes: PartSizes;
  /** Parts on their way at a time. */
  readonly parallel: number;
  /** Where parts too large for memory wait. */
  readonly temporary: string;
  readonly signal: AbortSignal;
  /** Sees every byte once, in order, and returns the checksum of these. */
  readonly count: (bytes: Uint8Array) => number;
  readonly send: (
    number: number,
    body: Uint8Array | StagedPart,
    crc: number,
    signal: AbortSignal,
  ) => Promise<CompletedPart>;
}

/**
 * Sends a body in parts, a few at a time. Resolves when all are there; after a failure only once none is on its way, so
 * that nothing arrives after the upload has been aborted.
 * @param first the first part, read already, and full
 */
export async function sendParts(
  first: Buffer,
  reader: PartReader,
  pool: BufferPool,
  context: PartsContext,
): Promise<CompletedPart[]> {
  const flight = new Flight(context);
  try {
    flight.launch(1, first, context.count(first), () => pool.give(first));
    for (let number = 2; !flight.failed; number += 1) {
      const size = sizeOfPart(number, context.sizes);
      // Large parts wait on the disk, one at a time.
      const onDisk = size > context.sizes.first;
      await flight.room(onDisk ? 1 : context.parallel);
      if (flight.failed) break;
      const filled = onDisk
        ? await stage(number, size, reader, flight, context)
        : await fill(number, reader, pool, flight, context);
      if (filled < size) break;
    }
  } catch (failure) {
    flight.fail(failure);
  }
  return await flight.landed();
}

async function fill(
  number: number,
  reader: PartReader,
  pool: BufferPool,
  flight: Flight,
  context: PartsContext,
): Promise<number> {
  const buffer = pool.take();
  const filled = await reader.fill(buffer);
  const part = buffer.subarray(0, filled);
  if (filled > 0) flight.launch(number, part, context.count(part), () => pool.give(buffer));
  return filled;
}

async function stage(
  number: number,
  size: number,
  reader: PartReader,
  flight: Flight,
  context: PartsContext,
): Promise<number> {
  const staged = await StagedPart.read(reader, size, context.temporary, context.count);
  if (staged.bytes === 0) await staged.remove();
  else flight.launch(number, staged, staged.crc, () => staged.remove());
  return staged.bytes;
}

/** The parts that are on their way. */
class Flight {
  readonly #context: PartsContext;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #flying = new Set<Promise<void>>();
  readonly #done: CompletedPart[] = [];
  readonly #failures: unknown[] = [];

  constructor(context: PartsContext) {
    this.#context = context;
    this.#signal = AbortSignal.any([this.#stop.signal, context.signal]);
  }

  get failed(): boolean {
    return this.#failures.length > 0;
  }

  /** @param after frees what held the part's bytes */
  launch(number: number, body: Uint8Array | StagedPart, crc: number, after: () => unknown): void {
    if (number > MOST_PARTS) {
      throw unsupported(
        this.#context.location,
        "take an object of more than 5 TiB",
        "Leave file storage out (include-file-storage: false), or copy the backend's storage by other means.",
      );
    }
    const sent = this.#context
      .send(number, body, crc, this.#signal)
      .then(
        (part) => void this.#done.push(part),
        (failure: unknown) => this.fail(failure),
      )
      .then(after)
      .then(() => void this.#flying.delete(sent));
    this.#flying.add(sent);
  }

  /** The first failure counts; the others are its consequences. */
  fail(failure: unknown): void {
    this.#failures.push(failure);
    this.#stop.abort(failure);
  }

  async room(most: number): Promise<void> {
    while (this.#flying.size >= most) await Promise.race(this.#flying);
  }

  async landed(): Promise<CompletedPart[]> {
    await Promise.all(this.#flying);
    if (this.failed) throw this.#failures[0];
    return this.#done.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  }
}
