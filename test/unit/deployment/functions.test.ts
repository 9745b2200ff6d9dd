import { describe, expect, it } from "vitest";
import { parseCalls, runCalls } from "../../../src/deployment/functions.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { type Answer, clientFor, collectLog, FakeBackend, fakeDeps, type Seen } from "./support.ts";

async function thrown(work: () => unknown): Promise<ActionError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(ActionError);
    return error as ActionError;
  }
  return expect.unreachable();
}

describe("the input run", () => {
  it("holds one function a line", () => {
    expect(parseCalls('seed:basic {"rooms": 3}\n\n# comment\r\n  admin/tools:reset\ndefaults {}\n')).toEqual([
      { path: "seed:basic", args: { rooms: 3 } },
      { path: "admin/tools:reset", args: {} },
      { path: "defaults", args: {} },
    ]);
  });

  it.each([
    ['seed:basic {"hush": }', "line 1 (seed:basic) has arguments that are no JSON"],
    ["seed:basic [1]", "line 1 (seed:basic) has arguments that are no JSON object"],
    ["seed:basic null", "no JSON object"],
    ['\n{"hush": 1}', "line 2 does not begin with a function's path"],
    ["se-ed:basic", "does not begin with a function's path"],
    ["seed:basic; rm", "does not begin with a function's path"],
  ])("is refused for %j", async (text, message) => {
    const error = await thrown(() => parseCalls(text));
    expect(error.code).toBe("run-line-invalid");
    expect(error.message).toContain(message);
    expect(error.text).not.toContain("hush");
  });
});

describe("running", () => {
  const serve = (answer: (seen: Seen) => Answer): Promise<FakeBackend> => new FakeBackend(answer).listen();
  const failing = (errorMessage: string): ((seen: Seen) => Answer) => {
    return ({ url }) =>
      url === "/api/query"
        ? {
            json: {
              status: "success",
              value: [
                { identifier: "seed.js:basic", functionType: "Mutation" },
                { functionType: "HttpAction", path: "/x" },
              ],
            },
          }
        : { json: { status: "error", errorMessage: `[Request ID: 0123456789abcdef] Server Error\n${errorMessage}\n` } };
  };

  it("goes in order, prints log lines and results as foreign text", async () => {
    await using backend = await serve(() => ({
      json: { status: "success", value: { n: "5" }, logLines: ["[LOG] 'a\nb'"] },
    }));
    const lines = collectLog();
    const done = await runCalls(clientFor(backend.url), fakeDeps({ log: lines.log }), parseCalls('a:b {"x": 1}\nc:d'));
    expect(done.map(({ path }) => path)).toEqual(["a:b", "c:d"]);
    expect(backend.seen.map((seen) => [seen.url, seen.json()])).toEqual([
      ["/api/function", { path: "a:b", args: { x: 1 }, format: "json" }],
      ["/api/function", { path: "c:d", args: {}, format: "json" }],
    ]);
    expect(lines.all.slice(0, 4)).toEqual([
      "foreign: [LOG] 'a",
      "foreign: b'",
      "info: Ran a:b in 0.0 s.",
      'foreign: It returned {"n":"5"}',
    ]);
  });

  it("ends with the first failure, without its request id", async () => {
    await using backend = await serve(failing("Uncaught Error: boom\n    at handler (../convex/seed.ts:3:5)"));
    const error = await thrown(() => runCalls(clientFor(backend.url), fakeDeps(), parseCalls("a:b\nc:d")));
    expect(error.code).toBe("run-failed");
    expect(error.message).toBe("a:b failed: Uncaught Error: boom\n    at handler (../convex/seed.ts:3:5)");
    expect(backend.seen).toHaveLength(1);
  });

  it("names the functions there are when one is not", async () => {
    await using backend = await serve(
      failing("Could not find function for 'a:b'. Did you forget to run `npx convex dev`?"),
    );
    expect((await thrown(() => runCalls(clientFor(backend.url), fakeDeps(), parseCalls("a:b")))).hint).toBe(
      "Name one of: seed:basic.",
    );
  });

  it("does not show documents unless asked", async () => {
    const text =
      "Uncaught Error: Failed to insert\n\nObject: {hush: 1}\nValidator: v.object({})\n    at x (../convex/a.ts:1:1)";
    await using backend = await serve(failing(text));
    const calls = parseCalls("a:b");
    const hidden = await thrown(() => runCalls(clientFor(backend.url), fakeDeps(), calls));
    expect(hidden.message).not.toContain("hush");
    expect(hidden.message).toContain("Validator: v.object({})\n    at x");
    const shown = await thrown(() => runCalls(clientFor(backend.url), fakeDeps(), calls, { showDocuments: true }));
    expect(shown.message).toContain("hush");
  });

  it("says why there is no reason", async () => {
    await using backend = await serve(failing(""));
    const error = await thrown(() => runCalls(clientFor(backend.url), fakeDeps(), parseCalls("a:b")));
    expect(error.message).toBe("a:b failed: the backend gives no reason");
    expect(error.hint).toContain("--redact-logs-to-client");
  });
});
