import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { FunctionError, type WriteTransaction } from "../../standin/types.ts";
import { type FakeFunctions, startFake } from "./fake-app.ts";

let directory: string;
let app: Awaited<ReturnType<typeof startFake>>;
const release: (() => void)[] = [];

const functions: FakeFunctions = {
  list: { kind: "Query", code: ({ tx }) => tx.scan("", "notes").map((doc) => doc["text"] ?? null) },
  send: {
    kind: "Mutation",
    code: ({ tx, call }) => (tx as WriteTransaction).insert("", "notes", { text: JSON.stringify(call.args) }),
  },
  broken: {
    kind: "Mutation",
    code: ({ tx }) => {
      (tx as WriteTransaction).insert("", "notes", { text: "lost" });
      throw new FunctionError("Uncaught Error: no", { code: 5n });
    },
  },
  wait: { kind: "Action", code: () => new Promise((resolve) => release.push(() => resolve("done"))) },
  hidden: { kind: "Query", internal: true, code: () => "secret" },
  later: {
    kind: "Mutation",
    code: ({ tx }) => {
      const path = { module: "m.js", name: "send" };
      return app.backend.scheduler.schedule(tx as WriteTransaction, { component: "", path, args: {}, at: Date.now() });
    },
  },
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "functions-"));
  app = await startFake(directory, functions);
});
afterEach(async () => {
  for (const each of release.splice(0)) each();
  await app.backend.destroy();
  rmSync(directory, { recursive: true });
});

async function post(path: string, body: unknown, key?: string) {
  const headers = {
    "content-type": "application/json",
    ...(key === undefined ? {} : { authorization: `Convex ${key}` }),
  };
  const response = await fetch(app.backend.url + path, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, text: (await response.text()).replace(/[0-9a-f]{16}/, "ID") };
}

const list = async () => JSON.parse((await post("/api/query", { path: "m:list", args: {} })).text).value;

describe("functions over HTTP (contract 6.2)", () => {
  it("commits a mutation that returns and nothing of one that throws", async () => {
    expect((await post("/api/mutation", { path: "m:send", args: { a: 1 } })).status).toBe(200);
    const failed = await post("/api/mutation", { path: "m:broken", args: {}, format: "convex_encoded_json" });
    expect(failed.text).toBe(
      '{"status":"error","errorMessage":"[Request ID: ID] Server Error\\nUncaught Error: no\\n","errorData":{"code":{"$integer":"BQAAAAAAAAA="}}}',
    );
    expect(await list()).toEqual(['{"a":1}']);
  });

  it("shows internal functions to admin and read-only keys alone, and lets the latter only query", async () => {
    const hidden = { path: "m:hidden", args: {} };
    expect((await post("/api/query", hidden)).text).toContain("Could not find public function for 'm:hidden'");
    expect((await post("/api/query", hidden, app.readOnlyKey)).text).toContain('"value":"secret"');
    const refused = await post("/api/function", { path: "m:send", args: {} }, app.readOnlyKey);
    expect(refused).toEqual({
      status: 403,
      text: '{"code":"Unauthorized","message":"You do not have permission to run Mutation functions."}',
    });
  });

  it("has done a mutation when it refuses the format of its answer", async () => {
    const answer = await post("/api/mutation", { path: "m:send", args: {}, format: "xml" });
    expect(answer.text).toContain("BadFormat");
    expect(await list()).toHaveLength(1);
  });

  it("stops with a pause, except for system queries", async () => {
    await post("/api/v1/pause_deployment", {}, app.adminKey);
    expect((await post("/api/query", { path: "m:list", args: {} }, app.adminKey)).text).toContain(
      "while this deployment is paused",
    );
    const system = { path: "_system/cli/tables", args: {} };
    expect((await post("/api/query", system, app.adminKey)).text).toContain('"status":"success"');
  });

  it("reads an old snapshot by its timestamp", async () => {
    const { ts } = JSON.parse((await post("/api/query_ts", {})).text);
    await post("/api/mutation", { path: "m:send", args: {} });
    expect(JSON.parse((await post("/api/query_at_ts", { path: "m:list", args: {}, ts })).text).value).toEqual([]);
    expect((await post("/api/query_at_ts", { path: "m:list", args: {}, ts: "AAAAAAAAAAA=" })).status).toBe(503);
  });
});

