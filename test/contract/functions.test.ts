import { describe, expect, it } from "vitest";
import { twoWidgets } from "./support/app.ts";
import { functionError, ownsProcess, useBackend, withProcess } from "./support/backend.ts";
import { type Answer, at, jsonHeaders, listAt } from "./support/http.ts";
import { until } from "./support/process.ts";
import { push } from "./support/push.ts";

const more = `import { action, query } from "./_generated/server";
export default query({ args: {}, handler: () => "default" });
export const noisy = action({ args: {}, handler: async () => { console.log("one"); await new Promise((r) => setTimeout(r, 20)); console.log("two"); } });\n`;
const backend = useBackend((target) => push(target, { files: { ...twoWidgets, "more.ts": more } }));
const query = (body: unknown, key: string | null = null): Promise<Answer> => backend.post("/api/query", body, key);
const notFound = (path: string, kind = "public function") =>
  `Could not find ${kind} for '${path}'. Did you forget to run \`npx convex dev\` or \`npx convex deploy\`?\n`;

describe("paths and arguments", () => {
  it("6.2 args as object or as an array of one object", async () => {
    for (const args of [{ x: 1 }, [{ x: 1 }]])
      expect((await query({ path: "messages:echo", args })).json).toMatchObject({ status: "success", value: 1 });
  });

  it.each([
    [
      "two arguments",
      [{}, {}],
      "Expected to receive a single object as the function's argument. Instead received 2 arguments: [{}, {}]",
    ],
    ["none", [], "Expected to receive a single object as the function's argument. Instead received 0 arguments: []"],
    ["null", null, "Expected to receive an object as the function's argument. Instead received: null"],
  ])("6.2 args with %s are an ArgumentValidationError", async (_label, args, text) => {
    expect(functionError(await query({ path: "messages:list", args }))).toBe(`ArgumentValidationError: ${text}\n\n`);
  });

  it("6.2 missing args are 400", async () => {
    const answer = await backend.send("/api/query", {
      method: "POST",
      body: '{"path":"messages:list"}',
      headers: jsonHeaders,
    });
    expect(answer).toMatchObject({ status: 400, json: { code: "BadJsonBody" } });
    expect(at(answer.json, "message")).toContain("missing field `args` at line 1 column 24");
  });

  it("6.2 messages.js:who and messages:who are the same", async () => {
    for (const path of ["messages:who", "messages.js:who"])
      expect((await query({ path, args: {} })).json).toMatchObject({ value: null });
  });

  it("6.2 a path without function means the default export", async () => {
    for (const path of ["more", "more:default"])
      expect((await query({ path, args: {} })).json).toMatchObject({ value: "default" });
    expect(functionError(await query({ path: "messages", args: {} }))).toBe(notFound("messages"));
  });

  it.each([
    ["messages.list", "Module path (messages.list) has an extension that isn't 'js'."],
    ["a b:c d", "Path component a b.js can only contain alphanumeric characters, underscores, or periods."],
    ["", "Module path  doesn't have a filename."],
  ])("6.2 the path %j is 400 BadConvexFunctionIdentifier", async (path, text) => {
    const message = `${path} is not a valid path to a Convex function. ${text}`;
    expect(await query({ path, args: {} })).toMatchObject({
      status: 400,
      json: { code: "BadConvexFunctionIdentifier", message },
    });
  });
});

