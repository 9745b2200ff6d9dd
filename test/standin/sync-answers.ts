/** What the sync websocket says about queries and calls (contract 6.1); values as `convex_encoded_json`. */
import { errorText, readArgs } from "./function-endpoints.ts";
import { isSystemPath } from "./function-path.ts";
import { type FunctionService, newRequestId } from "./functions.ts";
import { lineText } from "./logs.ts";
import type { QueryRequest } from "./sync-messages.ts";
import type { SystemQueries } from "./system-queries.ts";
import { ApiError, FunctionError, type Identity, type Outcome, type ReadTransaction } from "./types.ts";
import { encode, int64Base64 } from "./values.ts";

/** A query that cannot answer yet (table counts after a start) is asked again. */
const RETRY_MS = 50;
const RETRIES = 200;

export interface AnswerDeps {
  readonly functions: FunctionService;
  readonly systemQueries: SystemQueries;
  readonly redact: boolean;
}

export interface QueryAnswer {
  /** Equal to that of an earlier answer when nothing is to be told. */
  readonly same: string;
  readonly reads: ReadonlySet<string>;
  /** The modification of a Transition. */
  readonly text: (queryId: number) => string;
}

/** Runs one query at one snapshot. */
export async function answerQuery(
  deps: AnswerDeps,
  identity: Identity,
  query: QueryRequest,
  tx: ReadTransaction,
): Promise<QueryAnswer> {
  const requestId = newRequestId();
  const result = await run(deps, identity, query, tx, requestId);
  const { reads } = result;
  const logLines = deps.redact ? [] : result.logLines.map(lineText);
  const tail = `"logLines":${JSON.stringify(logLines)},"journal":null`;
  if (result.status === "success") {
    const value = encode(result.value, "convex_encoded_json");
    return { same: value, reads, text: (id) => `{"type":"QueryUpdated","queryId":${id},"value":${value},${tail}}` };
  }
  const message = JSON.stringify(errorText(requestId, result.error, deps.redact));
  const data = errorData(result.error, deps.redact);
  const text = (id: number) => `{"type":"QueryFailed","queryId":${id},"errorMessage":${message},${tail}${data}}`;
  return { same: `error ${result.error.message}`, reads, text };
}

async function run(
  deps: AnswerDeps,
  identity: Identity,
  { path, component, args }: QueryRequest,
  tx: ReadTransaction,
  requestId: string,
): Promise<Outcome & { readonly reads: ReadonlySet<string> }> {
  try {
    const value = readArgs(path, args);
    if (!isSystemPath(path)) {
      const call = { component, path, kind: "Query", args: value, identity, caller: "SyncWorker" } as const;
      return await deps.functions.run({ ...call, visibility: "public", snapshot: tx, requestId });
    }
    const answer = await patiently(() => deps.systemQueries.run({ path, component, args: value, identity, tx }));
    return { status: "success", value: answer, logLines: [], reads: tx.reads };
  } catch (error) {
    if (!(error instanceof FunctionError)) throw error;
    return { status: "error", error, logLines: [], reads: tx.reads };
  }
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let left = RETRIES; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503 || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

export interface Call {
  readonly kind: "Mutation" | "Action";
  /** The client's number of the request. */
  readonly id: number;
  readonly requestId: string;
  readonly outcome: Outcome & { readonly ts?: bigint };
}

/** `MutationResponse` or `ActionResponse`; only the former has a `ts`. */
export function callAnswer(redact: boolean, { kind, id, requestId, outcome }: Call): string {
  const success = outcome.status === "success";
  const result = success
    ? encode(outcome.value, "convex_encoded_json")
    : JSON.stringify(errorText(requestId, outcome.error, redact));
  const ts = success && outcome.ts !== undefined ? `"${int64Base64(outcome.ts)}"` : "null";
  const logLines = redact ? [] : outcome.logLines.map(lineText);
  const fields = [
    `"type":"${kind}Response"`,
    `"requestId":${id}`,
    `"success":${success}`,
    `"result":${result}`,
    ...(kind === "Mutation" ? [`"ts":${ts}`] : []),
    `"logLines":${JSON.stringify(logLines)}`,
  ];
  return `{${fields.join(",")}${success ? "" : errorData(outcome.error, redact)}}`;
}

function errorData(error: FunctionError, redact: boolean): string {
  return error.data === undefined || redact ? "" : `,"errorData":${encode(error.data, "convex_encoded_json")}`;
}
