/**
 * The isolate thread: a realm without Node in which pushed modules run (contract 6). It gets jobs from `pool.ts` and
 * asks back for everything a function may do (`Convex.asyncSyscall`). One thread runs several jobs at a time when
 * they nest or are actions.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { currentJob, type JobContext, jobs } from "./context.ts";
import { functionsOf, isRegistered, isRouter, specialExports } from "./exports.ts";
import { installGlobals } from "./globals.ts";
import { Graph, ModuleDefect } from "./graph.ts";
import type {
  Analysis,
  CallReply,
  FromThread,
  GraphRef,
  Job,
  JobError,
  JobResult,
  ModuleExports,
  PackageSource,
  ToThread,
} from "./protocol.ts";
import { type Frame, frames, frameText, SourceMaps } from "./stack.ts";

interface ThreadData {
  readonly signal: Int32Array;
  readonly syncPort: MessagePort;
}

const MAX_GRAPHS = 12;
const FIRST_BATCH = 16;
const NEXT_BATCH = 256;

const port = parentPort;
if (port === null) throw new Error("thread.ts only runs as a worker thread");
const { signal, syncPort } = workerData as ThreadData;
const send = (message: FromThread) => port.postMessage(message);

const maps = new SourceMaps();
const packages = new Map<string, PackageSource>();
const graphs = new Map<string, Graph>();
const waiting = new Map<number, { resolve: (text: string) => void; reject: (error: Error) => void }>();
const framesOf = new WeakMap<object, Frame[]>();
let lastCall = 0;
let lastGraph = 0;
let lastQuery = 0;

// ---------------------------------------------------------------- errors

Error.stackTraceLimit = 60;
/** Keeps the frames for `describe`; the `stack` that code sees has none (contract 6.2: `[Error: logged]`). */
Error.prepareStackTrace = (error, sites) => {
  framesOf.set(error, frames(sites, maps));
  return String(error);
};

function framesOfError(error: unknown): Frame[] {
  if (typeof error !== "object" || error === null) return [];
  // The stack is prepared when it is first read.
  void (error as { stack?: unknown }).stack;
  return framesOf.get(error) ?? [];
}

function describe(error: unknown): JobError {
  if (error instanceof ModuleDefect) return { text: "", trace: "", headline: "", frames: "", plain: error.message };
  const list = framesOfError(error);
  const headline = `Uncaught ${headlineOf(error)}`;
  const shown = frameText(list, { plumbing: false });
  const data = dataOf(error);
  return {
    headline,
    frames: shown,
    text: `${headline}${shown}\n`,
    trace: `${headline}${frameText(list, { plumbing: true })}\n`,
    ...(data === undefined ? {} : { data }),
  };
}

function headlineOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "[object]";
  }
}

/** The library has turned the data into JSON text before it rethrows. */
function dataOf(error: unknown): unknown {
  if (typeof error !== "object" || error === null || !(Symbol.for("ConvexError") in error)) return undefined;
  const { data } = error as { data?: unknown };
  return typeof data === "string" ? JSON.parse(data) : undefined;
}

// ---------------------------------------------------------------- calls to the backend

function call(op: string, args: string, bytes?: Uint8Array): Promise<string> {
  const { run } = currentJob();
  lastCall += 1;
  const id = lastCall;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    send({ type: "call", run, call: id, op, args, ...(bytes === undefined ? {} : { bytes }) });
  });
}

function settle(id: number, reply: CallReply): void {
  const waiter = waiting.get(id);
  waiting.delete(id);
  if (reply.ok) waiter?.resolve(reply.value);
  else waiter?.reject(Object.assign(new Error(reply.message), reply.data === undefined ? {} : { data: reply.data }));
}

/** For the few syscalls that cannot wait: sleeps until the backend's thread has answered. */
function callSync(op: string, args: string): string {
  Atomics.store(signal, 0, 0);
  send({ type: "syncCall", run: currentJob().run, op, args });
  Atomics.wait(signal, 0, 0);
  const reply = receiveMessageOnPort(syncPort)?.message as CallReply;
  if (!reply.ok) throw new Error(reply.message);
  return reply.value;
}

function startQuery(args: string): string {
  lastQuery += 1;
  const { query } = JSON.parse(args) as { query: unknown };
  currentJob().queries.set(lastQuery, { query, started: false, buffer: [], exhausted: false });
  return JSON.stringify({ queryId: lastQuery });
}

