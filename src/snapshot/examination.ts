import { stat } from "node:fs/promises";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import { sizeText } from "../runner/meter.ts";
import type { InspectOptions } from "./inspect.ts";
import { inspectAside } from "./inspect-aside.ts";
import type { Inspection } from "./inspection.ts";

const NO_MEMORY = new Set(["ERR_WORKER_OUT_OF_MEMORY", "ERR_MEMORY_ALLOCATION_FAILED", "ENOMEM"]);
const UNREADABLE = new Set(["EIO", "ENOENT", "EACCES", "EPERM", "ESTALE", "EISDIR"]);
/** V8's words for a processor that it does not compile the scanner for. */
const NO_SIMD = /wasm simd unsupported/i;

/** V8 gives no code to what it could not allocate. */
const isOutOfMemory = (error: unknown): boolean =>
  NO_MEMORY.has(systemCode(error) ?? "") ||
  (error instanceof Error && /allocation failed|could not allocate memory/i.test(error.message));

function unfitProcessor(cause: unknown): ActionError {
  return new ActionError(
    "processor-unfit",
    "This machine's processor has no SSE4.1, so the snapshot cannot be looked through.",
    "Give the virtual machine a processor type with it (host, or x86-64-v2 and later), or use another runner.",
    { cause },
  );
}

/** A module of one function with one instruction for many bytes at a time: valid where the scanner can be compiled. */
const SIMD = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0],
  ...[10, 8, 1, 6, 0, 0x41, 0, 0xfd, 15, 11],
);

/** Before anything is asked for that could not be looked through. @throws ActionError `processor-unfit` */
export function checkProcessor(): void {
  if (!WebAssembly.validate(SIMD)) throw unfitProcessor(undefined);
}

async function explain(path: string, error: unknown): Promise<unknown> {
  if (isOutOfMemory(error)) {
    const { size } = await stat(path);
    return new ActionError(
      "inspection-memory",
      `There was not enough memory to look through the snapshot of ${sizeText(size)}, so nobody knows whether it is whole: ${messageOf(error)}.`,
      "Use a runner with more memory, and look at what else runs in the job. An inspection takes about 200 MB, and 200 bytes for each stored file.",
      { cause: error },
    );
  }
  if (NO_SIMD.test(messageOf(error))) return unfitProcessor(error);
  if (!UNREADABLE.has(systemCode(error) ?? "") || error instanceof ActionError) return error;
  return new ActionError(
    "disk-unreadable",
    `${path} cannot be read back: ${messageOf(error)}.`,
    "Run again on another runner: its disk fails, or something else in the job removes files of RUNNER_TEMP.",
    { cause: error },
  );
}

/**
 * An inspection whose own failures are told: a file that cannot be read, a thread that gets no memory.
 * @throws ActionError `disk-unreadable`, `inspection-memory`; the signal's reason
 */
export async function examine(path: string, options: InspectOptions = {}): Promise<Inspection> {
  try {
    return await inspectAside(path, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw await explain(path, error).catch(() => error);
  }
}
