/** HTTP actions: `/http/…` of the API port, which the site port hands everything to (contract 8.1). */
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { analyzedModules, type DeployedDefinition, definitionAt, definitions } from "../deploy/deployed.ts";
import { identityType, NO_USAGE, newRequestId, nowMs } from "../functions.ts";
import type { FunctionLogs } from "../logs.ts";
import type { PauseState } from "../pause.ts";
import { textResponse } from "../server.ts";
import {
  ApiError,
  type ApiRequest,
  type ApiResponse,
  type FunctionCall,
  type Identity,
  internalError,
  type LogLine,
  type ReadTransaction,
  type Routes,
  type Store,
} from "../types.ts";
import type { IsolatePool } from "./isolate.ts";
import type { JobResult } from "./protocol.ts";
import type { Runner } from "./runner.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const BODILESS = ["GET", "HEAD", "OPTIONS"];
/** More in an answer and the connection is cut after the headers (contract 1.7). */
const ANSWER_LIMIT = 20 * 1024 * 1024;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
const NOT_ENABLED = "This Convex deployment does not have HTTP actions enabled.";
const NO_ROUTE = "No matching routes found";
const PAUSED =
  "Cannot run functions while this deployment is paused. Resume the deployment in the dashboard settings to allow functions to run.";

export interface HttpActionDeps {
  readonly store: Store;
  readonly runner: Runner;
  readonly pool: IsolatePool;
  readonly logs: FunctionLogs;
  readonly pause: PauseState;
  readonly redact: boolean;
}

interface Routed {
  readonly component: string;
  readonly deployed: DeployedDefinition;
  /** Within the component. */
  readonly path: string;
  /** As it is registered, for the log: `/p/*`. */
  readonly pattern: string;
}

interface Head {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
}

interface Running {
  readonly request: ApiRequest;
  readonly routed: Routed;
  readonly identity: Identity;
  readonly requestId: string;
  readonly executionId: string;
  readonly started: number;
  readonly logLines: LogLine[];
}

export function addHttpActionRoutes(routes: Routes, deps: HttpActionDeps): void {
  const actions = new HttpActions(deps);
  routes.route("*", "/http/*", (request) => actions.handle(request), { ownCors: true });
}

class HttpActions {
  readonly #deps: HttpActionDeps;

  constructor(deps: HttpActionDeps) {
    this.#deps = deps;
  }

  async handle(request: ApiRequest): Promise<ApiResponse> {
    if (!METHODS.includes(request.method)) return { status: 405 };
    const { store, pause, redact, runner } = this.#deps;
    const tx = store.beginRead();
    const url = requestUrl(request);
    const enabled = definitions(tx).some((one) => one.functions["http.js"] !== undefined);
    if (!enabled) return textResponse(NOT_ENABLED, 404);
    const requestId = newRequestId();
    if (pause.isPaused(tx)) return failure(requestId, { headline: PAUSED, trace: `${PAUSED}\n` }, redact);
    const routed = findRoute(tx, "", new URL(url).pathname, request.method);
    if (routed === undefined) return textResponse(NO_ROUTE, 404);
    const running: Running = {
      request,
      routed,
      identity: await identityOf(request),
      requestId,
      executionId: randomUUID(),
      started: nowMs(),
      logLines: [],
    };
    return runner.slots.take(() => this.#run(tx, running, url));
  }

  async #run(tx: ReadTransaction, running: Running, url: string): Promise<ApiResponse> {
    const { request, routed, identity, requestId, executionId, logLines } = running;
    const { runner, pool, redact } = this.#deps;
    const body = BODILESS.includes(request.method) ? null : await request.bytes(NO_LIMIT);
    const { code, graph } = await runner.graphOf(tx, routed.deployed);
    const call: FunctionCall = {
      component: routed.component,
      path: { module: "http.js", name: "default" },
      args: {},
      identity,
      caller: "HttpEndpoint",
      requestId,
      executionId,
    };
    const answer = new Answer(request);
    const job = {
      do: "http",
      graph,
      request: { url, method: request.method, headers: headerPairs(request, requestId), body, routedPath: routed.path },
    } as const;
    const handlers = {
      ...runner.handlersFor(runner.contextFor(call), logLines),
      onHttpHead: (status: number, headers: Head["headers"]) => answer.begin({ status, headers }),
      onHttpChunk: (bytes: Uint8Array) => answer.push(bytes),
    };
    const done = pool.shared().run(job, [code.isolate], handlers);
    const first = await Promise.race([answer.head, done]);
    if ("ok" in first && !first.ok) {
      this.#log(running, null, first.error.trace);
      return failure(requestId, first.error, redact);
    }
    const head = await answer.head;
    void this.#finish(running, head, done, answer);
    return answer.response(head);
  }

  async #finish(running: Running, head: Head, done: Promise<JobResult>, answer: Answer): Promise<void> {
    await done.catch(() => undefined);
    answer.end();
    this.#log(running, head.status, null);
  }

  #log(running: Running, status: number | null, error: string | null): void {
    const now = nowMs();
    this.#deps.logs.add({
      kind: "Completion",
      udfType: "HttpAction",
      componentPath: running.routed.component === "" ? null : running.routed.component,
      identifier: `${running.request.method} ${running.routed.pattern}`,
      logLines: running.logLines,
      timestamp: now / 1000,
      cachedResult: false,
      caller: "HttpEndpoint",
      parentExecutionId: null,
      executionTime: (now - running.started) / 1000,
      success: status === null ? null : { status: String(status) },
      error,
      requestId: running.requestId,
      executionId: running.executionId,
      usageStats: NO_USAGE,
      returnBytes: null,
      occInfo: null,
      executionTimestamp: running.started / 1000,
      identityType: identityType(running.identity),
      environment: "isolate",
    });
  }
}

