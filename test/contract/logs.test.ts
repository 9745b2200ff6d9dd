import { describe, expect, it } from "vitest";
import { useBackend } from "./support/backend.ts";
import { at, listAt } from "./support/http.ts";
import { push } from "./support/push.ts";

const noisy = `import { action, httpAction } from "./_generated/server";
import { api } from "./_generated/api";
export const twice = action({ args: {}, handler: async (ctx) => { console.log("one"); await ctx.runQuery(api.messages.list as any, {}); console.log("two"); } });\n`;
const backend = useBackend((target) => push(target, { files: { "noisy.ts": noisy } }));
const stream = (cursor: string | number, key?: string | null) =>
  backend.get(`/api/stream_function_logs?cursor=${cursor}`, key);

/** The cursor after everything so far. */
async function now(): Promise<number> {
  await backend.call("query", "messages:undef");
  return Number(at((await stream(0)).json, "newCursor"));
}

describe("stream_function_logs", () => {
  it("6.2 entries have their keys in order", async () => {
    const cursor = await now();
    await backend.call("query", "messages:logs");
    const answer = await stream(cursor);
    const [entry] = listAt(answer.json, "entries");
    expect(Object.keys(entry as object)).toEqual([
      ...["kind", "udfType", "componentPath", "identifier", "logLines", "timestamp", "cachedResult", "caller"],
      ...["parentExecutionId", "executionTime", "success", "error", "requestId", "executionId", "usageStats"],
      ...["returnBytes", "occInfo", "executionTimestamp", "identityType", "environment"],
    ]);
    expect(entry).toMatchObject({
      kind: "Completion",
      udfType: "Query",
      componentPath: null,
      identifier: "messages:logs",
      caller: "HttpApi",
      success: null,
      error: null,
      identityType: "instance_admin",
      environment: "isolate",
    });
    expect(listAt(entry, "logLines")[1]).toBe("[DEBUG] 'dbg'");
    expect(Number(at(entry, "timestamp"))).toBeGreaterThan(1.7e9);
    expect(Number(at(answer.json, "newCursor"))).toBeGreaterThan(1.7e12);
  });

  it("6.2 an error entry has the text without its first line, and the id of the answer", async () => {
    const cursor = await now();
    const answer = await backend.call("query", "messages:boom");
    const entry = listAt((await stream(cursor)).json, "entries")[0];
    expect(at(entry, "error")).toMatch(/^Uncaught Error: boom\n {4}at handler/);
    expect(String(at(answer.json, "errorMessage"))).toContain(`[Request ID: ${at(entry, "requestId")}]`);
  });

  it("6.2 for CLI clients log lines are objects", async () => {
    const cursor = await now();
    await backend.call("query", "messages:logs");
    const answer = await backend.send(`/api/stream_function_logs?cursor=${cursor}`, {
      headers: { "convex-client": "npm-cli-1.48.0" },
    });
    const line = listAt(at(listAt(answer.json, "entries")[0], "logLines"))[0];
    expect(line).toMatchObject({
      messages: ["'hello'", "1", "{\n  a: [ 1, 2n, null ]\n}"],
      isTruncated: false,
      timestamp: expect.any(Number),
      level: "LOG",
    });
  });

  it("6.2 actions send Progress entries while they run; their Completion has no lines", async () => {
    const cursor = await now();
    await backend.call("action", "noisy:twice");
    const entries = listAt((await stream(cursor)).json, "entries");
    const own = entries.filter((entry) => at(entry, "identifier") === "noisy:twice");
    expect(
      own.filter((entry) => at(entry, "kind") === "Progress").flatMap((entry) => listAt(entry, "logLines")),
    ).toEqual(["[LOG] 'one'", "[LOG] 'two'"]);
    expect(own.at(-1)).toMatchObject({ kind: "Completion", logLines: [] });
    const inner = entries.find((entry) => at(entry, "identifier") === "messages:list");
    expect(inner).toMatchObject({ caller: "Action", parentExecutionId: at(own.at(-1), "executionId") });
  });

  it("6.2 the long poll is answered when the next function has run", async () => {
    const cursor = await now();
    let answered = false;
    const poll = stream(cursor).finally(() => {
      answered = true;
    });
    await backend.get("/version");
    expect(answered).toBe(false);
    await backend.call("query", "messages:undef");
    expect(listAt((await poll).json, "entries").map((entry) => at(entry, "identifier"))).toContain("messages:undef");
  });

  it("6.2 HTTP actions appear with method and path", async () => {
    const cursor = await now();
    await backend.site("/boom");
    const entries = listAt((await stream(cursor)).json, "entries");
    expect(entries.at(-1)).toMatchObject({
      udfType: "HttpAction",
      identifier: "GET /boom",
      kind: "Completion",
      caller: "HttpEndpoint",
    });
  });

  it("6.2 a missing or bad cursor is 400", async () => {
    const message = async (path: string) => at((await backend.get(path)).json, "message");
    expect(await message("/api/stream_function_logs")).toBe(
      "Failed to deserialize query string: missing field `cursor`",
    );
    expect(await message("/api/stream_function_logs?cursor=x")).toBe(
      "Failed to deserialize query string: cursor: invalid float literal",
    );
  });

  it("3.3 system and read-only keys read it, nobody else", async () => {
    await now();
    for (const key of [backend.systemKey, backend.readOnlyKey]) expect((await stream(0, key)).status).toBe(200);
    expect(await stream(0, null)).toMatchObject({
      status: 403,
      json: { code: "Unauthorized", message: "Operation stream_function_logs not permitted" },
    });
  });
});
