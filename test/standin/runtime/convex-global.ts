/** `globalThis.Convex` of the isolate thread: how functions ask the backend for something (contract 6). */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { currentJob, type JobContext } from "./context.ts";
import type { CallReply, FromThread } from "./protocol.ts";

interface ThreadData {
  readonly signal: Int32Array;
  readonly syncPort: MessagePort;
}

const FIRST_BATCH = 16;
const NEXT_BATCH = 256;

const { signal, syncPort } = workerData as ThreadData;
const waiting = new Map<number, { resolve: (text: string) => void; reject: (error: Error) => void }>();
let lastCall = 0;
let lastQuery = 0;

export function send(message: FromThread): void {
  parentPort?.postMessage(message);
}

function call(op: string, args: string, bytes?: Uint8Array): Promise<string> {
  const { run } = currentJob();
  lastCall += 1;
  const id = lastCall;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    send({ type: "call", run, call: id, op, args, ...(bytes === undefined ? {} : { bytes }) });
  });
}

/** The backend has answered. */
export function settle(id: number, reply: CallReply): void {
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

/** What the `convex` library finds at `globalThis.Convex`. */
export const convexGlobal = {
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
