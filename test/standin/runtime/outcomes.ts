/** From the end of a job to what the caller gets: validators and error texts (contract 6.2). */
import {
  type AnalyzedFunction,
  type FunctionCall,
  FunctionError,
  type LogLine,
  type Outcome,
  type ReadTransaction,
  type Value,
} from "../types.ts";
import { mismatch, type Validator } from "../validators.ts";
import { encode, fromJson } from "../values.ts";
import type { JobError, JobResult } from "./protocol.ts";

/** The argument list of a job. */
export function argsText(args: Value): string {
  return `[${encode(args, "convex_encoded_json")}]`;
}

/** An outcome that is an error. */
export function failed(error: FunctionError, logLines: readonly LogLine[]): Outcome {
  return { status: "error", error, logLines };
}

/** The message ends where the backend adds its own newline. */
export function functionError(error: JobError): FunctionError {
  return new FunctionError(error.plain ?? error.text.replace(/\n$/, ""), dataOf(error));
}

export function dataOf(error: JobError): Value | undefined {
  return error.data === undefined ? undefined : fromJson(error.data);
}

function tableNumber(tx: ReadTransaction, component: string): (name: string) => number | undefined {
  return (name) => tx.table(component, name)?.number;
}

/** Arguments that the function does not take. */
export function argumentProblem(
  tx: ReadTransaction,
  call: FunctionCall,
  fn: AnalyzedFunction,
): FunctionError | undefined {
  const problem = mismatch(fn.args as Validator, call.args, tableNumber(tx, call.component));
  return problem === undefined ? undefined : new FunctionError(`ArgumentValidationError: ${problem}\n`);
}

/** What a finished job means for the caller; the value is checked against `returns`. */
export function outcome(
  result: JobResult,
  tx: ReadTransaction,
  call: FunctionCall,
  fn: AnalyzedFunction,
  logLines: readonly LogLine[],
): Outcome {
  if (!result.ok) return failed(functionError(result.error), logLines);
  const value = fromJson(JSON.parse(String(result.value)));
  const problem =
    fn.returns === null ? undefined : mismatch(fn.returns as Validator, value, tableNumber(tx, call.component));
  if (problem !== undefined) return failed(new FunctionError(`ReturnsValidationError: ${problem}\n`), logLines);
  return { status: "success", value, logLines };
}