/** Documents come in batches, one message for many `next` calls. */
async function nextOf(args: string): Promise<string> {
  const { queryId } = JSON.parse(args) as { queryId: number };
  const open = currentJob().queries.get(queryId);
  if (open === undefined) throw new Error("Query not found");
  if (open.buffer.length === 0 && !open.exhausted) {
    const request = {
      queryId,
      max: open.started ? NEXT_BATCH : FIRST_BATCH,
      ...(open.started ? {} : { query: open.query }),
    };
    open.started = true;
    const batch = JSON.parse(await call("standin/next", JSON.stringify(request))) as {
      documents: string[];
      done: boolean;
    };
    open.buffer = batch.documents;
    open.exhausted = batch.done;
  }
  const value = open.buffer.shift();
  return value === undefined ? '{"value":null,"done":true}' : `{"value":${value},"done":false}`;
}

function jsSyscall(op: string, args: Record<string, unknown>): unknown {
  const job = currentJob();
  if (op === "requestFromConvexJson") return requestOf(job);
  if (op === "convexJsonFromResponse") {
    job.response = args["response"] as Response;
    return {};
  }
  if (op === "storage/storeBlob") return storeBlob(args);
  if (op === "storage/getBlob") return getBlob(args);
  throw new Error(`Unknown operation ${op}`);
}

function requestOf(job: JobContext): Request {
  if (job.request === undefined) throw new Error("There is no request here.");
  const { url, method, headers, body } = job.request;
  const pairs = headers.map(([name, value]): [string, string] => [name, value]);
  const request = new Request(url, { method, headers: pairs, ...(body === null ? {} : { body }) });
  keepOrder(request.headers, pairs);
  return request;
}

/** The backend lists headers as they were sent, the web API sorts them. */
function keepOrder(headers: Headers, pairs: readonly [string, string][]): void {
  const entries = () => pairs.values();
  const overrides = {
    [Symbol.iterator]: entries,
    entries,
    forEach: (each: (value: string, name: string) => void) => pairs.forEach(([name, value]) => void each(value, name)),
  };
  for (const key of Reflect.ownKeys(overrides))
    Object.defineProperty(headers, key, { value: Reflect.get(overrides, key) });
}

async function storeBlob(args: Record<string, unknown>): Promise<unknown> {
  const blob = args["blob"];
  if (!(blob instanceof Blob)) throw new Error("store() expects a Blob.");
  const options = args["options"] as { sha256?: string } | undefined;
  const header = { contentType: blob.type === "" ? null : blob.type, sha256: options?.sha256 ?? null };
  return JSON.parse(await call("storage/storeBlob", JSON.stringify(header), new Uint8Array(await blob.arrayBuffer())));
}

async function getBlob(args: Record<string, unknown>): Promise<Blob | null> {
  const text = await call("storage/getBlob", JSON.stringify({ storageId: args["storageId"] }));
  const found = JSON.parse(text) as { bytes: string; contentType: string | null } | null;
  return found === null ? null : new Blob([Buffer.from(found.bytes, "base64")], { type: found.contentType ?? "" });
}

(globalThis as unknown as Record<string, unknown>)["Convex"] = {
  syscall: (op: string, args: string) => {
    if (op === "1.0/queryStream") return startQuery(args);
    if (op === "1.0/queryCleanup") {
      currentJob().queries.delete((JSON.parse(args) as { queryId: number }).queryId);
      return "null";
    }
    return callSync(op, args);
  },
  asyncSyscall: (op: string, args: string) => (op === "1.0/queryStreamNext" ? nextOf(args) : call(op, args)),
  jsSyscall,
};

// ---------------------------------------------------------------- jobs

function graphFor(ref: GraphRef, mode: string, children?: Readonly<Record<string, string>>): Graph {
  const key = `${ref.packageId}\n${mode}\n${JSON.stringify(ref.env)}\n${JSON.stringify(children ?? {})}`;
  const known = graphs.get(key);
  graphs.delete(key);
  if (known?.failed === false) {
    graphs.set(key, known);
    return known;
  }
  known?.dispose();
  const source = packages.get(ref.packageId);
  if (source === undefined) throw new Error(`package ${ref.packageId} was not sent`);
  lastGraph += 1;
  const graph = new Graph(lastGraph, source, maps, children);
  graphs.set(key, graph);
  const [oldest] = graphs.keys();
  if (graphs.size > MAX_GRAPHS && oldest !== undefined) {
    graphs.get(oldest)?.dispose();
    graphs.delete(oldest);
  }
  return graph;
}

