/**
 * The isolate thread: a realm without Node in which pushed modules run (contract 6). It gets jobs from `pool.ts` and
 * asks back for everything a function may do (`Convex.asyncSyscall`). One thread runs several jobs at a time when
 * they nest or are actions.
 */
import { parentPort } from "node:worker_threads";
import { currentJob, type JobContext, jobs } from "./context.ts";
import { convexGlobal, send, settle } from "./convex-global.ts";
import { functionsOf, isRegistered, isRouter, specialExports } from "./exports.ts";
import { installGlobals } from "./globals.ts";
import { Graph } from "./graph.ts";
import type { Analysis, GraphRef, Job, JobResult, ModuleExports, PackageSource, ToThread } from "./protocol.ts";
import { SourceMaps } from "./stack.ts";
import { describe, prepareStacks } from "./thrown.ts";

const MAX_GRAPHS = 12;

const maps = new SourceMaps();
const packages = new Map<string, PackageSource>();
const graphs = new Map<string, Graph>();
let lastGraph = 0;

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
prepareStacks(maps);
(globalThis as unknown as Record<string, unknown>)["Convex"] = convexGlobal;
installGlobals((run, level, messages) => send({ type: "log", run, level, messages, at: Date.now() }));
parentPort?.on("message", (message: ToThread) => {
  if (message.type === "package") packages.set(message.source.id, message.source);
  else if (message.type === "forget") packages.delete(message.id);
  else if (message.type === "reply") settle(message.call, message.reply);
  else void start(message.run, message.job);
});
send({ type: "ready" });
