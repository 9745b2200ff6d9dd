/** Calling functions over HTTP (contract 6.2). */
import { atMost, parseClient } from "./client-version.ts";
import { functionPath, isSystemPath } from "./function-path.ts";
import { type FunctionService, newRequestId } from "./functions.ts";
import { type Identities, requireAdmin } from "./identity.ts";
import { lineText } from "./logs.ts";
import { jsonResponse } from "./server.ts";
import { json, object, optional, string } from "./shapes.ts";
import type { SystemQueries } from "./system-queries.ts";
import {
  ApiError,
  type ApiRequest,
  type ApiResponse,
  FunctionError,
  type FunctionKind,
  type FunctionPath,
  type FunctionRunner,
  type Identity,
  internalError,
  type Outcome,
  type ReadTransaction,
  type Routes,
  type Store,
  type Value,
} from "./types.ts";
import { type Encoding, encode, fromJson, int64Base64, ValueError } from "./values.ts";

const BODY_LIMIT = 16 * 1024 * 1024 + 2000;
/** How long a snapshot of `query_ts` can be read. */
const SNAPSHOT_MS = 30_000;

export interface FunctionRouteDeps {
  readonly store: Store;
  readonly functions: FunctionService;
  readonly systemQueries: SystemQueries;
  readonly identities: Identities;
  readonly runner: () => FunctionRunner;
  readonly redact: boolean;
}

interface Call {
  readonly path: string;
  readonly args: unknown;
  readonly format: string | undefined;
}

const callShape = object<Call>("UdfPostRequest", { path: string, args: json, format: optional(string) });
const functionShape = object<Call & { componentPath: string | undefined }>("UdfPostRequestWithComponent", {
  componentPath: optional(string),
  path: string,
  args: json,
  format: optional(string),
});
const runShape = object<Omit<Call, "path">>("RunRequest", { args: json, format: optional(string) });
const atTsShape = object<Call & { ts: string }>("QueryBatchArgs", {
  path: string,
  args: json,
  ts: string,
  format: optional(string),
});
const testShape = object<{
  adminKey: string;
  args: unknown;
  bundle: { path: string; source: string };
  format: string | undefined;
}>("RunTestFunctionArgs", {
  adminKey: string,
  bundle: object("ModuleJson", { path: string, source: string }),
  args: json,
  format: optional(string),
});

export function addFunctionRoutes(routes: Routes, deps: FunctionRouteDeps): void {
  const endpoints = new Endpoints(deps);
  for (const [name, kind] of [
    ["query", "Query"],
    ["mutation", "Mutation"],
    ["action", "Action"],
  ] as const) {
    routes.route("POST", `/api/${name}`, (request) => endpoints.call(request, kind));
  }
  routes.route("GET", "/api/query", (request) => endpoints.get(request));
  routes.route("POST", "/api/function", (request) => endpoints.any(request));
  routes.route("POST", "/api/run/*", (request) => endpoints.run(request));
  routes.route("POST", "/api/query_ts", () => endpoints.timestamp());
  routes.route("POST", "/api/query_at_ts", (request) => endpoints.atTimestamp(request));
  routes.route("POST", "/api/run_test_function", (request) => endpoints.test(request));
}

class Endpoints {
  #deps: FunctionRouteDeps;
  #snapshots = new Map<string, ReadTransaction>();

  constructor(deps: FunctionRouteDeps) {
    this.#deps = deps;
  }

  async call(request: ApiRequest, kind: FunctionKind): Promise<ApiResponse> {
    request.checkAuthHeader();
    const { path: text, args, format } = await request.json(callShape, { limit: BODY_LIMIT });
    const identity = await request.identity();
    const path = functionPath(text);
    if (kind === "Query" && isSystemPath(path)) return this.#system(request, { path, args, format, identity });
    return this.#run(request, { component: "", path, kind, args, format, identity, visibility: "public" });
  }

  /** M14 has this route, but its deserialiser can read no `args` from a query string. */
  get(request: ApiRequest): ApiResponse {
    request.queryArgs(object("UdfGetRequest", { path: string, args: string }));
    const cause = "args: invalid type: newtype struct, expected any valid JSON value";
    throw new ApiError(400, "BadQueryArgs", `Failed to deserialize query string: ${cause}`);
  }

  async any(request: ApiRequest): Promise<ApiResponse> {
    request.checkAuthHeader();
    const { path: text, args, format, componentPath } = await request.json(functionShape, { limit: BODY_LIMIT });
    const identity = await request.identity();
    requireAdmin(identity, "read");
    const path = functionPath(text);
    const component = componentPath ?? "";
    return this.#run(request, { component, path, kind: "Any", args, format, identity, visibility: "public" });
  }

  async run(request: ApiRequest): Promise<ApiResponse> {
    request.checkAuthHeader();
    const { args, format } = await request.json(runShape, { limit: BODY_LIMIT });
    const identity = await request.identity();
    const segments = (request.params["*"] ?? "").split("/").map(decodeURIComponent);
    const name = segments.pop();
    if (segments.length === 0 || name === undefined) {
      const text = "Path or function name not provided in path, e.g. /api/run/messages/list";
      throw new ApiError(400, "MissingIdentifier", text);
    }
    const path = functionPath(`${segments.join("/")}:${name}`);
    return this.#run(request, { component: "", path, kind: "Any", args, format, identity, visibility: "public" });
  }

