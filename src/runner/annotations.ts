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

const MOST_ANNOTATIONS = 10;

/** Shows the first ten as annotations (the runner drops the rest) and returns how many were left out. */
export function annotateErrors(annotations: readonly Annotation[]): number {
  flushForeign();
  for (const { file, line, column, title, message } of annotations.slice(0, MOST_ANNOTATIONS)) {
    error(message, {
      title,
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { startLine: line }),
      ...(column === undefined ? {} : { startColumn: column }),
    });
  }
  return Math.max(0, annotations.length - MOST_ANNOTATIONS);
}