describe("errors", () => {
  it.each(["nope:nothing", "messages:nothing", "messages:hidden"])(
    "6.2 without a key %s is not found",
    async (path) => {
      expect(functionError(await query({ path, args: {} }))).toBe(notFound(path));
    },
  );

  it("6.2 internal functions run with an admin key", async () => {
    expect((await query({ path: "messages:hidden", args: {} }, backend.key)).json).toMatchObject({ value: "internal" });
  });

  it.each([
    ["query", "messages:send", { author: "a", body: "b" }, "messages.js:send as Query, but it is defined as Mutation."],
    ["mutation", "messages:list", {}, "messages.js:list as Mutation, but it is defined as Query."],
    ["action", "messages:list", {}, "messages.js:list as Action, but it is defined as Query."],
  ] as const)("6.2 /api/%s refuses %s", async (kind, path, args, text) => {
    expect(functionError(await backend.call(kind, path, args))).toBe(`Trying to execute ${text}\n`);
  });

  it("6.2 a wrong argument names path, value and validator", async () => {
    const answer = await backend.call("mutation", "messages:send", { author: 1 });
    expect(functionError(answer)).toBe(
      "ArgumentValidationError: Value does not match validator.\nPath: .author\nValue: 1.0\nValidator: v.string()\n\n",
    );
  });

  it("6.2 a missing argument", async () => {
    const text = functionError(await backend.call("mutation", "messages:send", { author: "a" }));
    expect(text).toMatch(/^ArgumentValidationError: Object is missing the required field `body`\./);
  });

  it("6.2 an extra argument shows object and validator", async () => {
    const answer = await backend.call("mutation", "messages:send", { author: "a", body: "b", x: 1 });
    expect(functionError(answer)).toBe(
      'ArgumentValidationError: Object contains extra field `x` that is not in the validator.\n\nObject: {author: "a", body: "b", x: 1.0}\nValidator: v.object({author: v.string(), body: v.string()})\n\n',
    );
  });

  it("6.2 a field name with $ is refused before the function runs", async () => {
    const answer = await backend.call("query", "messages:echo", { x: { $foo: 1 } });
    expect(functionError(answer)).toBe(
      "Invalid arguments for messages.js:echo: Field name $foo starts with '$', which is reserved.\n",
    );
  });

  it("6.2 an exception has a stack through the source map, and its log lines", async () => {
    const answer = await backend.call("query", "messages:boom");
    expect(functionError(answer)).toMatch(
      /^Uncaught Error: boom\n {4}at handler \(\.\.\/convex\/messages\.ts:\d+:\d+\)\n$/,
    );
    expect(at(answer.json, "logLines")).toEqual(["[LOG] 'before'"]);
  });

  it.each([
    ["json", '"errorData":{"big":"5","code":"nope","n":1.0}'],
    ["convex_encoded_json", '"errorData":{"big":{"$integer":"BQAAAAAAAAA="},"code":"nope","n":1.0}'],
  ] as const)("6.2 a ConvexError carries its data in format %s", async (format, data) => {
    const answer = await backend.call("mutation", "messages:boomData", {}, format);
    expect(functionError(answer)).toMatch(
      /^Uncaught ConvexError: \{"code":"nope","n":1,"big":"5n"\}\n {4}at handler \(/,
    );
    expect(answer.text).toContain(data);
  });

  it("6.2 an exception inside a component", async () => {
    expect(functionError(await backend.call("mutation", "useWidget:boom"))).toMatch(
      /^Uncaught Error: Uncaught Error: in component\n {4}at handler \(\.\.\/convex\/widget\/counters\.ts:\d+:\d+\)\n\n {4}at async handler \(/,
    );
  });

  it("6.2 a query may take 1 s of its own time", async () => {
    const answer = await backend.call("query", "messages:spin");
    expect(functionError(answer)).toBe("Function execution timed out (maximum duration: 1s)\n");
  });

  it("6.2 the backend goes on after a query that hung", async () => {
    await backend.call("query", "messages:spin");
    expect(await backend.value("query", "messages:undef")).toBeNull();
  });
});

describe("system functions", () => {
  it.each([
    ["_system/cli/nope:x", `Couldn't find system module '"cli/nope.js"'.\n`],
    ["_system/cli/convexUrl:siteUrl", `Couldn't find "siteUrl" in module "_system/cli/convexUrl.js".\n`],
  ])("6.2 %s", async (path, text) => {
    expect(functionError(await query({ path, args: {} }, backend.key))).toBe(text);
  });

  it("6.2 they are not permitted without admin rights", async () => {
    expect(functionError(await query({ path: "_system/cli/exports:getLatest", args: {} }))).toBe(
      "Operation query not permitted\n",
    );
  });

  it("6.2 module and module:default both work", async () => {
    for (const path of ["_system/cli/tableSize", "_system/cli/tableSize:default"]) {
      const answer = await backend.call("query", path, { tableName: "nope" });
      expect(answer.text).toContain('"value":0.0');
    }
  });

  it("6.2 /api/function and /api/run do not run them", async () => {
    const args = { paginationOpts: { cursor: null, numItems: 10 } };
    const text = notFound("_system/cli/tables", "function");
    expect(functionError(await backend.call("function", "_system/cli/tables", args))).toBe(text);
  });

  it("6.2 tables lists user tables in order of table number", async () => {
    const args = { paginationOpts: { cursor: null, numItems: 10000 } };
    const value = await backend.value("query", "_system/cli/tables", args);
    expect(value).toMatchObject({ isDone: true, continueCursor: "end" });
    const names = listAt(value, "page").map((table) => at(table, "name"));
    expect([...names].sort()).toEqual(["files", "messages", "nothing", "refs", "values"]);
  });

  it("6.2 tableData pages with a cursor", async () => {
    await backend.seed(
      "messages",
      [1, 2, 3].map((n) => ({ author: `p${n}`, body: "" })),
    );
    const page = (cursor: string | null) =>
      backend.value("query", "_system/cli/tableData", {
        table: "messages",
        order: "asc",
        paginationOpts: { cursor, numItems: 2 },
      });
    const first = await page(null);
    expect(first).toMatchObject({ isDone: false, pageStatus: null, splitCursor: null });
    expect(listAt(first, "page").map((row) => at(row, "author"))).toEqual(["p1", "p2"]);
    const cursor = at(first, "continueCursor");
    expect(cursor).toMatch(/^[0-9a-f]+$/);
    const second = await page(String(cursor));
    expect(listAt(second, "page").map((row) => at(row, "author"))).toEqual(["p3"]);
    expect(at(second, "isDone")).toBe(true);
  });

  it("6.2 tableData of an unknown table is an empty last page", async () => {
    const args = { table: "nope", order: "desc", paginationOpts: { cursor: null, numItems: 2 } };
    expect(await backend.value("query", "_system/cli/tableData", args)).toMatchObject({ page: [], isDone: true });
  });

  it("6.2 tableSize counts", async () => {
    await backend.seed(
      "messages",
      [1, 2].map((n) => ({ author: `s${n}`, body: "" })),
    );
    expect(await backend.tableSize("messages")).toBe(2);
  });

  it("6.2 queryTable is a number that changes with the table", async () => {
    const mark = () => backend.value("query", "_system/cli/queryTable", { tableName: "messages" });
    const before = await mark();
    await backend.value("mutation", "messages:send", { author: "q", body: "t" });
    expect(await mark()).not.toBe(before);
  });

  it("6.2 an id of another table is a validator error", async () => {
    const id = await backend.value("mutation", "messages:send", { author: "a", body: "b" });
    const answer = await backend.call("query", "_system/cli/queryImport", { importId: id });
    expect(functionError(answer)).toBe(
      `Uncaught Error: Value does not match validator.\nPath: .importId\nValue: "${id}"\nValidator: v.id("_snapshot_imports")\n\n`,
    );
  });

  it("6.2 apiSpec lists functions by module, in source order, with HTTP actions", async () => {
    const spec = listAt(await backend.value("query", "_system/cli/modules:apiSpec"));
    const files = spec.filter((entry) => String(at(entry, "identifier")).startsWith("files.js:"));
    expect(files.map((entry) => at(entry, "identifier"))).toEqual(
      ["keep", "meta", "remove", "store", "uploadUrl", "url"].map((name) => `files.js:${name}`),
    );
    expect(spec.find((entry) => at(entry, "identifier") === "messages.js:send")).toEqual({
      identifier: "messages.js:send",
      functionType: "Mutation",
      visibility: { kind: "public" },
      args: {
        type: "object",
        value: {
          author: { fieldType: { type: "string" }, optional: false },
          body: { fieldType: { type: "string" }, optional: false },
        },
      },
      returns: { type: "id", tableName: "messages" },
    });
    const byName = (name: string) => spec.find((entry) => at(entry, "identifier") === name);
    expect(byName("messages.js:hidden")).toMatchObject({ visibility: { kind: "internal" }, functionType: "Query" });
    expect(byName("nodeact.js:run")).toMatchObject({ functionType: "Action" });
    expect(byName("messages.js:list")).toMatchObject({ returns: { type: "any" } });
    expect(spec).toContainEqual({ functionType: "HttpAction", method: "GET", path: "/p/*" });
  });

  it("6.2 cloudUrl is the cloud origin", async () => {
    const urls = (await backend.get("/api/v1/get_canonical_urls")).json;
    expect(await backend.value("query", "_system/cli/convexUrl:cloudUrl")).toBe(at(urls, "convexCloudUrl"));
  });

  it("6.2 /api/query silently ignores componentPath", async () => {
    await backend.value("mutation", "useWidget:bump", { name: "n" });
    for (const componentPath of ["widget", "nope", "", null]) {
      const body = { path: "_system/cli/tableSize", args: { tableName: "counters" }, componentPath, format: "json" };
      expect(at((await query(body, backend.key)).json, "value")).toBe(0);
    }
  });

  it("6.2 components:list names every instance", async () => {
    const list = listAt(await backend.value("query", "_system/frontend/components:list"));
    const seen = list.map((entry) => [at(entry, "path"), at(entry, "name"), at(entry, "state")]);
    expect(seen).toContainEqual(["", null, "active"]);
    expect(seen).toContainEqual(["widget", "widget", "active"]);
    expect(seen).toContainEqual(["second", "second", "active"]);
  });
});

describe("/api/function and /api/run", () => {
  it("6.2 /api/function runs every kind, internal ones too", async () => {
    expect(await backend.value("function", "messages:hidden")).toBe("internal");
    expect(await backend.value("function", "messages:slow", { ms: 1 })).toBe("slept 1");
    expect(await backend.value("function", "messages:hiddenMutation")).toEqual(expect.any(Number));
    expect(await backend.value("function", "messages:send", { author: "f", body: "" })).toEqual(expect.any(String));
  });

  it("6.2 componentPath: empty and null are the root, widget is the component", async () => {
    const run = (componentPath: unknown, path: string) =>
      backend.post("/api/function", { path, args: {}, componentPath, format: "json" });
    for (const root of ["", null]) {
      expect(at((await run(root, "messages:hidden")).json, "value")).toBe("internal");
      expect(functionError(await run(root, "counters:all"))).toBe(notFound("counters:all", "function"));
    }
    expect(listAt((await run("widget", "counters:all")).json, "value")).toEqual(expect.any(Array));
    expect(functionError(await run("widget", "nope:x"))).toMatch(
      /^Could not find function for 'nope:x' in 'widget'\. Did you forget/,
    );
  });

  it("6.2 an unknown component is 500", async () => {
    const answer = await backend.post("/api/function", { path: "messages:list", args: {}, componentPath: "nope" });
    expect(answer).toMatchObject({
      status: 500,
      json: { code: "InternalServerError", message: "Your request couldn't be completed. Try again later." },
    });
  });

  it("6.2 http:default is no function", async () => {
    expect(functionError(await backend.call("function", "http:default"))).toBe(notFound("http", "function"));
  });

  it("6.2 /api/run takes the path from the URL", async () => {
    const run = (path: string) => backend.post(`/api/run/${path}`, { args: {} }, null);
    expect(at((await run("messages/undef")).json, "value")).toBeNull();
    expect(functionError(await run("messages/nothing"))).toBe(notFound("messages:nothing", "function"));
    expect(await run("messages")).toMatchObject({
      status: 400,
      json: {
        code: "MissingIdentifier",
        message: "Path or function name not provided in path, e.g. /api/run/messages/list",
      },
    });
  });

  it("6.2 run_test_function runs a query given as source", async () => {
    const run = (source: string) =>
      backend.post(
        "/api/run_test_function",
        { adminKey: backend.key, args: {}, bundle: { path: "testQuery.js", source }, format: "convex_encoded_json" },
        null,
      );
    const wrap = (code: string) =>
      `import { query } from "convex:/_system/repl/wrappers.js"; export default query({handler: async (ctx) => {${code}}})`;
    await backend.seed("messages", [{ author: "a", body: "b" }]);
    expect((await run(wrap('return (await ctx.db.query("messages").take(1)).length'))).text).toBe(
      '{"status":"success","value":1.0}',
    );
    expect(functionError(await run(wrap('throw new Error("x")')))).toBe("Uncaught Error: x\n");
    expect(await run("export default ;;x(")).toMatchObject({
      status: 400,
      json: {
        code: "InvalidModules",
        message:
          "Could not analyze the given module:\nFailed to analyze testQuery.js: Uncaught SyntaxError: Unexpected token ';'\n",
      },
    });
  });

  it("6.2 query_ts gives a timestamp that query_at_ts takes; one out of range is 503", async () => {
    const ts = at((await backend.post("/api/query_ts", {}, null)).json, "ts");
    expect(ts).toMatch(/^[A-Za-z0-9+/]{11}=$/);
    const query_ = (at_: unknown) =>
      backend.post("/api/query_at_ts", { path: "messages:undef", args: {}, ts: at_, format: "json" }, null);
    expect(at((await query_(ts)).json, "value")).toBeNull();
    expect(await query_("AAAAAAAAAAA=")).toMatchObject({ status: 503, json: { code: "InternalServerError" } });
  });
});

const types = {
  json: '{"arr":[true,false,[]],"big":"9223372036854775807","big1":1e21,"bytes":"AAH+/w==","half":1.5,"inf":"Infinity","int":"42","int53":9007199254740992.0,"max":1.7976931348623157e308,"nan":"NaN","neg":"-1","negZero":-0.0,"ninf":"-Infinity","nul":null,"obj":{},"one":1.0,"small":5e-324,"str":"é😀\\u0000\\n"}',
  encoded:
    '{"arr":[true,false,[]],"big":{"$integer":"/////////38="},"big1":1e21,"bytes":{"$bytes":"AAH+/w=="},"half":1.5,"inf":{"$float":"AAAAAAAA8H8="},"int":{"$integer":"KgAAAAAAAAA="},"int53":9007199254740992.0,"max":1.7976931348623157e308,"nan":{"$float":"AAAAAAAA+H8="},"neg":{"$integer":"//////////8="},"negZero":{"$float":"AAAAAAAAAIA="},"ninf":{"$float":"AAAAAAAA8P8="},"nul":null,"obj":{},"one":1.0,"small":5e-324,"str":"é😀\\u0000\\n"}',
};
const success = (value: string) => `{"status":"success","value":${value}}`;

describe("formats", () => {
  it.each([
    [undefined, types.json],
    ["json", types.json],
    ["convex_clean_json", types.json],
    ["convex_encoded_json", types.encoded],
    ["convex_json", types.encoded],
  ])("6.2 every value type in format %s, as text", async (format, expected) => {
    const body = { path: "messages:types", args: {}, ...(format === undefined ? {} : { format }) };
    expect((await query(body)).text).toBe(success(expected));
  });

  it("6.2 export_json is the encoding of snapshots", async () => {
    const { text } = await query({ path: "messages:types", args: {}, format: "export_json" });
    for (const part of [
      '"big":9223372036854775807',
      '"int":42,',
      '"negZero":-0.0',
      '"one":1.0',
      '"nan":{"$float":"AAAAAAAA+H8="}',
      '"bytes":{"$bytes":"AAH+/w=="}',
    ]) {
      expect(text).toContain(part);
    }
  });

  it.each([
    ["npm-1.3.0", true],
    ["npm-1.4.0", true],
    ["npm-0.20.0", true],
    ["npm-cli-1.3.0", true],
    ["npm-1.4.1", false],
    ["npm-1.48.0", false],
    ["python-0.5.0", false],
    ["rust-0.6.0", false],
    ["foo-1.0.0", false],
  ])("6.2 without a format, client %s gets encoded values: %s", async (client, encoded) => {
    const headers = { ...jsonHeaders, "convex-client": client };
    const body = JSON.stringify({ path: "messages:types", args: {} });
    const answer = await backend.send("/api/query", { method: "POST", key: null, body, headers });
    expect(answer.text).toBe(success(encoded ? types.encoded : types.json));
  });

  it("6.2 arguments are read the same way in every format; plain numbers are Float64", async () => {
    const body = (format: string) =>
      `{"path":"messages:echo","args":{"x":[1,1.0,1.5,1e3,12345678901234567890,{"$integer":"KgAAAAAAAAA="},{"$bytes":"AAE="},{"$float":"AAAAAAAA+H8="}]},"format":"${format}"}`;
    const echo = async (format: string) =>
      (await backend.send("/api/query", { method: "POST", body: body(format), headers: jsonHeaders })).text;
    expect(await echo("json")).toBe(success('[1.0,1.0,1.5,1000.0,1.2345678901234567e19,"42","AAE=","NaN"]'));
    expect(await echo("convex_encoded_json")).toBe(
      success(
        '[1.0,1.0,1.5,1000.0,1.2345678901234567e19,{"$integer":"KgAAAAAAAAA="},{"$bytes":"AAE="},{"$float":"AAAAAAAA+H8="}]',
      ),
    );
  });

  it("6.2 object keys come in byte order", async () => {
    const answer = await backend.call("query", "messages:echo", { x: { b: 1, a: 2, Z: 3, _: 4, a1: 5 } });
    expect(answer.text).toBe(success('{"Z":3.0,"_":4.0,"a":2.0,"a1":5.0,"b":1.0}'));
  });

  it("6.2 an unknown format is 400 after the function ran", async () => {
    await backend.seed("messages", []);
    const body = { path: "messages:send", args: { author: "a", body: "b" }, format: "xml" };
    const answer = await backend.post("/api/mutation", body, null);
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "BadFormat", message: "format param must be one of [`json`]. Got xml" },
    });
    expect(await backend.tableSize("messages")).toBe(1);
  });

  it("6.2 undefined comes back as null", async () => {
    expect((await query({ path: "messages:undef", args: {} })).text).toBe(success("null"));
  });

  it("6.2 log lines as the console would write them; none when empty", async () => {
    const answer = await query({ path: "messages:logs", args: {} });
    expect(at(answer.json, "logLines")).toEqual([
      "[LOG] 'hello' 1 {\n  a: [ 1, 2n, null ]\n}",
      "[DEBUG] 'dbg'",
      "[INFO] 'inf'",
      "[WARN] 'warn'",
      "[ERROR] 'err' [Error: logged]",
      "[LOG] 'multi\\nline'",
    ]);
    expect(at((await query({ path: "messages:undef", args: {} })).json, "logLines")).toBeUndefined();
  });

  it("6.2 every value type survives a write and a read", async () => {
    await backend.seed("values", []);
    expect(await backend.value("mutation", "values:fill")).toBe(32);
    const { text } = await backend.call("query", "values:all", {}, "convex_encoded_json");
    for (const part of [
      '"label":"int64 min","value":{"$integer":"AAAAAAAAAIA="}',
      '"label":"float64 one","value":1.0}',
      '"label":"float64 minus zero","value":{"$float":"AAAAAAAAAIA="}',
      '"label":"float64 1e21","value":1e21}',
      '"label":"string nul","value":"a\\u0000b"}',
      '"label":"bytes 4","value":{"$bytes":"AAH+/w=="}',
      '"label":"object odd keys","value":{"0":0.0,"k-e.y":{"$integer":"AgAAAAAAAAA="},"key with space":1.0}}',
    ]) {
      expect(text).toContain(part);
    }
  });
});

