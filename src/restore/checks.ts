import { same } from "../deploy/validators.ts";
import type { DeploymentClient, FunctionResult } from "../deployment/client.ts";
import { withoutDocuments } from "../deployment/documents.ts";
import { parseExpectation } from "../deployment/expectation.ts";
import type { FunctionCall } from "../deployment/functions.ts";
import type { ReportCheck } from "../report/report.ts";
import { ActionError, messageOf } from "../runner/errors.ts";

/** One line of `checks`: a function, and the JSON that it has to return. */
export interface DataCheck {
  readonly call: FunctionCall;
  readonly expected: unknown;
}

/** The backend ends a request after 300 s (contract 1.7). */
const LONGEST_MS = 310_000;

function invalid(line: number, what: string): ActionError {
  return new ActionError(
    "check-line-invalid",
    `checks: line ${line} ${what}.`,
    'Write `path:name {"json": "arguments"}`, which has to return true, or put behind ` => ` the JSON that it has to return.',
  );
}

/**
 * Reads `checks`, one a line.
 * @throws ActionError check-line-invalid
 */
export function parseChecks(lines: readonly string[]): DataCheck[] {
  return lines.map((line, index) => {
    const strange = "is no function with JSON arguments";
    const refuse = (what: string): ActionError => invalid(index + 1, what);
    const { target, expected = true } = parseExpectation(line, strange, refuse);
    if ("url" in target) throw refuse(strange);
    return { call: target.call, expected };
  });
}

/** The first call after a start or a deploy loads the code, which on a busy machine can use up the function's own time. */
const TRIES = 3;

async function ask(client: DeploymentClient, { path, args }: FunctionCall): Promise<FunctionResult> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await client.call("function", path, args, { timeoutMs: LONGEST_MS });
    if (result.ok || attempt === TRIES || !/execution timed out/.test(result.message)) return result;
  }
}

async function runCheck(client: DeploymentClient, { call, expected }: DataCheck): Promise<ReportCheck> {
  const name = call.path;
  try {
    const result = await ask(client, call);
    if (!result.ok) return { name, ok: false, detail: withoutDocuments(result.message).split("\n")[0] ?? "" };
    if (same(result.value, expected)) return { name, ok: true };
    // What a function returns may be a document; only plain answers are shown.
    const value = ["boolean", "number"].includes(typeof result.value) ? String(result.value) : "something else";
    return { name, ok: false, detail: `returned ${value} instead of ${JSON.stringify(expected)}` };
  } catch (error) {
    return { name, ok: false, detail: messageOf(error) };
  }
}

/** Carries all out, one after the other, whatever becomes of them. */
export async function runChecks(client: DeploymentClient, checks: readonly DataCheck[]): Promise<ReportCheck[]> {
  const results: ReportCheck[] = [];
  for (const check of checks) results.push(await runCheck(client, check));
  return results;
}
