import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { twoWidgets } from "./support/app.ts";
import { afterRequestId, useBackend } from "./support/backend.ts";
import { at, listAt, send, textAt } from "./support/http.ts";
import { push } from "./support/push.ts";
import { type Frame, type SyncClient, withSync } from "./support/sync.ts";

const backend = useBackend((target) => push(target, { files: twoWidgets }));
const zero = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };
const tables = { path: "_system/cli/tables:default", args: { paginationOpts: { cursor: null, numItems: 10000 } } };
const open = <T>(run: (client: SyncClient) => Promise<T>, path?: string) => withSync(backend.url, run, path);
const isTransition = (frame: Frame) => frame.type === "Transition";
const number = (ts: unknown) => Buffer.from(String(ts), "base64").readBigUInt64LE();
const closedWith = (frame: Frame | undefined, error: string) =>
  expect(frame).toMatchObject({ type: "FatalError", error });

describe("queries", () => {
  it("6.1 Authenticate and the first query set have a Transition each", async () => {
    await open(async (client) => {
      client.connect().authenticate(backend.key).add([tables]);
      await client.result(0);
      const [first, second] = client.transitions();
      expect(first).toMatchObject({ startVersion: zero, endVersion: { querySet: 0, identity: 1 }, modifications: [] });
      expect(second?.["startVersion"]).toEqual(first?.["endVersion"]);
      expect(second).toMatchObject({ endVersion: { querySet: 1, identity: 1 } });
      const [modification] = listAt(second, "modifications");
      expect(modification).toMatchObject({ type: "QueryUpdated", queryId: 0, logLines: [], journal: null });
      const names = listAt(modification, "value", "page").map((table) => at(table, "name"));
      expect(names).toContain("messages");
    });
  });

  it("6.1 serverTs is a JSON number in ns, clientClockSkew one in ms, null without Connect", async () => {
    await open(async (client) => {
      client.connect().add([{ path: "messages:undef" }]);
      await client.result(0);
      expect(client.texts[0]).toMatch(/"serverTs":\d{19}[,}]/);
      expect(client.frames[0]?.["clientClockSkew"]).toEqual(expect.any(Number));
    });
    await open(async (client) => {
      client.add([{ path: "messages:undef" }]);
      await client.result(0);
      expect(client.frames[0]?.["clientClockSkew"]).toBeNull();
    });
  });

  it("6.1 a removed query is confirmed, the set's version counts on", async () => {
    await open(async (client) => {
      client.connect().authenticate(backend.key).add([tables]);
      await client.result(0);
      client.modify([{ type: "Remove", queryId: 0 }]);
      const frame = await client.frame(
        "QueryRemoved",
        (each) => at(each, "modifications", 0, "type") === "QueryRemoved",
      );
      expect(frame).toMatchObject({ startVersion: { querySet: 1 }, endVersion: { querySet: 2 } });
      expect(frame["modifications"]).toEqual([{ type: "QueryRemoved", queryId: 0 }]);
    });
  });

  it("6.1 results of one set come together, in order of the Adds", async () => {
    await open(async (client) => {
      const paths = ["messages:hidden", "messages:boom", "messages:types", "messages:logs"];
      client
        .connect()
        .authenticate(backend.key)
        .add(paths.map((path) => ({ path })));
      await client.result(3);
      const frame = client.transitions().at(-1);
      expect(listAt(frame, "modifications").map((each) => [at(each, "queryId"), at(each, "type")])).toEqual([
        [0, "QueryUpdated"],
        [1, "QueryFailed"],
        [2, "QueryUpdated"],
        [3, "QueryUpdated"],
      ]);
      expect(at(frame, "modifications", 0, "value")).toBe("internal");
      expect(afterRequestId(at(frame, "modifications", 1, "errorMessage"))).toMatch(
        /^Uncaught Error: boom\n {4}at handler/,
      );
      expect(at(frame, "modifications", 1, "logLines")).toEqual(["[LOG] 'before'"]);
      expect(at(frame, "modifications", 2, "value", "int")).toEqual({ $integer: "KgAAAAAAAAA=" });
      expect(at(frame, "modifications", 3, "logLines", 1)).toBe("[DEBUG] 'dbg'");
    });
  });

  it("6.1 a write by HTTP sends the new result without being asked; ts does not go back", async () => {
    await backend.seed("messages", []);
    await open(async (client) => {
      client.connect().add([{ path: "messages:list" }]);
      await client.result(0, (each) => listAt(each, "value").length === 0);
      await backend.value("mutation", "messages:send", { author: "ws", body: "" });
      await client.result(0, (each) => listAt(each, "value").length === 1);
      const transitions = client.transitions();
      transitions.forEach((frame, index) => {
        if (index > 0) expect(frame["startVersion"]).toEqual(transitions[index - 1]?.["endVersion"]);
        expect(number(at(frame, "endVersion", "ts"))).toBeGreaterThanOrEqual(number(at(frame, "startVersion", "ts")));
      });
    });
  });

  it("6.1 a write that does not change the result sends nothing for it", async () => {
    await backend.seed("messages", [{ author: "a", body: "" }]);
    await open(async (client) => {
      client.connect().add([{ path: "messages:byAuthor", args: { author: "a" } }]);
      await client.result(0);
      await backend.value("mutation", "messages:send", { author: "other", body: "" });
      await backend.value("mutation", "messages:send", { author: "a", body: "" });
      await client.result(0, (each) => listAt(each, "value").length === 2);
      const updates = client.transitions().flatMap((frame) => listAt(frame, "modifications"));
      expect(updates).toHaveLength(2);
    });
  });

  it("4.1 an env change re-runs a subscription", async () => {
    await backend.setEnv({ WSVAR: null });
    await open(async (client) => {
      client.connect().add([{ path: "messages:env", args: { name: "WSVAR" } }]);
      await client.result(0, (each) => at(each, "value") === null);
      await backend.setEnv({ WSVAR: "new" });
      await client.result(0, (each) => at(each, "value") === "new");
    });
  });

  it("5.2 a deploy re-runs a subscription", async () => {
    const version = (n: number) =>
      `import { query } from "./_generated/server";\nexport const get = query({ args: {}, handler: () => ${n} });\n`;
    await push(backend, { files: { ...twoWidgets, "version.ts": version(1) } });
    await open(async (client) => {
      client.connect().add([{ path: "version:get" }]);
      await client.result(0, (each) => at(each, "value") === 1);
      await push(backend, { files: { ...twoWidgets, "version.ts": version(2) } });
      await client.result(0, (each) => at(each, "value") === 2);
    });
  });

  it("6.1 a query that throws a ConvexError has encoded errorData", async () => {
    const boom = `import { ConvexError } from "convex/values";\nimport { query } from "./_generated/server";
export const data = query({ args: {}, handler: () => { throw new ConvexError({ code: "nope", big: 5n }); } });\n`;
    await push(backend, { files: { ...twoWidgets, "boom.ts": boom } });
    await open(async (client) => {
      client.connect().add([{ path: "boom:data" }]);
      expect(await client.result(0)).toMatchObject({
        type: "QueryFailed",
        errorData: { big: { $integer: "BQAAAAAAAAA=" }, code: "nope" },
      });
    });
  });

  it("6.1 without Connect it is served normally, and the path needs no version", async () => {
    await open(async (client) => {
      client.add([{ path: "messages:undef" }]);
      expect(await client.result(0)).toMatchObject({ type: "QueryUpdated", value: null });
    }, "/api/sync");
  });

  it("6.1 nothing is sent after Connect alone; an Event is ignored; close 1000 is answered", async () => {
    await open(async (client) => {
      client.connect();
      client.send({ type: "Event", eventType: "x", event: {} });
      client.close(1000);
      expect(await client.whenClosed()).toEqual({ code: 1000, reason: "" });
      expect(client.frames).toEqual([]);
    });
  });
});

