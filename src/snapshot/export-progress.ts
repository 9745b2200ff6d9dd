import { ActionError } from "../runner/errors.ts";
import { seconds } from "../runner/summary.ts";
import type { Deps } from "../system/deps.ts";

/** So often, with growing waits between, nothing that passes by itself makes a backend start an export again. */
const MOST_RESTARTS = 8;

/** The order in which an export goes through its parts (contract 7.1). */
function rankOf(message: string): number {
  if (message === "") return 0;
  if (message === "Beginning backup") return 1;
  if (/^Backing up _tables\b/.test(message)) return 2;
  return /^Backing up _storage\b/.test(message) ? 4 : 3;
}

/**
 * What can be seen of a running export: where it is, and how often it began again. The backend repeats a failed one
 * for ever and says nothing of it, but its progress jumps back (contract 7.1, 7.4).
 */
export class ExportProgress {
  readonly #deps: Deps;
  readonly #start: number;
  #told: number;
  #last = "";
  #farthest = "";
  #restarts = 0;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#start = deps.clock.now();
    this.#told = this.#start;
  }

  seen(message: string): void {
    const { clock, log } = this.#deps;
    if (rankOf(message) < rankOf(this.#last)) {
      this.#restarts += 1;
      if (this.#restarts === 1) {
        log.warning(
          `The backend began its export again after "${this.#last}". If that repeats, a file is lost or its storage refuses something; its own log says what.`,
        );
      }
    }
    if (message !== "") {
      if (rankOf(message) >= rankOf(this.#farthest)) this.#farthest = message;
      this.#last = message;
    }
    if (clock.now() - this.#told < 5000) return;
    this.#told = clock.now();
    const again = this.#restarts === 0 ? "" : `, begun again ${this.#restarts} times`;
    log.info(`Export: ${message === "" ? "waiting for the backend" : message} (${this.#elapsed()}${again}).`);
  }

  /** It began again so often that waiting on makes no sense. */
  hopeless(): boolean {
    return this.#restarts >= MOST_RESTARTS;
  }

  #elapsed(): string {
    return seconds(this.#deps.clock.now() - this.#start);
  }

  timeout(limitMs: number): ActionError {
    const again = this.#restarts > 0;
    const seen =
      this.#last === "" ? "the backend had not begun with it" : `it was at "${this.#last}" when it was last seen`;
    const what = again
      ? `The backend began its export again ${this.#restarts} times and came as far as "${this.#farthest}"; after ${this.#elapsed()} it was canceled.`
      : `The export did not end within ${seconds(limitMs)} and was canceled: ${seen}.`;
    return new ActionError("export-timeout", what, hintFor(again, this.#farthest));
  }
}

function hintFor(again: boolean, farthest: string): string {
  if (!again) return "Raise export-timeout if the deployment is large; else look at the backend's log.";
  const lost =
    'A stored file is lost: the log names it ("file missing from storage"); put it back or delete it, or set include-file-storage: false for now.';
  const parts =
    "The backend keeps its exports in an S3 store that refuses them: set STORAGE_MAX_INTERMEDIATE_PART_SIZE=5242880 on the backend for stores that take only parts of equal size (R2).";
  const causes = rankOf(farthest) === 4 ? [lost, parts] : [parts, lost];
  return `The backend's log has the cause on the line before "Export failed, retrying". Likely: (1) ${causes[0]} (2) ${causes[1]}`;
}
