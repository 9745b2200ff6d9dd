import { error } from "@actions/core";
import { flushForeign } from "./log.ts";

/** Something wrong at a place in the user's repository. */
export interface Annotation {
  /** Relative to the repository's root, with forward slashes; absent when the place is not known. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  readonly column?: number;
  readonly title: string;
  readonly message: string;
}

/** The runner shows ten errors a step; the step's own failure is one of them. */
const MOST_ANNOTATIONS = 9;

/** Shows the first ones as annotations; the runner would drop the rest, which belongs into the summary. */
export function annotateErrors(annotations: readonly Annotation[]): void {
  flushForeign();
  for (const { file, line, column, title, message } of annotations.slice(0, MOST_ANNOTATIONS)) {
    error(message, {
      title,
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { startLine: line }),
      ...(column === undefined ? {} : { startColumn: column }),
    });
  }
}