describe("mutations and actions", () => {
  it("6.1 answers carry result, ts and log lines, and a Transition follows", async () => {
    await open(async (client) => {
      client.connect();
      client.send({ type: "Mutation", requestId: 0, udfPath: "messages:send", args: [{ author: "m", body: "m" }] });
      const answer = await client.frame("MutationResponse", (frame) => frame.type === "MutationResponse");
      expect(answer).toEqual({
        type: "MutationResponse",
        requestId: 0,
        success: true,
        result: expect.any(String),
        ts: expect.stringMatching(/=$/),
        logLines: [],
      });
      const after = await client.frame("Transition", isTransition);
      expect(number(at(after, "endVersion", "ts"))).toBeGreaterThanOrEqual(number(answer["ts"]));
    });
  });

  it("6.1 failures: success false, the error text, ts null; errorData of a ConvexError", async () => {
    await open(async (client) => {
      client.connect();
      client.send({ type: "Mutation", requestId: 2, udfPath: "messages:boomData", args: [{}] });
      client.send({ type: "Action", requestId: 3, udfPath: "nope:x", args: [{}] });
      client.send({ type: "Action", requestId: 4, udfPath: "messages:slow", args: [{ ms: 5 }] });
      const mutation = await client.frame("its failure", (frame) => frame["requestId"] === 2);
      expect(mutation).toMatchObject({
        success: false,
        ts: null,
        errorData: { big: { $integer: "BQAAAAAAAAA=" }, code: "nope", n: 1 },
      });
      expect(afterRequestId(mutation["result"])).toMatch(/^Uncaught ConvexError: /);
      const unknown = await client.frame("the unknown action", (frame) => frame["requestId"] === 3);
      expect(unknown).toMatchObject({ type: "ActionResponse", success: false, logLines: [] });
      expect(unknown).not.toHaveProperty("ts");
      expect(afterRequestId(unknown["result"])).toMatch(/^Could not find public function for 'nope:x'\./);
      const action = await client.frame("the action", (frame) => frame["requestId"] === 4);
      expect(action).toMatchObject({ type: "ActionResponse", success: true, result: "slept 5", logLines: [] });
    });
  });

  it("6.1 a mutation updates the client's own subscription", async () => {
    await backend.seed("messages", []);
    await open(async (client) => {
      client.connect().add([{ path: "messages:list" }]);
      await client.result(0);
      client.send({ type: "Mutation", requestId: 0, udfPath: "messages:send", args: [{ author: "own", body: "" }] });
      await client.result(0, (each) => listAt(each, "value").length === 1);
    });
  });
});