// ---------------------------------------------------------------- requests

/** Credentials that are no good do not stop an action: it hears of them when it asks (contract 3.1, 8.1). */
async function identityOf(request: ApiRequest): Promise<Identity> {
  try {
    return await request.identity();
  } catch (error) {
    if (error instanceof ApiError) return { kind: "invalid", message: error.message };
    throw error;
  }
}

/** What `request.url` shows: scheme and host as the client and its proxies say, never the configured origin. */
function requestUrl(request: ApiRequest): string {
  const header = (name: string) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(",") : value;
  };
  const forwarded = new Map(
    (header("forwarded") ?? "").split(";").map((part) => {
      const [name = "", value = ""] = part.trim().split("=");
      return [name.toLowerCase(), value.replace(/^"|"$/g, "")] as const;
    }),
  );
  const scheme = header("x-forwarded-proto") ?? forwarded.get("proto") ?? "http";
  const host = forwarded.get("host") ?? header("x-forwarded-host") ?? header("host") ?? "127.0.0.1";
  const raw = request.raw.url ?? "/";
  const question = raw.indexOf("?");
  const path = request.path.replace(/^\/http/, "").replace(/^\/+/, "/");
  if (!/^[a-z][a-z0-9+.-]*$/i.test(scheme) || !URL.canParse(`${scheme}://${host}`)) throw internalError();
  const pathname = path.includes("..") ? new URL(`http://host${path}`).pathname : path;
  return `${scheme}://${host}${pathname}${question < 0 ? "" : raw.slice(question)}`;
}

function headerPairs(request: ApiRequest, requestId: string): [string, string][] {
  const pairs: [string, string][] = [];
  const { rawHeaders } = request.raw;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    pairs.push([(rawHeaders[i] ?? "").toLowerCase(), rawHeaders[i + 1] ?? ""]);
  return [...pairs, ["convex-request-id", requestId]];
}

/** The app's own routes first, then those of components under their prefixes. */
function findRoute(tx: ReadTransaction, component: string, path: string, method: string): Routed | undefined {
  const deployed = definitionAt(tx, component);
  if (deployed === undefined) return undefined;
  const wanted = method === "HEAD" ? "GET" : method;
  const routes = (analyzedModules(deployed).find((one) => one.path === "http.js")?.httpRoutes ?? []).filter(
    (route) => route.method === wanted,
  );
  const exact = routes.find((route) => route.path === path);
  if (exact !== undefined) return { component, deployed, path, pattern: exact.path };
  const prefixes = routes.filter((route) => route.path.endsWith("*") && path.startsWith(route.path.slice(0, -1)));
  const [longest] = prefixes.sort((a, b) => b.path.length - a.path.length);
  if (longest !== undefined) return { component, deployed, path, pattern: longest.path };
  for (const [mount, reference] of Object.entries(deployed.definition.httpMounts)) {
    const child = reference.split("/").at(-1) ?? "";
    if (!path.startsWith(mount)) continue;
    const found = findRoute(
      tx,
      component === "" ? child : `${component}/${child}`,
      `/${path.slice(mount.length)}`,
      method,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

// ---------------------------------------------------------------- answers

function failure(requestId: string, error: { headline: string; trace: string }, redact: boolean): ApiResponse {
  const title = `[Request ID: ${requestId}] Server Error`;
  const body = redact ? { code: title } : { code: `${title}: ${error.headline}`, trace: error.trace };
  // A stream has no length beforehand; the backend sends this one in chunks.
  return {
    status: 500,
    headers: { "content-type": "application/json" },
    body: Readable.from([Buffer.from(JSON.stringify(body))]),
  };
}

/** The answer as it comes: head first, then chunks. */
class Answer {
  readonly head: Promise<Head>;
  begin: (head: Head) => void = () => {};
  readonly #stream = new Readable({ read: () => {} });
  readonly #request: ApiRequest;
  #size = 0;

  constructor(request: ApiRequest) {
    this.#request = request;
    this.head = new Promise((resolve) => {
      this.begin = resolve;
    });
    // Whoever waits for the stream hears of it; nobody may be there.
    this.#stream.on("error", () => {});
  }

  push(bytes: Uint8Array): void {
    this.#size += bytes.byteLength;
    if (this.#size <= ANSWER_LIMIT) {
      this.#stream.push(bytes);
      return;
    }
    this.#request.response.flushHeaders();
    this.#stream.destroy(new Error("The answer is too large."));
  }

  end(): void {
    this.#stream.push(null);
  }

  response({ status, headers }: Head): ApiResponse {
    const grouped: Record<string, string | string[]> = {};
    for (const [name, value] of headers) {
      const before = grouped[name];
      grouped[name] = before === undefined ? value : [before, value].flat();
    }
    const bodiless = status === 204 || status === 304;
    return { status, headers: grouped, ...(bodiless ? {} : { body: this.#stream }) };
  }
}
