import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Isolate, type JobHandlers } from "../../standin/runtime/isolate.ts";
import type { JobResult, ModuleSource } from "../../standin/runtime/protocol.ts";
import type { LogLine } from "../../standin/types.ts";
import { bundleSource } from "./bundle-source.ts";

const SOURCE = `import { queryGeneric as query, mutationGeneric as mutation, actionGeneric as action } from "convex/server";
import { ConvexError, v } from "convex/values";
export const zebra = query({ args: { n: v.number() }, returns: v.null(), handler: () => null });
export const env = query({ args: {}, handler: () => [process.env.A ?? null, process.env.B ?? null] });
export const globals = query({
  args: {},
  handler: () => ["performance", "require", "setImmediate", "WebSocket", "fetch", "crypto", "Blob"].map((name) => typeof (globalThis as any)[name]),
});
export const boom = query({
  args: {},
  handler: () => {
    throw new Error("boom");
  },
});
export const nope = mutation({ args: {}, handler: () => { throw new ConvexError({ code: "nope", n: 1n }); } });
export const logs = query({ args: {}, handler: () => { console.log("hello", 1, { a: [1, 2n, null] }); console.error(new Error("logged")); } });
export const spin = query({ args: {}, handler: () => { for (;;); } });
export const timer = query({ args: {}, handler: () => { setTimeout(() => {}, 1); } });
export const net = mutation({ args: {}, handler: () => fetch("http://127.0.0.1:9/") });
export const refused = action({ args: {}, handler: async () => { try { await fetch("http://127.0.0.1:9/"); } catch (error) { return String(error); } } });
export const rows = query({ args: {}, handler: async (ctx: any) => (await ctx.db.query("messages").collect()).length });
export const normalized = query({ args: {}, handler: (ctx: any) => ctx.db.normalizeId("messages", "x") });
`;

let module: ModuleSource;
let isolate: Isolate;

beforeAll(async () => {
  module = await bundleSource("convex/messages.ts", SOURCE);
});
beforeAll(() => {
  isolate = new Isolate();
});
afterAll(() => isolate.terminate());

function call(
  name: string,
  kind: "Query" | "Mutation" | "Action",
  options: { env?: Record<string, string>; handlers?: JobHandlers; limitMs?: number; args?: string } = {},
): Promise<JobResult> {
  const { env = {}, handlers = {}, limitMs, args = "[{}]" } = options;
  const graph = { packageId: "app", env };
  return isolate.run(
    { do: "function", graph, module: "messages.js", name, kind, args },
    [{ id: "app", modules: [module] }],
    handlers,
    limitMs,
  );
}
const value = (result: JobResult) => (result.ok ? JSON.parse(String(result.value)) : result.error.text);

