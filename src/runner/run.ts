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

/**
 * Runs an entry point: whatever it throws becomes the step's failure, shown as `[code] message → hint`.
 * A cancelled job ends the process; children are ended with it, and the post step does the rest.
 */
export async function runAction(main: () => Promise<void>): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      info("The job was cancelled; the post step ends what was started.");
      process.exit(130);
    });
  }
  try {
    await main();
  } catch (failure) {
    const text = failure instanceof ActionError ? failure.text : `[internal] ${messageOf(failure)} → ${REPORT_DEFECT}`;
    flushForeign();
    setFailed(redactKnown(text));
    explain(failure);
  }
  // Nothing that is still open (a kept connection, a watched process) may hold the job up.
  process.stdout.write("", () => process.exit());
}
