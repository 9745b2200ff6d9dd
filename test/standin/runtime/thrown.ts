/** Thrown values on their way out of the isolate thread (contract 6.2). */
import { ModuleDefect } from "./graph.ts";
import type { JobError } from "./protocol.ts";
import { type Frame, frames, frameText, type SourceMaps } from "./stack.ts";

const framesOf = new WeakMap<object, Frame[]>();

/** Keeps the frames for `describe`; the `stack` that code sees has none (contract 6.2: `[Error: logged]`). */
export function prepareStacks(maps: SourceMaps): void {
  Error.stackTraceLimit = 60;
  Error.prepareStackTrace = (error, sites) => {
    framesOf.set(error, frames(sites, maps));
    return String(error);
  };
}

function framesOfError(error: unknown): Frame[] {
  if (typeof error !== "object" || error === null) return [];
  // The stack is prepared when it is first read.
  void (error as { stack?: unknown }).stack;
  return framesOf.get(error) ?? [];
}

/** A thrown value, ready to be shown. */
export function describe(error: unknown): JobError {
  if (error instanceof ModuleDefect) return { text: "", trace: "", headline: "", frames: "", plain: error.message };
  const list = framesOfError(error);
  const headline = `Uncaught ${headlineOf(error)}`;
  const shown = frameText(list, { plumbing: false });
  const data = dataOf(error);
  return {
    headline,
    frames: shown,
    text: `${headline}${shown}\n`,
    trace: `${headline}${frameText(list, { plumbing: true })}\n`,
    ...(data === undefined ? {} : { data }),
  };
}

function headlineOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "[object]";
  }
}

/** The library has turned the data into JSON text before it rethrows. */
function dataOf(error: unknown): unknown {
  if (typeof error !== "object" || error === null || !(Symbol.for("ConvexError") in error)) return undefined;
  const { data } = error as { data?: unknown };
  return typeof data === "string" ? JSON.parse(data) : undefined;
}
