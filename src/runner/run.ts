import { debug, info, setFailed } from "@actions/core";
import { ActionError, messageOf } from "./errors.ts";
import { flushForeign, jobLog } from "./log.ts";
import { redactKnown } from "./mask.ts";

export const REPORT_DEFECT =
  "This is a defect of the action: report it with the log of a run that has debug logging on.";

/** Prints why, one line a cause, below the error itself. */
function explain(failure: unknown): void {
  for (let cause = failure instanceof Error ? failure.cause : undefined; cause instanceof Error; cause = cause.cause) {
    jobLog.foreign(`caused by: ${messageOf(cause)}`.split("\n"));
  }
  flushForeign();
  if (failure instanceof Error && failure.stack !== undefined) debug(redactKnown(failure.stack));
}

/** A cancelled job sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that. */
export const GRACE_MS = 6000;

export class JobCancelled extends ActionError {
  constructor() {
    super("job-cancelled", "The job was cancelled.", "Run it again; the job summary says what was done already.");
  }
}

function onSignals(graceMs: number): AbortSignal {
  const cancelled = new AbortController();
  const cancel = (): void => {
    // A second signal comes long after the time that is left, or by mistake.
    if (cancelled.signal.aborted) return;
    if (graceMs === 0) {
      info("The job was cancelled; a post step, where there is one, ends what was started.");
      process.exit(130);
    }
    info("The job was cancelled: ending what was started.");
    cancelled.abort(new JobCancelled());
    setTimeout(() => process.exit(130), graceMs).unref();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, cancel);
  return cancelled.signal;
}

/**
 * Runs an entry point: whatever it throws becomes the step's failure, shown as `[code] message → hint`.
 * A cancelled job ends the process; children are ended with it, and the post step does the rest. With `graceMs` the
 * entry point is told by its signal, and has so long to end by itself.
 */
export async function runAction(
  main: (cancelled: AbortSignal) => Promise<void>,
  { graceMs = 0 }: { readonly graceMs?: number } = {},
): Promise<void> {
  const cancelled = onSignals(graceMs);
  try {
    await main(cancelled);
  } catch (failure) {
    const text = failure instanceof ActionError ? failure.text : `[internal] ${messageOf(failure)} → ${REPORT_DEFECT}`;
    flushForeign();
    setFailed(redactKnown(text));
    explain(failure);
  }
  // Nothing that is still open (a kept connection, a watched process) may hold the job up.
  process.stdout.write("", () => process.exit());
}
