import { beforeEach, describe, expect, it } from "vitest";
import { functionError, useBackend } from "./support/backend.ts";
import { probe } from "./support/features.ts";
import { at, jsonHeaders, listAt } from "./support/http.ts";
import { push } from "./support/push.ts";

const backend = useBackend((target) => push(target));
beforeEach(() => backend.clearEnv());

type Change = { name: string; value?: string | null };
const update = (changes: readonly Change[]) => backend.post("/api/update_environment_variables", { changes });
const invalidName = (name: string) => ({
  code: "EnvironmentVariableNameInvalid",
  message: `The environment variable name ${name} is invalid. Environment variable names must begin with a letter and may only include characters a-z, A-Z, 0-9, and underscores.`,
});

describe("update", () => {
  it("4.1 sets, changes and deletes in one request; 200 with an empty body and no content type", async () => {
    await update([
      { name: "A", value: "x" },
      { name: "B", value: "y" },
    ]);
    const answer = await update([
      { name: "A", value: "x2" },
      { name: "B", value: null },
      { name: "C", value: "z" },
    ]);
    expect(answer).toMatchObject({ status: 200, text: "" });
    expect(answer.headers["content-length"]).toBe("0");
    expect(answer.headers["content-type"]).toBeUndefined();
    expect(await backend.env()).toEqual({ A: "x2", C: "z" });
  });

  it("4.1 both paths do the same", async () => {
    const body = { changes: [{ name: "A", value: "1" }] };
    expect((await backend.post("/api/v1/update_environment_variables", body)).status).toBe(200);
    expect(await backend.env()).toEqual({ A: "1" });
  });

  it("4.1 an absent value deletes, an unknown name is no error, an empty list is fine", async () => {
    await update([{ name: "A", value: "x" }]);
    for (const changes of [[{ name: "A" }], [{ name: "NOPE", value: null }], []])
      expect((await update(changes)).status).toBe(200);
    expect(await backend.env()).toEqual({});
  });

  it("4.1 deletes are applied before sets whatever the order", async () => {
    await update([{ name: "OLD", value: "old" }]);
    await update([
      { name: "NEW", value: "v" },
      { name: "NEW", value: null },
    ]);
    await update([
      { name: "OLD", value: null },
      { name: "OLD", value: "back" },
    ]);
    expect(await backend.env()).toEqual({ NEW: "v", OLD: "back" });
  });

  it.each([
    ["b", "a", "b"],
    ["a", "b", "b"],
    ["10", "9", "9"],
    ["9", "10", "9"],
    ["", "a", "a"],
  ])("4.1 the greater value of a name set twice wins: %j then %j gives %j", async (first, second, expected) => {
    await update([
      { name: "T", value: first },
      { name: "T", value: second },
    ]);
    expect(await backend.env()).toEqual({ T: expected });
  });

  it("4.1 values are kept byte for byte: empty, line ends, quotes, NUL, any UTF-8", async () => {
    const values = {
      EMPTY: "",
      ODD: 'line1\nline2\r\n"q" \\ é😀\u0000 end',
      SPACE: "  both sides \t\n",
      DOLLAR: ["$A $", "{B} `c`"].join(""),
      BOM: "\ufeffx",
      SEPARATOR: "\u2028\u2029",
    };
    await update(Object.entries(values).map(([name, value]) => ({ name, value })));
    expect(await backend.env()).toEqual(values);
    expect(await backend.value("query", "messages:env", { name: "ODD" })).toBe(values.ODD);
  });

  it("4.1 all or nothing", async () => {
    await update([{ name: "KEEP", value: "1" }]);
    const answer = await update([
      { name: "GOOD", value: "1" },
      { name: "KEEP", value: null },
      { name: "1BAD", value: "1" },
    ]);
    expect(answer).toMatchObject({ status: 400, json: invalidName("1BAD") });
    expect(await backend.env()).toEqual({ KEEP: "1" });
  });

  it("4.1 unknown fields are ignored", async () => {
    const answer = await backend.post("/api/update_environment_variables", {
      changes: [{ name: "X", value: "v", foo: 1 }],
    });
    expect(answer.status).toBe(200);
  });
});