describe("scheduled functions", () => {
  it("run after the commit, not while paused, and are marked as done", async () => {
    await post("/api/v1/pause_deployment", {}, app.adminKey);
    await app.backend.store.write((tx) => {
      const path = { module: "m.js", name: "send" };
      app.backend.scheduler.schedule(tx, { component: "", path, args: { by: "clock" }, at: Date.now() });
    });
    expect(app.backend.store.read((tx) => tx.count("", "notes"))).toBe(0);
    const states = () =>
      app.backend.store.read((tx) => tx.scan("", "_scheduled_functions").map((doc) => JSON.stringify(doc["state"])));
    const done = new Promise<void>((resolve) => {
      app.backend.store.onCommit(() => {
        if (states().includes('{"kind":"success"}')) resolve();
      });
    });
    expect(states()).toEqual(['{"kind":"pending"}']);
    await post("/api/v1/unpause_deployment", {}, app.adminKey);
    await done;
    expect(app.backend.store.read((tx) => tx.scan("", "notes")[0]?.["text"])).toBe('{"by":"clock"}');
  });

  it("go on after a restart: what became due runs, an interrupted action has failed", async () => {
    const schedule = (name: string, at: number) =>
      app.backend.store.write((tx) => {
        const path = { module: "m.js", name };
        return app.backend.scheduler.schedule(tx, { component: "", path, args: {}, at });
      });
    const stateOf = (id: string) => JSON.stringify(app.backend.store.read((tx) => tx.get("", id)?.["state"]));
    const changed = (id: string, from: string) =>
      new Promise<string>((resolve) => {
        const look = () => {
          if (!stateOf(id).includes(from)) resolve(stateOf(id));
        };
        app.backend.store.onCommit(look);
        look();
      });
    const action = await schedule("wait", Date.now());
    const mutation = await schedule("send", Date.now() + 300);
    expect(await changed(action, "pending")).toBe('{"kind":"inProgress"}');
    await app.backend.destroy();
    app = await startFake(directory, functions);
    expect(stateOf(action)).toContain('"kind":"failed"');
    expect(stateOf(mutation)).toBe('{"kind":"pending"}');
    expect(await changed(mutation, "pending")).toBe('{"kind":"success"}');
    expect(app.backend.store.read((tx) => tx.count("", "notes"))).toBe(1);
  });

  it("run their crons again and again, and tell what changed", async () => {
    const cron = (seconds: number) => ({
      identifier: "tick",
      path: { module: "m.js", name: "send" },
      args: {},
      schedule: { type: "interval", seconds },
    });
    const set = (specs: ReturnType<typeof cron>[]) =>
      app.backend.store.write((tx) => app.backend.scheduler.setCrons(tx, "", specs));
    const twice = new Promise<void>((resolve) => {
      app.backend.store.onCommit(() => {
        if (app.backend.store.read((tx) => tx.count("", "notes")) >= 2) resolve();
      });
    });
    expect(await set([cron(1)])).toEqual({ added: ["tick"], updated: [], deleted: [] });
    await twice;
    expect(await set([cron(3600)])).toEqual({ added: [], updated: ["tick"], deleted: [] });
    expect(await set([cron(3600)])).toEqual({ added: [], updated: [], deleted: [] });
    expect(await set([])).toEqual({ added: [], updated: [], deleted: ["tick"] });
  });
});