describe("kinds", () => {
  it("6.2 an action's log lines are in its answer", async () => {
    expect(at((await backend.call("action", "more:noisy")).json, "logLines")).toEqual(["[LOG] 'one'", "[LOG] 'two'"]);
  });

  it("6.2 a Node action calls back into the backend and sees the origins", async () => {
    await backend.seed("messages", [{ author: "a", body: "b" }]);
    const answer = await backend.call("action", "nodeact:run");
    const urls = (await backend.get("/api/v1/get_canonical_urls")).json;
    expect(at(answer.json, "value")).toEqual({
      cloud: at(urls, "convexCloudUrl"),
      n: 1,
      node: expect.stringMatching(/^v\d+\./),
      site: at(urls, "convexSiteUrl"),
    });
    expect(answer.text).toContain('"n":1.0');
  });

  it("6.2 a mutation that throws writes nothing", async () => {
    await backend.seed("messages", []);
    await backend.call("mutation", "messages:boomData");
    expect(await backend.tableSize("messages")).toBe(0);
  });

  it("6.2 a component's functions run through the app", async () => {
    await backend.importFile("jsonLines", "", "replace", "&tableName=counters&componentPath=widget");
    await backend.value("mutation", "useWidget:bump", { name: "seen" });
    const value = await backend.value("query", "useWidget:all");
    for (const instance of ["widget", "second"]) {
      expect(listAt(value, instance).map((row) => at(row, "name"))).toContain("seen");
    }
  });

  it("6.2 an index query finds what was written", async () => {
    await backend.seed(
      "messages",
      ["x", "y", "x"].map((author) => ({ author, body: author })),
    );
    const found = listAt(await backend.value("query", "messages:byAuthor", { author: "x" }));
    expect(found).toHaveLength(2);
  });
});

