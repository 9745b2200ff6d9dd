import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type App, createApp, twoWidgets } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { convex, startConvex } from "./support/cli.ts";
import { listAt } from "./support/http.ts";
import { until } from "./support/process.ts";
import { push } from "./support/push.ts";

const backend = useBackend((target) => push(target, { files: twoWidgets }));
let app: App;
beforeAll(() => {
  app = createApp({ files: twoWidgets });
});
afterAll(() => app.remove());

const cli = (args: readonly string[], key?: string) =>
  convex(backend, args, { cwd: app.dir, ...(key === undefined ? {} : { key }) });

describe("convex run", () => {
  it("6.2 a mutation prints its value, a query its documents", async () => {
    await backend.seed("messages", []);
    const sent = await cli(["run", "messages:send", "{author:'a',body:'b'}"]);
    expect(sent).toMatchObject({ code: 0, stderr: "" });
    expect(sent.stdout).toMatch(/^"[0-9a-z]{32}"\n$/);
    const list = await cli(["run", "convex/messages.ts:list"]);
    expect(JSON.parse(list.stdout)).toEqual([
      { _id: JSON.parse(sent.stdout), _creationTime: expect.any(Number), author: "a", body: "b" },
    ]);
  });

  it("6.2 internal functions, nothing for null, $integer and $bytes", async () => {
    expect(await cli(["run", "messages:hidden"])).toEqual({ code: 0, stdout: '"internal"\n', stderr: "" });
    expect(await cli(["run", "messages:undef"])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(JSON.parse((await cli(["run", "messages:types"])).stdout)).toMatchObject({
      big: { $integer: "/////////38=" },
      bytes: { $bytes: "AAH+/w==" },
      one: 1,
    });
  });

  it("6.2 log lines on stderr, before the failure of an exception", async () => {
    const logs = await cli(["run", "messages:logs"]);
    expect(logs.code).toBe(0);
    expect(logs.stderr).toContain("[CONVEX ?(messages:logs)] [LOG] 'hello' 1 {\n  a: [ 1, 2n, null ]\n}\n");
    const boom = await cli(["run", "messages:boom"]);
    expect(boom.code).toBe(1);
    expect(boom.stderr).toMatch(
      /^\[CONVEX \?\(messages:boom\)\] \[LOG\] 'before'\n✖ Failed to run function "messages:boom":\nError: \[Request ID: [0-9a-f]{16}\] Server Error\nUncaught Error: boom\n {4}at handler \(\.\.\/convex\/messages\.ts:/,
    );
  });

  it("6.2 an unknown function lists the available ones", async () => {
    const { code, stderr } = await cli(["run", "messages:nope"]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      "Could not find function for 'messages:nope'. Did you forget to run `npx convex dev` or `npx convex deploy`?",
    );
    expect(stderr).toContain("Available functions:\n• files:keep\n• files:meta");
  });

  it("6.2 --identity acts as a user", async () => {
    const { stdout } = await cli([
      "run",
      "messages:who",
      "--identity",
      '{"name":"John","subject":"s1","issuer":"https://i.example"}',
    ]);
    expect(JSON.parse(stdout)).toEqual({
      issuer: "https://i.example",
      name: "John",
      subject: "s1",
      tokenIdentifier: "https://i.example|s1",
    });
  });

  it("6.2 --component runs in a component", async () => {
    await backend.value("mutation", "useWidget:bump", { name: "cli" });
    const { code, stdout } = await cli(["run", "--component", "widget", "counters:all"]);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { name: string }[]).map((each) => each.name)).toContain("cli");
  });

  it("6.2 --inline-query", async () => {
    await backend.seed("messages", [{ author: "i", body: "q" }]);
    const { code, stdout } = await cli(["run", "--inline-query", 'await ctx.db.query("messages").take(1)']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ author: "i", body: "q" }]);
  });

  it("6.2 a bad key: the JSON of the 401, exit 1", async () => {
    const { code, stderr } = await cli(["run", "messages:list"], backend.badKey);
    expect(code).toBe(1);
    expect(stderr).toContain("BadAdminKey");
  });
});

describe("convex data", () => {
  it("6.2 tables, sorted, one a line", async () => {
    const { code, stdout } = await cli(["data"]);
    expect({ code, tables: stdout.trimEnd().split("\n") }).toEqual({
      code: 0,
      tables: ["files", "messages", "nothing", "refs", "values"],
    });
  });

  it("6.2 documents of a table, newest first, and the empty table", async () => {
    await backend.seed("messages", [
      { author: "first", body: "1" },
      { author: "second", body: "2" },
    ]);
    const { code, stdout } = await cli(["data", "messages", "--limit", "1", "--format", "jsonl"]);
    expect(code).toBe(0);
    expect(stdout).toContain("second");
    expect(stdout).not.toContain("first");
    const empty = await cli(["data", "nothing"]);
    expect(empty).toEqual({ code: 0, stdout: "", stderr: "There are no documents in this table.\n" });
  });
});

describe("convex function-spec", () => {
  it("6.2 url and functions on stdout", async () => {
    const { code, stdout } = await cli(["function-spec"]);
    expect(code).toBe(0);
    const spec = JSON.parse(stdout) as unknown;
    expect(spec).toMatchObject({ url: expect.stringMatching(/^http/) });
    expect(listAt(spec, "functions")).toContainEqual({ functionType: "HttpAction", method: "GET", path: "/hello" });
    expect(stdout).toContain('"identifier": "messages.js:send"');
  });
});

describe("convex logs", () => {
  it("6.2 prints what comes after its start, until it is stopped", async () => {
    const child = startConvex(backend, ["logs"], { cwd: app.dir });
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    try {
      await until("the first line of logs", async () => stderr.includes("Watching logs"));
      await until("a log line", async () => {
        await backend.call("query", "messages:logs");
        return /\[CONVEX Q\(messages:logs\)\] \[LOG\] 'hello'/.test(stdout);
      });
      await backend.site("/boom");
      await until("the failure of an HTTP action", async () =>
        stdout.includes("[CONVEX H(GET /boom)] Uncaught Error: boom"),
      );
    } finally {
      child.kill("SIGKILL");
    }
  });
});
