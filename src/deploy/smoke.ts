import type { DeploymentClient } from "../deployment/client.ts";
import { withoutDocuments } from "../deployment/documents.ts";
import { type Expectation, parseExpectation } from "../deployment/expectation.ts";
import type { FunctionCall } from "../deployment/functions.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { Http } from "../system/http.ts";
import { same } from "./validators.ts";

/** One check of `smoke`; without `expected` any answer of 2xx will do, or a function that does not fail. */
export interface SmokeCheck extends Expectation {
  /** For people: without parameters and arguments. */
  readonly name: string;
}

function invalid(line: number, what: string): ActionError {
  return new ActionError(
    "smoke-line-invalid",
    `smoke: line ${line} ${what}.`,
    'Write a URL or `path:name {"json": "arguments"}`, and behind ` => ` the JSON that it has to answer.',
  );
}

/**
 * Reads `smoke`: one check a line.
 * @throws ActionError smoke-line-invalid
 */
export function parseSmoke(lines: readonly string[]): SmokeCheck[] {
  return lines.map((line, index) => {
    const strange = "is neither a URL nor a function with JSON arguments";
    const check = parseExpectation(line, strange, (what) => invalid(index + 1, what));
    const { target } = check;
    const name = "url" in target ? new URL(target.url).origin + new URL(target.url).pathname : target.call.path;
    return { name, ...check };
  });
}

async function askUrl(http: Http, url: string, expected: boolean): Promise<{ value: unknown } | { problem: string }> {
  const response = await http.request(url, { timeoutMs: 30_000 });
  if (response.status < 200 || response.status > 299) return { problem: `answers ${response.status}` };
  if (!expected) return { value: undefined };
  try {
    return { value: response.json() };
  } catch {
    return { problem: "answers something that is no JSON" };
  }
}

async function askFunction(
  client: DeploymentClient,
  { path, args }: FunctionCall,
  showDocuments: boolean,
): Promise<{ value: unknown } | { problem: string }> {
  const result = await client.call("function", path, args, { timeoutMs: 60_000 });
  if (result.ok) return { value: result.value };
  const text = showDocuments ? result.message : withoutDocuments(result.message);
  return { problem: `fails: ${text.split("\n")[0] ?? ""}` };
}

/** Longer answers are not shown whole. */
function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/**
 * Carries the checks out, all of them, and returns their names.
 * @throws ActionError smoke-failed that names each check that failed
 */
export async function runSmoke(
  checks: readonly SmokeCheck[],
  on: { readonly http: Http; readonly client: DeploymentClient; readonly showDocuments: boolean },
): Promise<string[]> {
  const problems: string[] = [];
  for (const { name, target, ...rest } of checks) {
    const expects = "expected" in rest;
    try {
      const found =
        "url" in target
          ? await askUrl(on.http, target.url, expects)
          : await askFunction(on.client, target.call, on.showDocuments);
      if ("problem" in found) problems.push(`${name} ${found.problem}`);
      else if (expects && !same(found.value, rest.expected)) {
        const value = on.showDocuments ? excerpt(found.value) : "another value";
        problems.push(`${name} answers ${value} instead of ${excerpt(rest.expected)}`);
      }
    } catch (error) {
      problems.push(`${name}: ${messageOf(error)}`);
    }
  }
  if (problems.length === 0) return checks.map(({ name }) => name);
  throw new ActionError(
    "smoke-failed",
    `The deploy is live, and ${problems.length} of ${checks.length} smoke checks failed: ${problems.join("; ")}.`,
    "Go back by deploying the former commit, or correct what the check found. show-documents: true shows what functions answer.",
  );
}