describe("names", () => {
  it.each(["1A", "A-B", "A B", "A.B", "", "é", "A=B", "A\n", " A", "A\u0000"])("4.1 refused: %j", async (name) => {
    expect(await update([{ name, value: "v" }])).toMatchObject({ status: 400, json: invalidName(name) });
  });

  it.each([
    "_",
    "_A1",
    "a",
    "CONVEX_DEPLOYMENT",
    "CONVEX_SELF_HOSTED_URL",
    "PATH",
    "NODE_ENV",
    "TZ",
    "__proto__",
    "constructor",
  ])("4.1 accepted: %s", async (name) => {
    expect((await update([{ name, value: "v" }])).status).toBe(200);
    expect(Object.entries(await backend.env())).toEqual([[name, "v"]]);
  });

  it.each(["CONVEX_CLOUD_URL", "CONVEX_SITE_URL"])("4.1 %s cannot be set; deleting it does nothing", async (name) => {
    const message = `Environment variable with name "${name}" is built-in and cannot be overridden`;
    expect(await update([{ name, value: "v" }])).toMatchObject({
      status: 400,
      json: { code: "EnvVarNameForbidden", message },
    });
    expect((await update([{ name, value: null }])).status).toBe(200);
  });

  it("4.1 the pattern holds for deletes too", async () => {
    expect(await update([{ name: "1A", value: null }])).toMatchObject({ status: 400, json: invalidName("1A") });
  });

  it("4.1 length: 40 until 2026-05-05, then 256 bytes", async () => {
    const { longEnvNames } = await probe(backend);
    const [limit, most] = longEnvNames ? [256, 256] : [40, 40];
    expect((await update([{ name: "N".repeat(most), value: "v" }])).status).toBe(200);
    const name = "N".repeat(limit + 1);
    const answer = await update([{ name, value: "v" }]);
    expect(answer).toMatchObject({ status: 400, json: { code: "EnvironmentVariableNameTooLong" } });
    if (!longEnvNames) {
      expect(at(answer.json, "message")).toBe(
        `The environment variable name ${name} is too long. Environment variable names must be less than 40.`,
      );
    }
    expect((await update([{ name, value: null }])).status).toBe(400);
  });
});

describe("values", () => {
  it("4.1 8192 bytes of UTF-8, not characters", async () => {
    expect((await update([{ name: "V", value: "x".repeat(8192) }])).status).toBe(200);
    expect((await update([{ name: "W", value: "é".repeat(4096) }])).status).toBe(200);
    for (const [value, bytes] of [
      ["x".repeat(8193), 8193],
      ["é".repeat(4097), 8194],
    ] as const) {
      const message = `The environment variable value is ${bytes} bytes, which is too large. (max size: 8192`;
      const answer = await update([{ name: "L", value }]);
      expect(answer).toMatchObject({ status: 400, json: { code: "EnvironmentVariableValueTooLarge" } });
      expect(at(answer.json, "message")).toContain(message);
    }
  });

  it.each([
    [
      "a number",
      '{"changes":[{"name":"X","value":5}]}',
      "changes[0].value: invalid type: integer `5`, expected a string at line 1 column 33",
    ],
    ["no name", '{"changes":[{"value":"x"}]}', "changes[0]: missing field `name` at line 1 column 25"],
    ["no changes", "{}", "missing field `changes` at line 1 column 2"],
    ["changes null", '{"changes":null}', "changes: invalid type: null, expected a sequence at line 1 column 15"],
    ["a list", "[]", "invalid length 0, expected struct UpdateEnvVarsRequest with 1 element at line 1 column 2"],
  ])("4.1 %s is 400 BadJsonBody", async (_label, body, message) => {
    const answer = await backend.send("/api/update_environment_variables", {
      method: "POST",
      body,
      headers: jsonHeaders,
    });
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "BadJsonBody", message: `Failed to deserialize the JSON body into the target type: ${message}` },
    });
  });
});