describe("the sync websocket (contract 6.1)", () => {
  async function connect() {
    const socket = new WebSocket(`${app.backend.url.replace("http", "ws")}/api/1.48.0/sync`);
    const frames: Record<string, unknown>[] = [];
    let wake = () => {};
    socket.on("message", (data) => {
      frames.push(JSON.parse(String(data)));
      wake();
    });
    await new Promise((resolve) => socket.once("open", resolve));
    const next = async () => {
      while (frames.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return frames.shift() ?? {};
    };
    const closed = new Promise<number>((resolve) => socket.once("close", resolve));
    return { send: (message: unknown) => socket.send(JSON.stringify(message)), next, closed, socket };
  }
  const add = (queryId: number, udfPath: string) => ({ type: "Add", queryId, udfPath, args: [{}] });

  it("sends a result again when a write changes it, and only then", async () => {
    const client = await connect();
    client.send({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [add(0, "m:list")] });
    const first = await client.next();
    expect(first).toMatchObject({ type: "Transition", startVersion: { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" } });
    expect(first["modifications"]).toMatchObject([{ type: "QueryUpdated", value: [] }]);
    await app.backend.store.write((tx) => tx.insert("", "unrelated", {}));
    await post("/api/mutation", { path: "m:send", args: {} });
    const second = await client.next();
    expect(second["startVersion"]).toEqual(first["endVersion"]);
    expect(second["modifications"]).toMatchObject([{ type: "QueryUpdated", queryId: 0, value: ["{}"] }]);
    client.socket.close();
  });

  it("answers calls when they are done, not in order, each followed by a Transition", async () => {
    const client = await connect();
    client.send({ type: "Action", requestId: 0, udfPath: "m:wait", args: [{}] });
    client.send({ type: "Mutation", requestId: 1, udfPath: "m:send", args: [{}] });
    expect(await client.next()).toMatchObject({ type: "MutationResponse", requestId: 1, success: true });
    expect(await client.next()).toMatchObject({ type: "Transition", modifications: [] });
    for (const each of release.splice(0)) each();
    expect(await client.next()).toEqual({
      type: "ActionResponse",
      requestId: 0,
      success: true,
      result: "done",
      logLines: [],
    });
    expect(await client.next()).toMatchObject({ type: "Transition" });
    client.socket.close();
  });

  it.each([
    [{ type: "Authenticate", tokenType: "Admin", value: "x", baseVersion: 0 }, "AuthError", 1005],
    [{ type: "Nope" }, "FatalError", 1005],
    [{ type: "ModifyQuerySet", baseVersion: 5, newVersion: 6, modifications: [] }, "FatalError", 1005],
    [{ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [add(0, "a b:c")] }, "FatalError", 1005],
    [{ type: "Authenticate", tokenType: "Admin", value: "x", baseVersion: 3 }, undefined, 1011],
    [{ type: "Mutation", requestId: 0, udfPath: "m:send", args: [{}], componentPath: "nope" }, undefined, 1011],
  ])("ends after %j", async (message, type, code) => {
    const client = await connect();
    client.send(message);
    if (type !== undefined) expect((await client.next())["type"]).toBe(type);
    expect(await client.closed).toBe(code);
  });

  it("does not let a read-only key write", async () => {
    const client = await connect();
    client.send({ type: "Authenticate", tokenType: "Admin", value: app.readOnlyKey, baseVersion: 0 });
    expect(await client.next()).toMatchObject({ endVersion: { identity: 1 } });
    client.send({ type: "Mutation", requestId: 0, udfPath: "m:send", args: [{}] });
    expect(await client.next()).toEqual({
      type: "FatalError",
      error: "You do not have permission to run Mutation functions.",
    });
    expect(await client.closed).toBe(1000);
  });
});

describe("function logs", () => {
  it("are answered at once when there are some, else with the next one, and with 500 at a shutdown", async () => {
    const read = async (cursor: number) => {
      const headers = { authorization: `Convex ${app.adminKey}` };
      const response = await fetch(`${app.backend.url}/api/stream_function_logs?cursor=${cursor}`, { headers });
      return { status: response.status, body: JSON.parse(await response.text()) };
    };
    await post("/api/query", { path: "m:list", args: {} });
    const first = await read(0);
    expect(first.body.entries).toMatchObject([
      { kind: "Completion", udfType: "Query", identifier: "m:list", error: null },
    ]);
    const second = read(first.body.newCursor);
    await post("/api/mutation", { path: "m:broken", args: {} });
    expect((await second).body.entries).toMatchObject([{ identifier: "m:broken", error: "Uncaught Error: no\n" }]);
    const third = read((await second).body.newCursor);
    await post("/api/query_ts", {});
    await app.backend.drain();
    expect((await third).status).toBe(500);
  });
});
