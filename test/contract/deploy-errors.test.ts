import { describe, expect, it } from "vitest";
import type { Files } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { at } from "./support/http.ts";
import { evaluatePush, push, requestFor, startPush } from "./support/push.ts";

const backend = useBackend();

const P = "Hit an error while pushing:\n";
const S = `${P}Hit an error while evaluating your schema:\n`;
const M = `${P}Loading the pushed modules encountered the following\n    error:\n`;
const server = `import { queryGeneric as query, mutationGeneric as mutation, actionGeneric as action, httpRouter, httpActionGeneric as httpAction, cronJobs, makeFunctionReference } from "convex/server";
import { v } from "convex/values";\n`;
const schema = (tables: string) => ({
  "schema.ts": `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ ${tables} });\n`,
});
const module = (text: string) => ({ "m.ts": `${server}${text}\n` });
const fn = "export const x = query({ args: {}, handler: async () => 1 });";
const many = Array.from({ length: 65 }, (_, n) => n);

/** What is pushed, the code, and the start of the message (or all of it, when it ends with $). */
const cases: [string, Files, string, string][] = [
  [
    "an index named by_id",
    schema('t: defineTable({ a: v.string() }).index("by_id", ["a"])'),
    "IndexNameReserved",
    `${S}In table "t" cannot name an index "by_id" because the name is reserved. Indexes may not start with an underscore or be named "by_id" or "by_creation_time".$`,
  ],
  [
    "an index name with _ in front",
    schema('t: defineTable({ a: v.string() }).index("_x", ["a"])'),
    "IndexNameReserved",
    `${S}In table "t" cannot name an index "_x" because the name is reserved.`,
  ],
  [
    "one index name twice",
    schema('t: defineTable({ a: v.string() }).index("x", ["a"]).index("x", ["a"])'),
    "IndexNamesNotUnique",
    `${S}Table "t" has two or more definitions of index "x".$`,
  ],
  [
    "two indexes with the same fields",
    schema('t: defineTable({ a: v.string() }).index("x", ["a"]).index("y", ["a"])'),
    "IndexNotUnique",
    `${S}In table "t" index "y" and index "x" have the same fields. Indexes must be unique within a table.$`,
  ],
  [
    "an index without fields",
    schema('t: defineTable({ a: v.string() }).index("x", [] as any)'),
    "EmptyIndex",
    `${S}In table "t" index "x" must have at least one field.$`,
  ],
  [
    "65 indexes",
    schema(
      `t: defineTable({ ${many.map((n) => `f${n}: v.string()`).join()} })${many.map((n) => `.index("i${n}", ["f${n}"])`).join("")}`,
    ),
    "TooManyIndexes",
    `${S}Table "t" cannot have more than 64 indexes.$`,
  ],
  [
    "a bad index name",
    schema('t: defineTable({ a: v.string() }).index("bad-name", ["a"])'),
    "InvalidIndexName",
    `${S}In table "t": Invalid index name: "bad-name". Identifiers must be 64 characters or less, start with a letter, and only contain letters, digits, underscores.$`,
  ],
  [
    "_creationTime in an index",
    schema('t: defineTable({ a: v.string() }).index("x", ["a", "_creationTime"])'),
    "IndexFieldsContainCreationTime",
    `${S}\`_creationTime\` is automatically added to the end of each index.`,
  ],
  [
    "an index on an unknown field",
    schema('messages: defineTable({ a: v.string() }).index("by_author", ["nofield" as any])'),
    "SchemaDefinitionError",
    `${S}In table "messages" the index "by_author" is invalid because it references the field "nofield" that does not exist.$`,
  ],
  [
    "a bad table name",
    schema('"bad-name": defineTable({ a: v.string() })'),
    "InvalidTableName",
    `${S}Invalid table name: "bad-name". Identifiers must start with a letter and can only contain letters, digits, and underscores.$`,
  ],
  [
    "a reserved table name",
    schema("_mine: defineTable({ a: v.string() })"),
    "TableNameReserved",
    `${S}_mine is a reserved table name.$`,
  ],
  [
    "a field $a",
    schema("t: defineTable({ $a: v.string() })"),
    "InvalidSchema",
    `${S}Field name $a starts with '$', which is reserved.$`,
  ],
  [
    "one vector dimension",
    schema('t: defineTable({ a: v.array(v.float64()) }).vectorIndex("v", { vectorField: "a", dimensions: 1 })'),
    "InvalidVectorDimensionError",
    `${S}In table "t": Dimensions 1 must be between 2 and 4096.$`,
  ],
  [
    "schema.ts without default export",
    { "schema.ts": "export const x = 1;\n" },
    "MissingSchemaExportError",
    `${S}Schema file missing default export. To learn more, see the schema documentation at https://docs.convex.dev/database/schemas.$`,
  ],
  [
    "schema.ts that exports something else",
    { "schema.ts": "export default { tables: 5 };\n" },
    "InvalidSchemaExport",
    `${S}Default export from schema file isn't a Convex schema. To learn more, see the schema documentation at https://docs.convex.dev/database/schemas.$`,
  ],
  [
    "schema.ts that throws",
    { "schema.ts": 'throw new Error("schema boom");\nexport default 1;\n' },
    "Error",
    `${S}Uncaught Error: schema boom\n    at `,
  ],
  [
    "schema.ts that reads process.env",
    { "schema.ts": `console.log(process.env.X);\n${schema("t: defineTable({})")["schema.ts"]}` },
    "Error",
    `${S}Uncaught Error: Environment variables unsupported when evaluating schema\n    at `,
  ],
  [
    "http.ts without default export",
    { "http.ts": `${server}export const x = 1;\n` },
    "InvalidModules",
    `${M}\`convex/http.js\` must have a default export of a Router.\n$`,
  ],
  [
    "http.ts with a wrong default export",
    { "http.ts": "export default 5;\n" },
    "InvalidModules",
    `${M}The default export of \`convex/http.js\` is not a Router.\n$`,
  ],
  [
    "crons.ts with a wrong default export",
    { "crons.ts": "export default 5;\n" },
    "InvalidModules",
    `${M}The default export of \`convex/crons.js\` is not a Crons object.`,
  ],
  [
    "a route without /",
    {
      "http.ts": `${server}const h = httpRouter(); h.route({ path: "nolead", method: "GET", handler: httpAction(async () => new Response("")) }); export default h;\n`,
    },
    "InvalidModules",
    `${M}Failed to analyze http.js: Uncaught Error: path 'nolead' does not start with a /\n    at `,
  ],
  [
    "two equal routes",
    {
      "http.ts": `${server}const h = httpRouter(); const r = () => h.route({ path: "/a", method: "GET", handler: httpAction(async () => new Response("")) }); r(); r(); export default h;\n`,
    },
    "InvalidModules",
    `${M}Failed to analyze http.js: Uncaught Error: Path '/a' for method GET already in use\n    at `,
  ],
  [
    "top-level await",
    module(`await new Promise((r) => setTimeout(r, 10));\n${fn}`),
    "InvalidModules",
    `${M}Failed to analyze m.js: Top-level awaits in source files are unsupported\n$`,
  ],
  [
    "a module that needs a variable at import",
    { "bad.ts": `${server}if (!process.env.NEEDED) throw new Error("NEEDED is not set");\n${fn}\n` },
    "InvalidModules",
    `${M}Failed to analyze bad.js: Uncaught Error: NEEDED is not set\n    at <anonymous> (../convex/bad.ts:`,
  ],
  [
    "a Node module that throws at import",
    {
      "n.ts": `"use node";\n${server}throw new Error("node boom");\nexport const x = action({ args: {}, handler: async () => 1 });\n`,
    },
    "InvalidModules",
    `${M}Uncaught Failed to analyze n.js: node boom\n    at `,
  ],
  [
    "a query in a Node module",
    { "bad.ts": `"use node";\n${server}${fn}\n` },
    "InvalidModules",
    `${M}\`x\` defined in \`bad.js\` is a Query function. Only actions can be defined in Node.js. See https://docs.convex.dev/functions/actions for more details.\n$`,
  ],
  [
    "a function exported as bad-name",
    module('const f = query({ args: {}, handler: async () => 1 });\nexport { f as "bad-name" };'),
    "InvalidFunctionName",
    `${P}Invalid function name used in \`m.js\`: Identifier bad-name has invalid character '-': Identifiers can only contain alphanumeric characters or underscores$`,
  ],
  [
    "a validator error in args",
    module("export const x = query({ args: { a: 5 as any }, handler: async () => 1 });"),
    "Error",
    `${P}Uncaught Error: v.object() entries must be validators\n    at `,
  ],
  [
    "a cron for an unknown function",
    {
      "crons.ts": `${server}const c = cronJobs(); c.interval("x", { hours: 1 }, makeFunctionReference<"mutation">("nope:nothing")); export default c;\n`,
    },
    "Error",
    `${P}The cron job 'x' schedules a function that does not exist: nope.js:nothing\n$`,
  ],
  [
    "a cron expression that cannot be parsed",
    {
      ...module("export const t = mutation({ args: {}, handler: async () => {} });"),
      "crons.ts": `${server}const c = cronJobs(); c.cron("x", "not a cron", makeFunctionReference<"mutation">("m:t")); export default c;\n`,
    },
    "InvalidCron",
    `${P}Failed to parse cron expression$`,
  ],
  [
    "one cron identifier twice",
    {
      ...module("export const t = mutation({ args: {}, handler: async () => {} });"),
      "crons.ts": `${server}const c = cronJobs(); const f = makeFunctionReference<"mutation">("m:t"); c.interval("x", { hours: 1 }, f); c.interval("x", { hours: 1 }, f); export default c;\n`,
    },
    "InvalidModules",
    `${M}Failed to analyze crons.js: Uncaught Error: Cron identifier registered twice: x\n    at `,
  ],
  [
    "convex.config.ts that throws",
    {
      "convex.config.ts":
        'import { defineApp } from "convex/server"; throw new Error("config boom"); export default defineApp();\n',
    },
    "Error",
    `${P}Uncaught Error: config boom\n    at `,
  ],
  [
    "convex.config.ts without default export",
    { "convex.config.ts": 'import { defineApp } from "convex/server"; export const app = defineApp();\n' },
    "InvalidDefinition",
    `${P}The default export of \`convex.config.ts\` in your app has an invalid value (missing default export).`,
  ],
  [
    "a component mounted twice",
    {
      "convex.config.ts":
        'import { defineApp } from "convex/server"; import w from "./w/convex.config"; const a = defineApp(); a.use(w); a.use(w); export default a;\n',
      "w/convex.config.ts": 'import { defineComponent } from "convex/server"; export default defineComponent("w");\n',
    },
    "TypecheckError",
    `${P}Component ComponentDefinitionPath { path: "" } has multiple child components with the same name: ComponentName(Identifier("w"))$`,
  ],
  [
    "a component name that is no identifier",
    {
      "convex.config.ts":
        'import { defineApp } from "convex/server"; import w from "./w/convex.config"; const a = defineApp(); a.use(w, { name: "bad-name" }); export default a;\n',
      "w/convex.config.ts": 'import { defineComponent } from "convex/server"; export default defineComponent("w");\n',
    },
    "InvalidDefinition",
    `${P}Identifier bad-name has invalid character '-': Identifiers can only contain alphanumeric characters or underscores$`,
  ],
  [
    "an index on an unknown field in a component",
    {
      "convex.config.ts":
        'import { defineApp } from "convex/server"; import w from "./w/convex.config"; const a = defineApp(); a.use(w); export default a;\n',
      "w/convex.config.ts": 'import { defineComponent } from "convex/server"; export default defineComponent("w");\n',
      "w/schema.ts": schema('t: defineTable({ a: v.string() }).index("i", ["nofield" as any])')["schema.ts"] ?? "",
    },
    "SchemaDefinitionError",
    `${S}In table "t" the index "i" is invalid because it references the field "nofield" that does not exist.`,
  ],
  [
    "a component module that throws at import",
    {
      "convex.config.ts":
        'import { defineApp } from "convex/server"; import w from "./w/convex.config"; const a = defineApp(); a.use(w); export default a;\n',
      "w/convex.config.ts": 'import { defineComponent } from "convex/server"; export default defineComponent("w");\n',
      "w/bad.ts": `${server}throw new Error("inside");\n${fn}\n`,
    },
    "InvalidModules",
    `${M}Failed to analyze bad.js: Uncaught Error: inside\n    at <anonymous> (../convex/w/bad.ts:`,
  ],
];