describe("pause", () => {
  const paused =
    "Cannot run functions while this deployment is paused. Resume the deployment in the dashboard settings to allow functions to run.";

  it("6.2 a paused backend runs only system queries, also for admins; twice is 400", async () => {
    const pause = () => backend.post("/api/v1/pause_deployment", {});
    const unpause = () => backend.post("/api/v1/unpause_deployment", {});
    expect(await pause()).toMatchObject({ status: 200, text: "" });
    try {
      for (const kind of ["query", "function"] as const) {
        expect(functionError(await backend.call(kind, "messages:list"))).toBe(`${paused}\n`);
      }
      expect(functionError(await query({ path: "messages:list", args: {} }))).toBe(`${paused}\n`);
      expect(await backend.tableSize("nope")).toBe(0);
      const http = await backend.site("/hello");
      expect(http.status).toBe(500);
      expect(at(http.json, "code")).toContain(paused);
      expect(await pause()).toMatchObject({
        status: 400,
        json: { code: "DeploymentAlreadyInState", message: "Deployment is already paused" },
      });
      expect((await backend.setEnv({ PAUSED: "1" })).status).toBe(200);
    } finally {
      await unpause();
    }
    expect(await unpause()).toMatchObject({
      status: 400,
      json: { code: "UnpauseDeploymentFailed", message: "Deployment is not currently paused." },
    });
    expect(await backend.value("query", "messages:undef")).toBeNull();
  });
});

