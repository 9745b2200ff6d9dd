/**
 * The child process for `"use node"` modules. Its text is written to `local.cjs` and run by whatever `node` the
 * backend finds, so `nodeChild` must not refer to anything outside itself.
 */
import type { Readable, Writable } from "node:stream";

type Loose = Record<string, unknown>;

/** Speaks lines of JSON on descriptor 3; `load` is `import()`, which must stand in a script of its own. */
export function nodeChild(load: (url: string) => Promise<Loose>, builtin: (name: string) => unknown): void {
  const net = builtin("node:net") as { Socket: new (options: { fd: number }) => Readable & Writable };
  const hooks = builtin("node:async_hooks") as typeof import("node:async_hooks");
  const path = builtin("node:path") as typeof import("node:path");
  const url = builtin("node:url") as typeof import("node:url");
  const fs = builtin("node:fs") as typeof import("node:fs");
  const util = builtin("node:util") as typeof import("node:util");
  const nodeModule = builtin("node:module") as typeof import("node:module");

  interface Call {
    id: number;
    do: "analyze" | "run";
    /** Directory of the package. */
    directory: string;
    modules: string[];
    env: Record<string, string>;
    name: string;
    args: string;
    origin: string;
    token: string;
    identity: unknown;
  }
  interface Shown {
    text: string;
    plumbing: boolean;
  }

  const socket = new net.Socket({ fd: 3 });
  const send = (message: unknown) => socket.write(`${JSON.stringify(message)}\n`);
  const calls = new hooks.AsyncLocalStorage<Call>();
  const realEnv = process.env;
  const maps = new Map<string, InstanceType<typeof nodeModule.SourceMap> | null>();
  const framesOf = new WeakMap<object, Shown[]>();

  // ---- environment and console of the call

  process.env = new Proxy({} as NodeJS.ProcessEnv, {
    get: (_target, name) => {
      const env = calls.getStore()?.env ?? realEnv;
      return typeof name === "string" && Object.hasOwn(env, name) ? env[name] : undefined;
    },
    has: (_target, name) => Object.hasOwn(calls.getStore()?.env ?? realEnv, name),
    ownKeys: () => Object.keys(calls.getStore()?.env ?? realEnv),
    getOwnPropertyDescriptor: (_target, name) => ({
      value: (calls.getStore()?.env ?? realEnv)[String(name)],
      enumerable: true,
      configurable: true,
    }),
  });
  const levels = { debug: "DEBUG", info: "INFO", log: "LOG", warn: "WARN", error: "ERROR", trace: "LOG" };
  for (const [method, level] of Object.entries(levels)) {
    (console as unknown as Loose)[method] = (...args: unknown[]) => {
      const messages = args.map((arg) => util.inspect(arg, { compact: 1, depth: 10 }));
      const call = calls.getStore();
      if (call !== undefined) send({ id: call.id, log: { level, messages, at: Date.now() } });
    };
  }

  // ---- stack traces in the backend's form

  const sourceMap = (script: string) => {
    const known = maps.get(script);
    if (known !== undefined) return known;
    let found: InstanceType<typeof nodeModule.SourceMap> | null = null;
    try {
      found = new nodeModule.SourceMap(JSON.parse(fs.readFileSync(`${url.fileURLToPath(script)}.map`, "utf8")));
    } catch {
      // No map: the compiled position is shown.
    }
    maps.set(script, found);
    return found;
  };
  const isOurs = (script: string) => script.startsWith("file:") && script.includes("/convex-package-");
  Error.stackTraceLimit = 60;
  Error.prepareStackTrace = (error, sites) => {
    const shown: Shown[] = [];
    for (const site of sites) {
      const script = (site.getScriptNameOrSourceURL() ?? "").split("?")[0] ?? "";
      if (!isOurs(script)) continue;
      const line = site.getLineNumber() ?? 1;
      const column = (site.getColumnNumber() ?? 1) - 1;
      const entry = sourceMap(script)?.findEntry(line, column) as Loose | undefined;
      const file = String(entry?.["originalSource"] ?? path.basename(script));
      const name = `${site.isAsync() ? "async " : ""}${site.isConstructor() ? "new " : ""}${site.getFunctionName() || "<anonymous>"}`;
      const position =
        entry?.["originalSource"] === undefined
          ? `${line}:${column}`
          : `${entry["originalLine"]}:${entry["originalColumn"]}`;
      shown.push({
        text: `\n    at ${name} (${file}:${position})`,
        plumbing: /convex\/(src|dist)\/.*server\/impl\//.test(file),
      });
    }
    framesOf.set(error, shown);
    return `${error}${sites.map((site) => `\n    at ${site}`).join("")}`;
  };
  const describe = (error: unknown) => {
    void (error as { stack?: unknown } | null)?.stack;
    const list = typeof error === "object" && error !== null ? (framesOf.get(error) ?? []) : [];
    const headline = `Uncaught ${String(error)}`;
    const frames = list
      .filter((frame) => !frame.plumbing)
      .map((frame) => frame.text)
      .join("");
    const data = (error as Loose | null)?.["data"];
    const isConvex =
      typeof error === "object" && error !== null && Symbol.for("ConvexError") in error && typeof data === "string";
    const message = error instanceof Error ? error.message : String(error);
    return {
      headline,
      frames,
      message,
      text: `${headline}${frames}\n`,
      trace: `${headline}${frames}\n`,
      ...(isConvex ? { data: JSON.parse(data) } : {}),
    };
  };

  // ---- what a function may ask: over HTTP, at the configured origin (contract 8.3)

  const callback = async (op: string, args: string): Promise<string> => {
    const call = calls.getStore();
    if (call === undefined) throw new Error("No Convex function is running here.");
    if (op === "1.0/getUserIdentity") {
      const identity = call.identity as { error?: string; user?: unknown };
      if (identity.error !== undefined) throw new Error(identity.error);
      return JSON.stringify(identity.user ?? null);
    }
    const response = await fetch(new URL("/api/actions/callback", call.origin), {
      method: "POST",
      headers: { "content-type": "application/json", "convex-action-callback-token": call.token },
      body: JSON.stringify({ op, args }),
    });
    if (!response.ok) throw new Error(`Action callback failed: ${response.status} ${await response.text()}`);
    const reply = (await response.json()) as { ok: boolean; value: string; message: string; data?: unknown };
    if (reply.ok) return reply.value;
    throw Object.assign(new Error(reply.message), reply.data === undefined ? {} : { data: reply.data });
  };
  const storeBlob = async (blob: unknown, sha256: unknown) => {
    if (!(blob instanceof Blob)) throw new Error("store() expects a Blob.");
    const target = JSON.parse(await callback("1.0/storageGenerateUploadUrl", "{}")) as string;
    const headers: Record<string, string> = { "content-type": blob.type };
    if (typeof sha256 === "string") headers["digest"] = `sha-256=${sha256}`;
    const response = await fetch(target, { method: "POST", headers, body: blob });
    if (!response.ok) throw new Error(`Error uploading file: ${await response.text()}`);
    return ((await response.json()) as { storageId: string }).storageId;
  };
  const getBlob = async (storageId: unknown) => {
    const target = JSON.parse(await callback("1.0/storageGetUrl", JSON.stringify({ storageId }))) as string | null;
    if (target === null) return null;
    const response = await fetch(target);
    if (!response.ok) throw new Error(`Error getting file: ${await response.text()}`);
    return response.blob();
  };
  (globalThis as unknown as Loose)["Convex"] = {
    syscall: (op: string) => {
      throw new Error(`Unknown operation ${op}`);
    },
    asyncSyscall: callback,
    jsSyscall: (op: string, args: Loose) => {
      if (op === "storage/storeBlob")
        return storeBlob(args["blob"], (args["options"] as Loose | undefined)?.["sha256"]);
      if (op === "storage/getBlob") return getBlob(args["storageId"]);
      throw new Error(`Unknown operation ${op}`);
    },
  };

  // ---- calls

  const open = (call: Call, module: string) => {
    // Another environment loads the entry again: module code may read variables.
    const key = Buffer.from(JSON.stringify(call.env)).toString("base64url").slice(0, 40);
    const size = JSON.stringify(call.env).length;
    return load(`${url.pathToFileURL(path.join(call.directory, module)).href}?env=${size}-${key}`);
  };
  const kindOf = (value: Loose) =>
    value["isQuery"] ? "Query" : value["isMutation"] ? "Mutation" : value["isAction"] ? "Action" : undefined;
  const functionsOf = (source: string, module: string, exported: Loose) => {
    const found: {
      name: string;
      pos: { path: string; start_lineno: number; start_col: number };
      [field: string]: unknown;
    }[] = [];
    for (const [name, value] of Object.entries(exported)) {
      if (value === null || (typeof value !== "function" && typeof value !== "object")) continue;
      const registered = value as Loose;
      const udfType = kindOf(registered);
      if (udfType === undefined) continue;
      const handler = registered["_handler"];
      const offset = Math.max(
        0,
        typeof handler === "function" ? source.indexOf(Function.prototype.toString.call(handler)) : 0,
      );
      const before = source.slice(0, offset).split("\n");
      found.push({
        name,
        pos: { path: module, start_lineno: before.length, start_col: before.at(-1)?.length ?? 0 },
        udfType,
        visibility: registered["isPublic"]
          ? { kind: "public" }
          : registered["isInternal"]
            ? { kind: "internal" }
            : null,
        args: (registered["exportArgs"] as (() => string) | undefined)?.() ?? '{"type":"any"}',
        returns: (registered["exportReturns"] as (() => string) | undefined)?.() ?? "null",
      });
    }
    return found.sort((a, b) => a.pos.start_lineno - b.pos.start_lineno || a.pos.start_col - b.pos.start_col);
  };
  const analyze = async (call: Call) => {
    const modules: unknown[] = [];
    for (const module of call.modules) {
      try {
        const exported = await open(call, module);
        const source = fs.readFileSync(path.join(call.directory, module), "utf8");
        modules.push({ path: module, functions: functionsOf(source, module, exported), httpRoutes: null, crons: null });
      } catch (error) {
        return { failed: module, error: describe(error), phase: "load" };
      }
    }
    return { modules };
  };
  const run = async (call: Call) => {
    const exported = await open(call, call.modules[0] ?? "");
    const registered = exported[call.name] as { invokeAction(requestId: string, args: string): Promise<string> };
    return registered.invokeAction("", call.args);
  };
  const answer = async (call: Call) => {
    try {
      const value = await calls.run(call, () => (call.do === "run" ? run(call) : analyze(call)));
      send({ id: call.id, result: { ok: true, value } });
    } catch (error) {
      send({ id: call.id, result: { ok: false, error: describe(error) } });
    }
  };

  process.on("unhandledRejection", () => {});
  process.on("uncaughtException", () => {});
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) void answer(JSON.parse(line) as Call);
  });
  socket.on("error", () => {});
  // The real child outlives a killed backend and keeps its output open (contract 1.6); this one gives up in the end.
  socket.on("close", () => setTimeout(() => process.exit(0), 120_000));
  send({ hello: process.version });
}

/** The script for `node local.cjs`. */
export function nodeChildScript(): string {
  return `"use strict";\n(${nodeChild})((url) => import(url), require);\n`;
}