describe("credentials", () => {
  const text = "The provided admin key was invalid for this instance";

  it.each([
    ["another secret", () => backend.badKey],
    ["garbage", () => "x"],
  ])(
    "6.1 an admin key that is %s: AuthError, close without a code, the query set is not answered",
    async (_label, key) => {
      await open(async (client) => {
        client.connect().authenticate(key()).add([tables]);
        expect(await client.whenClosed()).toEqual({ code: 1005, reason: "" });
        expect(client.frames).toEqual([{ type: "AuthError", error: text, baseVersion: 0, authUpdateAttempted: true }]);
      });
    },
  );

  it("6.1 a user token that is no JWT: AuthError, close 1005", async () => {
    await open(async (client) => {
      client.connect().authenticate("abc", "User");
      expect((await client.whenClosed()).code).toBe(1005);
      expect(textAt(client.frames[0], "error")).toMatch(/^Could not parse JWT payload\. /);
    });
  });

  it("6.1 without a key a system query fails and the connection stays", async () => {
    await open(async (client) => {
      client.connect().add([tables, { path: "messages:hidden" }, { path: "messages:undef" }]);
      const failed = await client.result(0);
      expect(failed).toMatchObject({ type: "QueryFailed", logLines: [], journal: null });
      expect(afterRequestId(at(failed, "errorMessage"))).toBe("Operation query not permitted\n");
      expect(afterRequestId(at(await client.result(1), "errorMessage"))).toMatch(
        /^Could not find public function for 'messages:hidden'\./,
      );
      expect(await client.result(2)).toMatchObject({ type: "QueryUpdated" });
      expect(client.closed).toBeUndefined();
    });
  });

  it("6.1 read-only and system keys run system queries", async () => {
    for (const key of [backend.readOnlyKey, backend.systemKey]) {
      await open(async (client) => {
        client.connect().authenticate(key).add([tables]);
        expect(await client.result(0)).toMatchObject({ type: "QueryUpdated" });
      });
    }
  });

  it.each(["Mutation", "Action"])(
    "6.1 a %s with a read-only key: FatalError, close 1000 Unauthorized",
    async (type) => {
      await open(async (client) => {
        client.connect().authenticate(backend.readOnlyKey);
        const udfPath = type === "Mutation" ? "messages:send" : "messages:slow";
        const args = type === "Mutation" ? [{ author: "a", body: "b" }] : [{ ms: 1 }];
        client.send({ type, requestId: 0, udfPath, args });
        expect(await client.whenClosed()).toEqual({ code: 1000, reason: "Unauthorized" });
        closedWith(client.frames.at(-1), `You do not have permission to run ${type} functions.`);
      });
    },
  );
});

