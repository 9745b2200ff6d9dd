/** Makes the isolate thread's realm look like that of a Convex function (M14): web APIs yes, Node's own no. */
import { inspect } from "node:util";
import type { LogLevel } from "../types.ts";
import { currentJob, jobs } from "./context.ts";

/** Node's own code looks these up in the realm, so they stay, out of sight of a listing. */
const HIDDEN = ["Buffer", "MessageChannel", "MessagePort"];
/** `performance` is missing in M14 (contract 12); the others are Node's. */
const REMOVED = [
  "performance",
  "global",
  "setImmediate",
  "clearImmediate",
  "navigator",
  "localStorage",
  "sessionStorage",
  "WebSocket",
  "EventSource",
  "CloseEvent",
  "BroadcastChannel",
  "Storage",
];

const WEB_CLASSES = [
  "Request",
  "Headers",
  "FormData",
  "Blob",
  "File",
  "crypto",
  "CompressionStream",
  "TextDecoderStream",
];

const ASIDE = "Please consider using an action. See https://docs.convex.dev/functions/actions for more details.";

export function installGlobals(log: (run: number, level: LogLevel, messages: string[]) => void): void {
  const realm = globalThis as unknown as Record<string, unknown>;
  for (const name of HIDDEN) hide(realm, name, realm[name]);
  hide(realm, "process", { env: environment() });
  realm["console"] = consoleOf(log);
  realm["Response"] = responseClass();
  realm["fetch"] = fetchOf(globalThis.fetch);
  for (const name of ["setTimeout", "setInterval"]) realm[name] = onlyInActions(name, realm[name]);
  // Last: Node loads its web classes when they are first named, and needs its own globals for that.
  for (const name of WEB_CLASSES) void realm[name];
  for (const name of REMOVED) delete realm[name];
}

function hide(realm: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(realm, name, { value, enumerable: false, configurable: true, writable: true });
}

/** `process.env` of the deployment, or what schemas and auth configs get instead (contract 4.4, 5.2). */
function environment(): Record<string, string> {
  const read = (name: string | symbol): string | undefined => {
    const job = jobs.getStore();
    if (job === undefined || typeof name === "symbol") return undefined;
    if (job.envMode === "forbidden") throw new Error("Environment variables unsupported when evaluating schema");
    const value = Object.hasOwn(job.env, name) ? job.env[name] : undefined;
    if (value === undefined && job.envMode === "required") {
      const error = new Error(`Environment variable ${name} is used in auth config file but its value was not set`);
      job.missingVariable ??= { name, error };
      throw error;
    }
    return value;
  };
  const names = () => Object.keys(jobs.getStore()?.env ?? {});
  return new Proxy({} as Record<string, string>, {
    get: (_target, name) => read(name),
    has: (_target, name) => names().includes(String(name)),
    ownKeys: names,
    getOwnPropertyDescriptor: (_target, name) =>
      names().includes(String(name)) ? { value: read(name), enumerable: true, configurable: true } : undefined,
  });
}

function consoleOf(log: (run: number, level: LogLevel, messages: string[]) => void): Record<string, unknown> {
  const write =
    (level: LogLevel) =>
    (...args: unknown[]) => {
      const job = jobs.getStore();
      if (job !== undefined) log(job.run, level, args.map(logText));
    };
  const started = new Map<string, number>();
  const nothing = () => {};
  return {
    debug: write("DEBUG"),
    info: write("INFO"),
    log: write("LOG"),
    warn: write("WARN"),
    error: write("ERROR"),
    trace: write("LOG"),
    dir: write("LOG"),
    table: write("LOG"),
    assert: (condition: unknown, ...args: unknown[]) => {
      if (!condition) write("ERROR")("Assertion failed", ...args);
    },
    time: (label = "default") => void started.set(label, Date.now()),
    timeLog: (label = "default") => write("INFO")(`${label}: ${Date.now() - (started.get(label) ?? Date.now())}ms`),
    timeEnd: (label = "default") => {
      write("INFO")(`${label}: ${Date.now() - (started.get(label) ?? Date.now())}ms`);
      started.delete(label);
    },
    group: nothing,
    groupCollapsed: nothing,
    groupEnd: nothing,
    count: nothing,
  };
}

/** One argument of a console call: `'hello'`, `{\n  a: [ 1, 2n, null ]\n}`, `[Error: logged]` (contract 6.2 recordings). */
export function logText(value: unknown): string {
  try {
    return inspect(value, { compact: 1, depth: 10 });
  } catch {
    return "[unprintable]";
  }
}

type NativeBody = ConstructorParameters<typeof globalThis.Response>[0];

/** Length of a body that is known beforehand: it is sent as `content-length`. */
function knownLength(body: unknown): number | undefined {
  if (typeof body === "string") return new TextEncoder().encode(body).length;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return body.byteLength;
  return body instanceof Blob ? body.size : undefined;
}

/** The status check has the backend's words. */
function responseClass(): typeof Response {
  const Native = globalThis.Response;
  return class Response extends Native {
    constructor(body?: NativeBody, init?: ResponseInit) {
      const status = init?.status;
      if (status !== undefined && !(status >= 200 && status <= 599)) {
        throw new RangeError("Failed to construct 'Response': The status provided is outside the range [200, 599].");
      }
      super(body, init);
      const length = knownLength(body);
      if (length !== undefined && !this.headers.has("content-length"))
        this.headers.set("content-length", String(length));
    }
    static override json(data: unknown, init?: ResponseInit): Response {
      const headers = new Headers(init?.headers);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new globalThis.Response(JSON.stringify(data), { ...init, headers });
    }
    static override [Symbol.hasInstance](value: unknown): boolean {
      return Function.prototype[Symbol.hasInstance].call(Native, value);
    }
  };
}

function onlyInActions(name: string, timer: unknown): unknown {
  return (...args: unknown[]) => {
    const kind = jobs.getStore()?.kind;
    if (kind === "Query" || kind === "Mutation")
      throw new Error(`Can't use ${name} in queries and mutations. ${ASIDE}`);
    // Not a number as on the web: Node's fetch goes through here too and unrefs its timers.
    return (timer as (...args: unknown[]) => unknown)(...args);
  };
}

function fetchOf(native: typeof fetch): typeof fetch {
  return async (input, init) => {
    const { kind } = currentJob();
    if (kind === "Query" || kind === "Mutation")
      throw new Error(`Can't use fetch() in queries and mutations. ${ASIDE}`);
    try {
      return await native(input, init);
    } catch (error) {
      throw connectError(input, error);
    }
  };
}

/** Connection errors in the words of contract 8.3. */
function connectError(input: unknown, error: unknown): unknown {
  const cause =
    error instanceof TypeError ? (error.cause as { code?: string; message?: string } | undefined) : undefined;
  // Some ports are refused by Node's fetch itself.
  const code = cause?.message === "bad port" ? "ECONNREFUSED" : cause?.code;
  if (code === undefined) return error;
  const url = input instanceof Request ? input.url : String(input);
  const reason =
    code === "ECONNREFUSED"
      ? "tcp connect error: Connection refused (os error 111)"
      : code === "ENOTFOUND" || code === "EAI_AGAIN"
        ? "dns error: failed to lookup address information: Name or service not known"
        : code;
  return new Error(`error sending request for url (${new URL(url).href}): client error (Connect): ${reason}`);
}
