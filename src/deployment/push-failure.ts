import type { Annotation } from "../runner/annotations.ts";
import { ActionError } from "../runner/errors.ts";
import { withoutDocuments } from "./documents.ts";
import { type PushPhase, phaseOf, withoutColours } from "./push-output.ts";
import { judge } from "./push-rules.ts";
import type { PushContext } from "./push-verdict.ts";

/** A deploy that failed, with the places to look at. */
export class PushError extends ActionError {
  readonly phase: PushPhase;
  readonly annotations: readonly Annotation[];

  constructor(failure: PushFailure) {
    super(failure.code, failure.message, failure.hint);
    this.name = "PushError";
    this.phase = failure.phase;
    this.annotations = failure.annotations;
  }
}

export interface PushFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly phase: PushPhase;
  readonly annotations: readonly Annotation[];
  /** Another deploy or change got in between: repeating the whole deploy may succeed (contract 5.2). */
  readonly retry: boolean;
}

/**
 * Classifies the output of a `convex deploy` that ended with another code than 0 (contract 5.3, 5.4, 12). An output
 * that no rule knows is quoted.
 */
export function classifyPush(output: string, exitCode: number, context: PushContext): PushFailure {
  const text = withoutColours(output).replace(/\r\n/g, "\n");
  const verdict = judge(text, exitCode, context);
  const { code, message, hint, annotations = [], retry = false } = verdict;
  const shown = (words: string): string =>
    (context.showDocuments ? words : withoutDocuments(words)).replace(/\s*\n\s*/g, " ");
  return {
    code,
    message: shown(message),
    hint,
    phase: phaseOf(text),
    annotations: annotations.map((one) => ({
      ...one,
      message: context.showDocuments ? one.message : withoutDocuments(one.message),
    })),
    retry,
  };
}
