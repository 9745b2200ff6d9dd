import { describe, expect, it } from "vitest";
import { parseSmoke, runSmoke } from "../../../src/deploy/smoke.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { clientFor, FakeBackend } from "../deployment/support.ts";

describe("lines of smoke", () => {
  it("are URLs and functions, with or without what they have to answer", () => {
    expect(
      parseSmoke([
        'https://a.example/health?token=secret => {"ok": true}',
        "rooms:count",
        'rooms:get {"x": "=>"} => null',
        'rooms:find {"x": "} => \\" {", "y": [{}]}',
        'rooms:find {"x": " => "}=> "y => z"',
      ]),
    ).toEqual([
      {
        name: "https://a.example/health",
        target: { url: "https://a.example/health?token=secret" },
        expected: { ok: true },
      },
      { name: "rooms:count", target: { call: { path: "rooms:count", args: {} } } },
      { name: "rooms:get", target: { call: { path: "rooms:get", args: { x: "=>" } } }, expected: null },
      { name: "rooms:find", target: { call: { path: "rooms:find", args: { x: '} => " {', y: [{}] } } } },
      { name: "rooms:find", target: { call: { path: "rooms:find", args: { x: " => " } } }, expected: "y => z" },
    ]);
  });
  it.each([
    "what is this",
    "https://",
    "https://a.example/ b => 1",
    "a:b => no json",
    "a:b =>",
    "a:b {",
    'a:b {"x": 1} y => 1',
    'a:b "{" => 1',
    "=> 1",
    "",
  ])("%s is none", (line) => {
    expect(() => parseSmoke([line])).toThrow(ActionError);
  });
});

describe("smoke checks", () => {
  it("pass, or are all named with what they answer", async () => {
    await using backend = await new FakeBackend((seen) => {
      if (seen.url === "/good") return { json: { b: 2, a: [1] } };
      if (seen.url === "/bad") return { status: 503, text: "no" };
      if (seen.url === "/text") return { text: "no json" };
      const { path } = seen.json() as { path: string };
      return path === "a:throws"
        ? {
            json: {
              status: "error",
              errorMessage: "[Request ID: 0123456789abcdef] Server Error\nUncaught Error: boom\n    at x",
            },
          }
        : { json: { status: "success", value: 3, logLines: [] } };
    }).listen();
    const run = (...lines: string[]) =>
      runSmoke(parseSmoke(lines), { http: systemHttp, client: clientFor(backend.url), showDocuments: true });
    const { url } = backend;
    expect(await run(`${url}/good => {"a": [1], "b": 2}`, `${url}/text`, "a:three => 3", "a:three {}")).toEqual([
      `${url}/good`,
      `${url}/text`,
      "a:three",
      "a:three",
    ]);
    const error: unknown = await run(
      `${url}/good => {"a": [2]}`,
      `${url}/bad`,
      `${url}/text => 1`,
      "a:three => 4",
      "a:throws",
      "http://127.0.0.1:1/",
    ).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ActionError);
    const { code, message } = error as ActionError;
    expect(code).toBe("smoke-failed");
    expect(message).toContain("6 of 6 smoke checks failed");
    for (const part of [
      '/good answers {"b":2,"a":[1]} instead of {"a":[2]}',
      "/bad answers 503",
      "/text answers something that is no JSON",
      "a:three answers 3 instead of 4",
      "a:throws fails: Uncaught Error: boom",
      "ECONNREFUSED",
    ])
      expect(message).toContain(part);
  });
  it("show no answers of functions unless that is asked for", async () => {
    await using backend = await new FakeBackend(() => ({
      json: { status: "success", value: "private", logLines: [] },
    })).listen();
    const options = { http: systemHttp, client: clientFor(backend.url), showDocuments: false };
    await expect(runSmoke(parseSmoke(["a:b => 1"]), options)).rejects.toThrow("answers another value instead of 1");
  });
});
