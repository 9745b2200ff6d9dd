import { ActionError } from "../runner/errors.ts";
import type { Log } from "../system/deps.ts";
import type { Ended } from "./backend.ts";
import { type Cause, causeOf } from "./boot-causes.ts";
import { redactor } from "./redact.ts";

/** Lines of the backend's log that an error about it shows. */
export const SHOWN_LINES = 50;

/** Lines in which the cause is looked for: some come after it. */
export const READ_LINES = 500;

export interface BootContext {
  /** From the start to the end, in milliseconds. */
  readonly afterMs: number;
  /** What must not be shown: instance secret, keys, passwords of URLs. */
  readonly secrets: readonly string[];
}

function howItEnded(ended: Ended): string {
  if (ended.outOfMemory) return "ended by the kernel for want of memory";
  if (ended.signal !== null) return `ended by ${ended.signal}`;
  return `with exit code ${ended.exitCode}`;
}

/** Where the log names no cause that we know: its own last word about it. */
function unknownCause(ended: Ended, lines: readonly string[]): Cause {
  const killed = ended.signal === "SIGKILL" || ended.exitCode === 137;
  if (ended.outOfMemory || killed) {
    return {
      why: "it was killed from outside, which the kernel does when memory runs out",
      hint: "Give the runner or the container more memory, or run less beside it.",
    };
  }
  const panic = lines.findLastIndex((line) => /panicked at/.test(line));
  const said =
    panic === -1
      ? lines.findLast((line) => /^Error: |Caught error error/.test(line))?.replace(/^.*?(Error: |full trace\): )/, "")
      : `${lines[panic]} ${lines[panic + 1] ?? ""}`.trim();
  return {
    why: said ?? (lines.length === 0 ? "it wrote nothing to its log" : "its log names no cause"),
    hint:
      lines.length === 0
        ? "Start it again; if it ends so again, try another release in version."
        : "Read its log above; if nothing in it is yours to change, try another release in version.",
  };
}

/**
 * What to tell when a backend ended that nobody asked to end. Prints its last lines, redacted, before.
 * @param lines of its log, oldest first, as they are
 * @returns ActionError `backend-exited`, or `port-taken`
 */
export function bootFailure(ended: Ended, lines: readonly string[], context: BootContext, log: Log): ActionError {
  const all = lines.map(redactor(context.secrets));
  const clean = all.slice(-SHOWN_LINES);
  log.foreign(clean);
  const cause = ended.outOfMemory ? unknownCause(ended, all) : (causeOf(all) ?? unknownCause(ended, all));
  const seconds = (context.afterMs / 1000).toFixed(1);
  const above =
    clean.length === 0
      ? ""
      : ` (Its last ${clean.length === 1 ? "log line is" : `${clean.length} log lines are`} above.)`;
  return new ActionError(
    cause.code ?? "backend-exited",
    `The backend stopped ${seconds} s after its start, ${howItEnded(ended)}: ${cause.why}.`,
    `${cause.hint}${above}`,
  );
}