  timestamp(): ApiResponse {
    const tx = this.#deps.store.beginRead();
    const ts = int64Base64(tx.ts);
    this.#snapshots.set(ts, tx);
    setTimeout(() => this.#snapshots.delete(ts), SNAPSHOT_MS).unref();
    return jsonResponse(JSON.stringify({ ts }));
  }

  async atTimestamp(request: ApiRequest): Promise<ApiResponse> {
    request.checkAuthHeader();
    const { path: text, args, format, ts } = await request.json(atTsShape, { limit: BODY_LIMIT });
    const identity = await request.identity();
    const path = functionPath(text);
    const newest = this.#deps.store.beginRead();
    const snapshot = this.#snapshots.get(ts) ?? (int64Base64(newest.ts) === ts ? newest : undefined);
    if (snapshot === undefined) throw internalError(503);
    return this.#run(request, {
      component: "",
      path,
      kind: "Query",
      args,
      format,
      identity,
      visibility: "public",
      snapshot,
    });
  }

  async test(request: ApiRequest): Promise<ApiResponse> {
    const { adminKey, args, bundle, format } = await request.json(testShape);
    const identity = this.#deps.identities.byKey(adminKey);
    const requestId = newRequestId();
    const path = { module: bundle.path, name: "default" };
    const call = {
      component: "",
      path,
      args: fromJson(args),
      identity,
      caller: "Tester",
      requestId,
      executionId: crypto.randomUUID(),
    } as const;
    const tx = this.#deps.store.beginRead();
    const outcome = await this.#deps.runner().testQuery(bundle, call, tx);
    return this.#response(request, format, requestId, outcome);
  }

  async #system(
    request: ApiRequest,
    call: { path: FunctionPath; args: unknown; format: string | undefined; identity: Identity },
  ): Promise<ApiResponse> {
    const tx = this.#deps.store.beginRead();
    const { path, identity } = call;
    const outcome = await settle(async () =>
      this.#deps.systemQueries.run({ path, component: "", args: readArgs(path, call.args), identity, tx }),
    );
    return this.#response(request, call.format, newRequestId(), outcome);
  }

  async #run(
    request: ApiRequest,
    call: {
      component: string;
      path: FunctionPath;
      kind: FunctionKind | "Any";
      args: unknown;
      format: string | undefined;
      identity: Identity;
      visibility: "public";
      snapshot?: ReadTransaction;
    },
  ): Promise<ApiResponse> {
    const { args, format, ...rest } = call;
    if (call.identity.kind === "acting" && call.identity.key === "system") throw internalError();
    const read = await settle(async () => readArgs(call.path, args));
    if (read.status === "error") return this.#response(request, format, newRequestId(), read);
    const result = await this.#deps.functions.run({ ...rest, args: read.value, caller: "HttpApi" });
    return this.#response(request, format, result.requestId, result);
  }

  #response(request: ApiRequest, format: string | undefined, requestId: string, outcome: Outcome): ApiResponse {
    const encoding = encodingOf(format, request);
    const { redact } = this.#deps;
    const fields: string[] = [`"status":"${outcome.status}"`];
    if (outcome.status === "success") fields.push(`"value":${encode(outcome.value, encoding)}`);
    else {
      fields.push(`"errorMessage":${JSON.stringify(errorText(requestId, outcome.error, redact))}`);
      if (outcome.error.data !== undefined && !redact)
        fields.push(`"errorData":${encode(outcome.error.data, encoding)}`);
    }
    if (outcome.logLines.length > 0 && !redact)
      fields.push(`"logLines":${JSON.stringify(outcome.logLines.map(lineText))}`);
    return jsonResponse(`{${fields.join(",")}}`);
  }
}

/** What clients see of an error; redacted backends say no more than that there was one. */
export function errorText(requestId: string, error: FunctionError, redact: boolean): string {
  const head = `[Request ID: ${requestId}] Server Error`;
  return redact ? head : `${head}\n${error.message}\n`;
}

/** Arguments as values; what cannot be one is an error of the call. */
export function readArgs(path: FunctionPath, args: unknown): Value {
  try {
    return fromJson(args);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new FunctionError(`Invalid arguments for ${path.module}:${path.name}: ${error.message}`);
  }
}

async function settle(work: () => Promise<Value>): Promise<Outcome> {
  try {
    return { status: "success", value: await work(), logLines: [] };
  } catch (error) {
    if (!(error instanceof FunctionError)) throw error;
    return { status: "error", error, logLines: [] };
  }
}

const FORMATS: Readonly<Record<string, Encoding>> = {
  json: "json",
  convex_clean_json: "json",
  convex_encoded_json: "convex_encoded_json",
  convex_json: "convex_encoded_json",
  export_json: "export_json",
};

/** Checked after the function ran, as the backend does. */
function encodingOf(format: string | undefined, request: ApiRequest): Encoding {
  if (format === undefined) {
    const client = parseClient(String(request.headers["convex-client"] ?? ""));
    const npm = client?.name === "npm" || client?.name === "npm-cli";
    return npm && atMost(client.version, "1.4.0") ? "convex_encoded_json" : "json";
  }
  const encoding = FORMATS[format];
  if (encoding === undefined)
    throw new ApiError(400, "BadFormat", `format param must be one of [\`json\`]. Got ${format}`);
  return encoding;
}