describe("the isolate thread (contract 6)", () => {
  it("knows the deployment's variables and nothing else of the process", async () => {
    expect(value(await call("env", "Query", { env: { A: "1" } }))).toEqual(["1", null]);
    expect(value(await call("env", "Query", { env: { A: "2", B: "" } }))).toEqual(["2", ""]);
  });

  it("offers web APIs, not Node's", async () => {
    expect(value(await call("globals", "Query"))).toEqual([
      "undefined",
      "undefined",
      "undefined",
      "undefined",
      "function",
      "object",
      "function",
    ]);
  });

  it("names an exception with the position the backend gives", async () => {
    const result = await call("boom", "Query");
    // The generated line after the one that throws belongs to the handler's own line of the source.
    expect(result).toMatchObject({
      ok: false,
      error: { text: "Uncaught Error: boom\n    at handler (../convex/messages.ts:10:11)\n" },
    });
  });

  it("hands the data of a ConvexError on", async () => {
    expect(await call("nope", "Mutation")).toMatchObject({
      ok: false,
      error: {
        headline: 'Uncaught ConvexError: {"code":"nope","n":"1n"}',
        data: { code: "nope", n: { $integer: "AQAAAAAAAAA=" } },
      },
    });
  });

  it("formats log lines", async () => {
    const lines: LogLine[] = [];
    await call("logs", "Query", { handlers: { onLog: (line) => void lines.push(line) } });
    expect(lines.map(({ level, messages }) => [level, ...messages])).toEqual([
      ["LOG", "'hello'", "1", "{\n  a: [ 1, 2n, null ]\n}"],
      ["ERROR", "[Error: logged]"],
    ]);
  });

  it("keeps timers and fetch from queries and mutations", async () => {
    expect(value(await call("timer", "Query"))).toContain("Can't use setTimeout in queries and mutations.");
    expect(value(await call("net", "Mutation"))).toContain("Can't use fetch() in queries and mutations.");
    expect(value(await call("refused", "Action"))).toContain(
      "Error: error sending request for url (http://127.0.0.1:9/): client error (Connect): ",
    );
  });

  it("asks for documents in batches and for ids at once", async () => {
    const asked: string[] = [];
    const batch = (args: string) => {
      const { query, max } = JSON.parse(args) as { query?: unknown; max: number };
      asked.push(`${query === undefined ? "more" : "first"} ${max}`);
      return {
        documents: Array.from({ length: query === undefined ? 3 : 16 }, (_, n) => `{"n":${n}}`),
        done: query === undefined,
      };
    };
    const handlers: JobHandlers = {
      onCall: async (_op, args) => JSON.stringify(batch(args)),
      onSyncCall: (op, args) => JSON.stringify({ id: `${op} ${args}` }),
    };
    expect(value(await call("rows", "Query", { handlers }))).toBe(19);
    expect(asked).toEqual(["first 16", "more 256"]);
    expect(value(await call("normalized", "Query", { handlers }))).toBe(
      '1.0/db/normalizeId {"table":"messages","idString":"x"}',
    );
  });

  it("lists functions in the order of the source", async () => {
    const job = { do: "analyze", graph: { packageId: "app", env: {} }, modules: ["messages.js"] } as const;
    const result = await isolate.run(job, [{ id: "app", modules: [module] }], {});
    const { modules } = (result.ok ? result.value : {}) as {
      modules: { functions: { name: string; udfType: string; args: string; returns: string }[] }[];
    };
    const functions = modules[0]?.functions ?? [];
    expect(functions.map((fn) => fn.name).slice(0, 4)).toEqual(["zebra", "env", "globals", "boom"]);
    expect(functions[0]).toMatchObject({
      udfType: "Query",
      args: '{"type":"object","value":{"n":{"fieldType":{"type":"number"},"optional":false}}}',
      returns: '{"type":"null"}',
    });
    expect(functions[1]).toMatchObject({ args: '{"type":"object","value":{}}', returns: "null" });
  });
});

describe("modules", () => {
  const load = async (source: string, path = "m.js") => {
    const id = `code ${source}`;
    const job = { do: "analyze", graph: { packageId: id, env: {} }, modules: [path] } as const;
    const result = await isolate.run(job, [{ id, modules: [{ path, source }] }], {});
    return result.ok ? result.value : result.error;
  };

  it("may not wait at the top level", async () => {
    expect(await load("await null; export {};")).toMatchObject({
      failed: "m.js",
      error: { plain: "Top-level awaits in source files are unsupported" },
    });
  });

  it("fail each time alike", async () => {
    for (const _ of [1, 2])
      expect(await load("throw new Error('at import')")).toMatchObject({
        failed: "m.js",
        error: { headline: "Uncaught Error: at import" },
      });
  });

  it("need the right default exports", async () => {
    expect(await load("export const x = 1;", "http.js")).toMatchObject({
      modules: [{ problem: "`convex/http.js` must have a default export of a Router." }],
    });
    expect(await load("export default 5;", "crons.js")).toMatchObject({
      modules: [{ problem: "The default export of `convex/crons.js` is not a Crons object." }],
    });
  });

  it("find their chunks from where they are", async () => {
    const modules = [
      { path: "a.js", source: 'import "./_deps/one.js"; export const x = 1;' },
      { path: "_deps/one.js", source: 'import "./two.js";' },
      { path: "_deps/two.js", source: "export {};" },
    ];
    const job = { do: "analyze", graph: { packageId: "chunks", env: {} }, modules: ["a.js"] } as const;
    expect(await isolate.run(job, [{ id: "chunks", modules }], {})).toMatchObject({
      ok: true,
      value: { modules: [{ path: "a.js" }] },
    });
  });
});

describe("limits", () => {
  it("ends a query that works for too long, and its thread", async () => {
    const own = new Isolate();
    const job = {
      do: "function",
      graph: { packageId: "app", env: {} },
      module: "messages.js",
      name: "spin",
      kind: "Query",
      args: "[{}]",
    } as const;
    const result = await own.run(job, [{ id: "app", modules: [module] }], {}, 100);
    expect(result).toMatchObject({
      ok: false,
      error: { plain: "Function execution timed out (maximum duration: 0.1s)" },
    });
    expect(own.dead).toBe(true);
  });
});