describe("components", () => {
  it("6.1 componentPath reaches a component's tables and functions", async () => {
    await backend.value("mutation", "useWidget:bump", { name: "c" });
    await open(async (client) => {
      const componentPath = "widget";
      client
        .connect()
        .authenticate(backend.key)
        .add([
          { path: "_system/cli/tableSize:default", args: { tableName: "counters" }, componentPath },
          { path: "counters:all", componentPath },
          { ...tables, componentPath },
          { path: "_system/cli/tableSize:default", args: { tableName: "counters" }, componentPath: "" },
        ]);
      expect(at(await client.result(0), "value")).toBeGreaterThan(0);
      expect(listAt(await client.result(1), "value").length).toBeGreaterThan(0);
      expect(listAt(await client.result(2), "value", "page")).toEqual([{ name: "counters" }]);
      expect(at(await client.result(3), "value")).toBe(0);
    });
  });

  it.each([
    ["unknown, with a key", "nope", true],
    ["without a key", "widget", false],
  ])("6.1 a componentPath that is %s ends the connection: 1011", async (_label, componentPath, withKey) => {
    await open(async (client) => {
      client.connect();
      if (withKey) client.authenticate(backend.key);
      client.add([{ path: "counters:all", componentPath }]);
      expect(await client.whenClosed()).toEqual({ code: 1011, reason: "InternalServerError" });
    });
  });

  it("6.1 a mutation in a component needs a key", async () => {
    await open(async (client) => {
      client.connect().authenticate(backend.key);
      client.send({
        type: "Mutation",
        requestId: 7,
        udfPath: "counters:bump",
        args: [{ name: "ws" }],
        componentPath: "widget",
      });
      expect(await client.frame("an answer", (frame) => frame["requestId"] === 7)).toMatchObject({ success: true });
    });
  });
});

describe("wrong messages", () => {
  const fatal: [string, unknown, string][] = [
    ["not JSON", "hello", "Received Invalid JSON on websocket: expected value at line 1 column 1"],
    [
      "an unknown type",
      { type: "Nope" },
      "Received Invalid JSON on websocket: unknown variant `Nope`, expected one of `Connect`, `ModifyQuerySet`, `Mutation`, `Action`, `Authenticate`, `Event`",
    ],
    [
      "a wrong base version of the query set",
      {
        type: "ModifyQuerySet",
        baseVersion: 5,
        newVersion: 6,
        modifications: [{ type: "Add", queryId: 0, udfPath: "messages:list", args: [{}] }],
      },
      "Base version 5 passed up doesn't match the current version 0",
    ],
    [
      "a bad function path",
      {
        type: "ModifyQuerySet",
        baseVersion: 0,
        newVersion: 1,
        modifications: [{ type: "Add", queryId: 0, udfPath: "a b:c", args: [{}] }],
      },
      "Received Invalid JSON on websocket: Path component a b.js can only contain alphanumeric characters, underscores, or periods.",
    ],
  ];
  it.each(fatal)("6.1 %s: FatalError, close 1005", async (_label, message, error) => {
    await open(async (client) => {
      client.connect();
      client.send(message);
      expect((await client.whenClosed()).code).toBe(1005);
      closedWith(client.frames[0], error);
    });
  });

  it("6.1 a wrong base version of Authenticate: no message, close 1011", async () => {
    await open(async (client) => {
      client.connect().authenticate(backend.key, "Admin", 3);
      expect(await client.whenClosed()).toEqual({ code: 1011, reason: "InternalServerError" });
      expect(client.frames).toEqual([]);
    });
  });
});

describe("upgrade", () => {
  const refused = (path: string) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const socket = new WebSocket(`${backend.url.replace("http", "ws")}${path}`);
      socket.on("open", () => reject(new Error("opened")));
      socket.on("error", () => undefined);
      socket.on("unexpected-response", (_request, response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += String(chunk);
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      });
    });

  it("6.1 the version in the path is checked before the upgrade", async () => {
    const old = await refused("/api/0.19.0/sync");
    expect(old.status).toBe(400);
    expect(JSON.parse(old.body)).toEqual({
      code: "ClientVersionUnsupported",
      message:
        "The Convex npm package at version 0.19.0 is no longer supported. Update your Convex npm version with `npx convex update` or `npm update`.",
    });
    const odd = await refused("/api/foo/sync");
    expect(odd.status).toBe(400);
    expect(JSON.parse(odd.body)).toEqual({
      code: "InvalidClientVersion",
      message: "Failed to parse client version: unexpected character 'f' while parsing major version number",
    });
  });

  it("6.1 a plain GET is 400", async () => {
    expect(await send(backend.url, "/api/1.48.0/sync")).toMatchObject({
      status: 400,
      json: { code: "InvalidConnectionHeader", message: "Connection header did not include upgrade" },
    });
  });
});