describe("order of checks and count", () => {
  it("4.1 the first defect in the list is reported, name before value", async () => {
    const long = "x".repeat(8193);
    const first = await update([
      { name: "A", value: long },
      { name: "1B", value: "v" },
    ]);
    expect(at(first.json, "code")).toBe("EnvironmentVariableValueTooLarge");
    const second = await update([
      { name: "1B", value: long },
      { name: "A", value: long },
    ]);
    expect(at(second.json, "code")).toBe("EnvironmentVariableNameInvalid");
  });

  it("4.1 names and sizes before reserved names", async () => {
    const answer = await update([
      { name: "CONVEX_CLOUD_URL", value: "v" },
      { name: "1B", value: "v" },
    ]);
    expect(at(answer.json, "code")).toBe("EnvironmentVariableNameInvalid");
  });

  it("4.1 the count is judged after the whole update (1000 at M14, 512 since 2026-06)", async () => {
    const limit = (await probe(backend)).longEnvNames ? 512 : 1000;
    const names = Array.from({ length: limit }, (_, n) => ({ name: `K${n}`, value: "v" }));
    expect((await update(names)).status).toBe(200);
    const more = await update([{ name: "MORE", value: "v" }]);
    expect(more).toMatchObject({ status: 400, json: { code: "EnvVarLimitMet" } });
    expect(at(more.json, "message")).toContain(`(${limit})`);
    expect((await update([{ name: "K0", value: "w" }])).status).toBe(200);
    expect(
      (
        await update([
          { name: "K0", value: null },
          { name: "SWAP", value: "v" },
        ])
      ).status,
    ).toBe(200);
    const swap = await update([
      { name: "K1", value: null },
      { name: "P1", value: "v" },
      { name: "P2", value: "v" },
    ]);
    expect(at(swap.json, "code")).toBe("EnvVarLimitMet");
    expect(Object.keys(await backend.env())).toHaveLength(limit);
    const documents = await backend.value("query", "_system/cli/queryEnvironmentVariables");
    expect(listAt(documents)).toHaveLength(limit);
  });
});

describe("list", () => {
  it("4.2 names in byte order, {} when none, at both paths", async () => {
    for (const path of ["/api/v1/list_environment_variables", "/api/list_environment_variables"]) {
      expect((await backend.get(path)).text).toBe('{"environmentVariables":{}}');
    }
    await update([
      { name: "b", value: "2" },
      { name: "A", value: "1" },
      { name: "_", value: "3" },
      { name: "B10", value: "4" },
      { name: "B9", value: "5" },
    ]);
    const { text } = await backend.get("/api/v1/list_environment_variables");
    expect(text).toBe('{"environmentVariables":{"A":"1","B10":"4","B9":"5","_":"3","b":"2"}}');
  });

  it("4.2 the system query returns documents in order of name", async () => {
    await update([
      { name: "B", value: "2" },
      { name: "A", value: "1" },
    ]);
    const documents = listAt(await backend.value("query", "_system/cli/queryEnvironmentVariables"));
    expect(documents).toEqual([
      {
        _id: expect.stringMatching(/^[0-9a-hjkmnp-tv-z]{31,34}$/),
        _creationTime: expect.any(Number),
        name: "A",
        value: "1",
      },
      { _id: expect.any(String), _creationTime: expect.any(Number), name: "B", value: "2" },
    ]);
  });

  it("4.1 a set makes a new document, also with the same value", async () => {
    const id = async () => at(await backend.value("query", "_system/cli/queryEnvironmentVariables"), 0, "_id");
    await update([{ name: "A", value: "1" }]);
    const before = await id();
    await update([{ name: "A", value: "1" }]);
    expect(await id()).not.toBe(before);
  });

  it("4.2 :get gives name and value, null when missing, and knows the built-in names", async () => {
    await update([{ name: "A", value: "1" }]);
    const get = (name: string) => backend.value("query", "_system/cli/queryEnvironmentVariables:get", { name });
    expect(await get("A")).toEqual({ name: "A", value: "1" });
    expect(await get("NOPE")).toBeNull();
    const urls = (await backend.get("/api/v1/get_canonical_urls")).json;
    expect(await get("CONVEX_SITE_URL")).toEqual({ name: "CONVEX_SITE_URL", value: at(urls, "convexSiteUrl") });
    expect(await get("CONVEX_CLOUD_URL")).toEqual({ name: "CONVEX_CLOUD_URL", value: at(urls, "convexCloudUrl") });
  });

  it("4.1 functions see a change at once", async () => {
    const env = () => backend.value("query", "messages:env", { name: "SEEN" });
    expect(await env()).toBeNull();
    await update([{ name: "SEEN", value: "1" }]);
    expect(await env()).toBe("1");
    await update([{ name: "SEEN", value: null }]);
    expect(await env()).toBeNull();
  });

  it("4.2 anonymous callers do not reach the system query", async () => {
    const answer = await backend.post("/api/query", { path: "_system/cli/queryEnvironmentVariables", args: {} }, null);
    expect(functionError(answer)).toBe("Operation query not permitted\n");
  });
});