describe("scheduled functions", () => {
  it("6.2 run by themselves when due", async () => {
    const lab = `import { mutation } from "./_generated/server";
export const later = mutation({ args: {}, handler: (ctx) => ctx.scheduler.runAfter(10, "messages:send" as any, { author: "later", body: "" }) });\n`;
    await push(backend, { files: { ...twoWidgets, "more.ts": more, "later.ts": lab } });
    await backend.seed("messages", []);
    await backend.value("mutation", "later:later");
    await until("the scheduled write", async () => (await backend.tableSize("messages")) === 1);
  });
});

describe("--redact-logs-to-client", () => {
  it.skipIf(!ownsProcess)("6.2 errors are only the request id, with an admin key too; no log lines", async () => {
    await withProcess({ flags: ["--redact-logs-to-client"] }, async (redacted) => {
      await push(redacted);
      for (const [kind, path] of [
        ["query", "messages:boom"],
        ["mutation", "messages:boomData"],
        ["query", "messages:nope"],
      ] as const) {
        const answer = await redacted.call(kind, path);
        expect(at(answer.json, "errorMessage")).toMatch(/^\[Request ID: [0-9a-f]{16}\] Server Error$/);
        expect(at(answer.json, "logLines")).toBeUndefined();
      }
      const http = await redacted.site("/boom");
      expect(http.status).toBe(500);
      expect(Object.keys(http.json as object)).toEqual(["code"]);
      expect(at(http.json, "code")).toMatch(/^\[Request ID: [0-9a-f]{16}\] Server Error$/);
    });
  });
});