describe("errors of evaluate_push", () => {
  it.each(cases)("5.2 %s", async (_label, files, code, message) => {
    const answer = await evaluatePush(backend, await requestFor(backend, { base: false, files }));
    expect(answer.status).toBe(400);
    const text = String(at(answer.json, "message"));
    if (message.endsWith("$")) expect(text).toBe(message.slice(0, -1));
    else expect(text.slice(0, message.length)).toBe(message);
    expect(at(answer.json, "code")).toBe(code);
  });

  it("5.2 start_push gives the same errors", async () => {
    const [, files, code] = cases[1] ?? ["", {}, "", ""];
    expect(await startPush(backend, await requestFor(backend, { base: false, files }))).toMatchObject({
      status: 400,
      json: { code },
    });
  });

  it("5.2 an endless loop at import ends after 4 s", async () => {
    const request = await requestFor(backend, { base: false, files: module(`for (;;) {}\n${fn}`) });
    expect(await evaluatePush(backend, request)).toMatchObject({
      status: 400,
      json: { code: "InvalidModules", message: `${M}Function execution timed out (maximum duration: 4s)\n` },
    });
  });

  it("5.2 a module path with -", async () => {
    const request = await requestFor(backend, { base: false, files: module(fn) });
    request.appDefinition.changedModules = request.appDefinition.changedModules.map((each) => ({
      ...each,
      path: "bad-name.js",
    }));
    expect(await evaluatePush(backend, request)).toMatchObject({
      status: 400,
      json: {
        code: "InvalidConfig",
        message:
          "bad-name.js is not a valid path to a Convex module. Path component bad-name.js can only contain alphanumeric characters, underscores, or periods.",
      },
    });
  });

  it("5.2 a Node version that does not exist", async () => {
    const request = await requestFor(backend, { base: false, files: module(fn) });
    expect(await evaluatePush(backend, { ...request, nodeVersion: "16" })).toMatchObject({
      status: 400,
      json: { code: "InvalidConfig", message: "Invalid node version: 16" },
    });
  });

  it("5.2 more than 4096 modules", async () => {
    const request = await requestFor(backend, { base: false, files: module(fn) });
    request.appDefinition.changedModules = Array.from({ length: 4097 }, (_, n) => ({
      path: `m${n}.js`,
      source: "",
      environment: "isolate" as const,
    }));
    const answer = await evaluatePush(backend, request);
    expect(answer).toMatchObject({ status: 400, json: { code: "InvalidModules" } });
    expect(at(answer.json, "message")).toMatch(
      /^Hit an error while pushing:\nToo many function files \(\d+ > maximum 4096\) in "convex\/"\./,
    );
  });

  it.each([
    ["v.id() of a table that does not exist", schema('t: defineTable({ a: v.id("nope") })')],
    ["a field _a in a table", schema("t: defineTable({ _a: v.string() } as any)")],
    ["Date.now() and Math.random() at import", module(`export const t = Date.now() + Math.random();\n${fn}`)],
    ["fetch at import", module(`try { fetch("http://127.0.0.1:1/").catch(() => {}); } catch {}\n${fn}`)],
    [
      "cron arguments that do not fit",
      {
        ...module("export const t = mutation({ args: { a: v.string() }, handler: async () => {} });"),
        "crons.ts": `${server}const c = cronJobs(); c.interval("x", { hours: 1 }, makeFunctionReference<"mutation">("m:t"), { b: 1 }); export default c;\n`,
      },
    ],
  ])("5.2 accepted: %s", async (_label, files) => {
    expect((await evaluatePush(backend, await requestFor(backend, { base: false, files }))).status).toBe(200);
  });

  it("5.2 nothing that is served changes when a push fails", async () => {
    const good = { base: false, files: module("export const v1 = query({ args: {}, handler: async () => 1 });") };
    await push(backend, good);
    await evaluatePush(backend, await requestFor(backend, { base: false, files: cases[0]?.[1] ?? {} }));
    expect(await backend.value("query", "m:v1")).toBe(1);
  });

  it.each([["missing functions", { adminKey: "" }, "missing field `functions` at line 1 column 15"]])(
    "5.2 malformed bodies are 400 whatever the key: %s",
    async (_label, body, message) => {
      const answer = await backend.post("/api/deploy2/start_push", body, null);
      expect(answer).toMatchObject({
        status: 400,
        json: { code: "BadJsonBody", message: `Failed to deserialize the JSON body into the target type: ${message}` },
      });
    },
  );
});
