import { stat } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { inspectorUrl } from "../system/libraries.ts";
import { type InspectOptions, inspectSnapshot } from "./inspect.ts";
import type { Inspection } from "./inspection.ts";
import type { InspectionAnswer, InspectionTask } from "./inspector-thread.ts";

/**
 * Each of very many stored files leaves some garbage. Left to itself, the engine lets it pile up to 150 MB; nothing here
 * gets faster by that.
 */
export const THREAD_LIMITS = { maxYoungGenerationSizeMb: 12 };

/** Files up to this are inspected sooner than a thread is there. */
const SMALL = 2 * 1024 * 1024;

/**
 * `inspectSnapshot` in a thread of its own, beside which this one stays free to encrypt and upload. Says the same and
 * fails with the same; ends with the thread when the signal is aborted.
 */
export async function inspectAside(path: string, options: InspectOptions = {}, small = SMALL): Promise<Inspection> {
  const { sha256, signal } = options;
  const { size } = await stat(path);
  if (size <= small) return await inspectSnapshot(path, options);
  signal?.throwIfAborted();
  const task: InspectionTask = { path, sha256 };
  const worker = new Worker(inspectorUrl(), { workerData: task, resourceLimits: THREAD_LIMITS });
  try {
    const answer = await answerOf(worker, signal);
    if ("inspection" in answer) return answer.inspection;
    const { message, stack, code } = answer.failure;
    const error = new Error(message);
    throw Object.assign(error, stack === undefined ? {} : { stack }, code === undefined ? {} : { code });
  } finally {
    await worker.terminate();
  }
}

/** Rejects with the signal's reason, or with what ended the thread before it answered. */
function answerOf(worker: Worker, signal: AbortSignal | undefined): Promise<InspectionAnswer> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => {
      reject(new Error(`the thread that inspects the snapshot ended with ${code} before it was done`));
    });
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
