import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { DeploymentClient, FunctionResult } from "./client.ts";
import { withoutDocuments } from "./documents.ts";
import { asRecord } from "./json.ts";

/** A function to run after the deploy. */
export interface FunctionCall {
  /** `seed:basic`, `admin/tools:reset`; without `:name` the module's default export. */
  readonly path: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** The backend ends a request after 300 s (contract 1.7). */
const LONGEST_MS = 310_000;

/**
 * Reads `run`: one `path:name {json}` a line, blank lines and `#` comments aside.
 * @throws ActionError run-line-invalid, with the number of the line; arguments are not shown
 */
export function parseCalls(text: string): FunctionCall[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const trimmed = line.trim();
    return trimmed === "" || trimmed.startsWith("#") ? [] : [parseCall(trimmed, index + 1)];
  });
}

function parseCall(line: string, number: number): FunctionCall {
  const match = /^(\S+)\s*(.*)$/.exec(line);
  const path = match?.[1] ?? "";
  const rest = match?.[2] ?? "";
  const refuse = (what: string): ActionError =>
    new ActionError(
      "run-line-invalid",
      `run: line ${number} ${what}.`,
      'Write one `path:name {"json": "arguments"}` a line, for example `seed:basic {"rooms": 3}`.',
    );
  if (!/^[\w./]+(:[A-Za-z_]\w*)?$/.test(path)) throw refuse("does not begin with a function's path");
  if (rest === "") return { path, args: {} };
  let args: unknown;
  try {
    args = JSON.parse(rest);
  } catch {
    throw refuse(`(${path}) has arguments that are no JSON`);
  }
  if (typeof args !== "object" || args === null || Array.isArray(args)) {
    throw refuse(`(${path}) has arguments that are no JSON object`);
  }
  return { path, args: args as Record<string, unknown> };
}

/**
 * Runs the functions one after the other, internal ones too; the first failure ends it.
 * @returns path and duration of each
 * @throws ActionError run-failed; BackendError
 */
export async function runCalls(
  client: DeploymentClient,
  deps: Deps,
  calls: readonly FunctionCall[],
  options: { readonly showDocuments?: boolean } = {},
): Promise<{ path: string; ms: number }[]> {
  const done: { path: string; ms: number }[] = [];
  for (const { path, args } of calls) {
    const start = deps.clock.now();
    const result = await client.call("function", path, args, { timeoutMs: LONGEST_MS });
    const ms = deps.clock.now() - start;
    if (result.logLines.length > 0) deps.log.foreign(result.logLines.flatMap((line) => line.split("\n")));
    if (!result.ok) throw await failure(client, path, result, options.showDocuments === true);
    const value = JSON.stringify(result.value) ?? "null";
    deps.log.info(`Ran ${path} in ${(ms / 1000).toFixed(1)} s.`);
    if (value !== "null") deps.log.foreign([`It returned ${value.length > 1000 ? `${value.slice(0, 1000)}…` : value}`]);
    done.push({ path, ms });
  }
  return done;
}

async function failure(
  client: DeploymentClient,
  path: string,
  result: FunctionResult & { ok: false },
  showDocuments: boolean,
): Promise<ActionError> {
  const text = showDocuments ? result.message : withoutDocuments(result.message);
  const hint = await hintFor(client, result.message);
  const [first = "", ...more] = (text === "" ? "the backend gives no reason" : text).split("\n");
  return new ActionError("run-failed", `${path} failed: ${[first, ...more].join("\n")}`, hint);
}

async function hintFor(client: DeploymentClient, message: string): Promise<string> {
  if (message === "") return "The backend redacts errors (--redact-logs-to-client); its own log has the text.";
  if (message.includes("deployment is paused"))
    return "Unpause it first: functions do not run while a deployment is paused.";
  if (message.includes("ArgumentValidationError")) return "Correct the arguments behind the path in run.";
  if (!message.includes("Could not find function")) return "Correct the function, or what it was given.";
  const spec = await client.systemQuery("_system/cli/modules:apiSpec", {}).catch(() => []);
  const names = (Array.isArray(spec) ? spec : []).flatMap((entry) => asRecord(entry)["identifier"] ?? []);
  const known = names.map((name) => String(name).replace(".js:", ":"));
  const some = known.slice(0, 20).join(", ");
  return known.length === 0 ? "No function is deployed." : `Name one of: ${some}${known.length > 20 ? ", …" : ""}.`;
}