async function runFunction(job: Extract<Job, { do: "function" }>): Promise<unknown> {
  const graph = graphFor(job.graph, "run");
  const namespace = await jobs.run({ ...currentJob(), kind: "Import" }, () => graph.load(job.module));
  const exported = namespace[job.name] as Record<string, unknown> | undefined;
  if (!isRegistered(exported)) throw new Error(`${job.name} is not a Convex function`);
  const functions = exported as unknown as Record<string, (...args: string[]) => Promise<string>>;
  if (job.kind === "Action") return await functions["invokeAction"]?.("", job.args);
  return await functions[`invoke${job.kind}`]?.(job.args);
}

async function runHttp(job: Extract<Job, { do: "http" }>): Promise<unknown> {
  const context = currentJob();
  const graph = graphFor(job.graph, "run");
  const namespace = await jobs.run({ ...context, kind: "Import" }, () => graph.load("http.js"));
  const router = namespace["default"];
  if (!isRouter(router)) throw new Error("http.js does not export a router");
  const { runRequest } = router as unknown as { runRequest(args: string, route: string): Promise<string> };
  await runRequest("{}", job.request.routedPath);
  const { response } = context;
  if (response === undefined) throw new Error("no response");
  send({ type: "httpHead", run: context.run, status: response.status, headers: [...response.headers] });
  try {
    for await (const chunk of response.body ?? []) send({ type: "httpChunk", run: context.run, bytes: chunk });
  } catch {
    // A stream that fails after its head ends like a complete one (contract 8.1).
  }
  return null;
}

async function analyze(job: Extract<Job, { do: "analyze" }>): Promise<Analysis> {
  const graph = graphFor(job.graph, "run");
  const modules: ModuleExports[] = [];
  for (const path of job.modules) {
    let namespace: Record<string, unknown>;
    try {
      namespace = await graph.load(path);
    } catch (error) {
      return { failed: path, error: describe(error), phase: "load" };
    }
    try {
      const functions = functionsOf(graph, path, namespace, maps);
      modules.push({ path, functions, ...specialExports(graph, path, namespace, maps) });
    } catch (error) {
      return { failed: path, error: describe(error), phase: "validators" };
    }
  }
  return { modules };
}

/** Text of the JSON of a default export; `missing` when there is none. */
async function evaluate(
  job: Extract<Job, { do: "evaluate" }>,
): Promise<{ json: string } | { problem: "missing" | "invalid" }> {
  const graph = graphFor(job.graph, job.as, job.children);
  const exported = (await graph.load(job.module))["default"];
  if (exported === undefined) return { problem: "missing" };
  if (job.as === "auth") return { json: JSON.stringify(exported) ?? "null" };
  const exporter = (exported as { export?: unknown } | null)?.export;
  if (typeof exporter !== "function") return { problem: "invalid" };
  const value: unknown = (exported as { export(): unknown }).export();
  return { json: typeof value === "string" ? value : JSON.stringify(value) };
}

function contextFor(run: number, job: Job): JobContext {
  const base = { run, env: job.graph.env, queries: new Map() };
  if (job.do === "function") return { ...base, kind: job.kind, envMode: "normal" };
  if (job.do === "http") return { ...base, kind: "Action", envMode: "normal", request: job.request };
  const envMode =
    job.do === "evaluate" && job.as !== "definition" ? (job.as === "schema" ? "forbidden" : "required") : "normal";
  return { ...base, kind: "Import", envMode };
}

function perform(job: Job): Promise<unknown> {
  if (job.do === "function") return runFunction(job);
  if (job.do === "http") return runHttp(job);
  return job.do === "analyze" ? analyze(job) : evaluate(job);
}

async function start(run: number, job: Job): Promise<void> {
  const context = contextFor(run, job);
  let result: JobResult;
  try {
    result = { ok: true, value: await jobs.run(context, () => perform(job)) };
  } catch (error) {
    const missing = context.missingVariable;
    const described = describe(missing?.error ?? error);
    result = { ok: false, error: missing === undefined ? described : { ...described, missingVariable: missing.name } };
  }
  send({ type: "done", run, result });
}

// Rejections nobody waits for (a `fetch` at import) and errors in timers must not end the thread.
process.on("unhandledRejection", () => {});
process.on("uncaughtException", () => {});
installGlobals((run, level, messages) => send({ type: "log", run, level, messages, at: Date.now() }));
port.on("message", (message: ToThread) => {
  if (message.type === "package") packages.set(message.source.id, message.source);
  else if (message.type === "reply") settle(message.call, message.reply);
  else void start(message.run, message.job);
});
send({ type: "ready" });
