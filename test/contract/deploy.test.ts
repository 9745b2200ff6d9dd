import { describe, expect, it } from "vitest";
import { twoWidgets, variant, widget } from "./support/app.ts";
import { Backend, ownsProcess, useBackend, withProcess } from "./support/backend.ts";
import { moduleHash } from "./support/bundle.ts";
import { probe, readOnlyCodes } from "./support/features.ts";
import { at, jsonHeaders, listAt } from "./support/http.ts";
import {
  bundleSpec,
  evaluatePush,
  expectOk,
  finishPush,
  push,
  pushBundles,
  requestFor,
  requestOf,
  startPush,
  waitForSchema,
  waitUntilDecided,
} from "./support/push.ts";

const backend = useBackend();

const noIndexes = { added_indexes: [], removed_indexes: [], disabled_indexes: [], enabled_indexes: [] };
const byAuthor = { name: "messages.by_author", type: "database", fields: ["author", "_creationTime"], staged: false };
const noChange = {
  diffType: { type: "modify" },
  moduleDiff: { added: [], removed: [] },
  udfConfigDiff: null,
  cronDiff: { added: [], updated: [], deleted: [] },
  indexDiff: noIndexes,
  schemaDiff: null,
};
const schema = (tables: string, options = "") => `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ ${tables} }${options});\n`;
const messages = "messages: defineTable({ author: v.string(), body: v.string() })";
const plain = {
  base: false,
  files: { "schema.ts": schema(`${messages}.index("by_author", ["author"])`), "m.ts": code("1") },
};
const second = {
  base: false,
  files: {
    ...plain.files,
    "schema.ts": schema(`${messages}.index("by_author", ["author"]).index("by_body", ["body"])`),
  },
};

function code(result: string): string {
  return `import { mutation, query } from "./_generated/server";
export const version = query({ args: {}, handler: () => ${result} });
export const write = mutation({ handler: (ctx, { table, doc }: any) => ctx.db.insert(table, doc) });\n`;
}

const hashes = async (target: Backend = backend) =>
  (await target.post("/api/get_config_hashes", { version: "1.48.0", adminKey: target.key })).json;

describe("first push on a fresh database", () => {
  it.skipIf(!ownsProcess)(
    "5.2 get_config_hashes, evaluate_push, start_push, wait and finish of the fixture app",
    async () => {
      await withProcess({}, async (fresh) => {
        expect(await hashes(fresh)).toEqual({
          config: { functions: "convex/" },
          moduleHashes: [],
          udfServerVersion: null,
          nodeVersion: null,
        });
        const bundles = await bundleSpec({});
        const request = requestOf(fresh, bundles);
        const evaluated = expectOk(await evaluatePush(fresh, request), "evaluate_push");
        expect(at(evaluated, "schemaChange", "indexDiffs")).toEqual({
          "": { ...noIndexes, added_indexes: [byAuthor] },
        });
        const started = expectOk(await startPush(fresh, request), "start_push");
        expect(Object.keys(started as object).sort()).toEqual([
          ...[
            "analysis",
            "app",
            "appAuth",
            "componentDefinitionPackages",
            "environmentVariables",
            "externalDepsId",
            "schemaChange",
          ],
        ]);
        expect(started).toMatchObject({ environmentVariables: {}, externalDepsId: null, appAuth: [] });
        expect(at(started, "componentDefinitionPackages", "")).toEqual({
          externalPackageId: null,
          nodeVersion: null,
          packageSize: {
            unzippedSizeBytes: { $integer: expect.any(String) },
            zippedSizeBytes: { $integer: expect.any(String) },
          },
          sha256: { $bytes: expect.any(String) },
          storageKey: expect.any(String),
        });
        const change = at(started, "schemaChange");
        expect(at(change, "allocatedComponentIds")).toEqual({ "": expect.stringMatching(/^m0/) });
        expect(at(change, "schemaIds")).toEqual({ "": expect.any(String) });
        expect(at(change, "indexDiffs")).toEqual({ "": { ...noIndexes, added_indexes: [byAuthor] } });
        expect(expectOk(await waitForSchema(fresh, started), "wait")).toEqual({ type: "complete" });
        const finished = expectOk(await finishPush(fresh, started), "finish_push");
        const modules = [
          "convex.config.js",
          "files.js",
          "http.js",
          "messages.js",
          "nodeact.js",
          "schema.js",
          "values.js",
        ];
        expect(finished).toMatchObject({ authDiff: { added: [], removed: [] }, definitionDiffs: { "": {} } });
        expect(at(finished, "componentDiffs", "")).toEqual({
          diffType: { type: "create" },
          moduleDiff: { added: modules, removed: [] },
          udfConfigDiff: { previous_version: "Unspecified version", next_version: "1.48.0" },
          cronDiff: { added: [], updated: [], deleted: [] },
          indexDiff: { ...noIndexes, added_indexes: [byAuthor] },
          schemaDiff: {
            previous_schema: null,
            next_schema: expect.stringMatching(/^\{"tables":\[\{"tableName":"files",/),
          },
        });
        const after = await hashes(fresh);
        expect(at(after, "udfServerVersion")).toBe("1.48.0");
        const seen = new Map(listAt(after, "moduleHashes").map((each) => [at(each, "path"), each]));
        for (const module of bundles[0]?.functions ?? []) {
          expect(seen.get(module.path)).toEqual({
            path: module.path,
            hash: moduleHash(module),
            environment: module.environment,
          });
        }
        for (const path of ["schema.js", "convex.config.js"]) expect(seen.has(path)).toBe(true);
      });
    },
  );

  it.skipIf(!ownsProcess)(
    "5.2 a push that was not finished leaves its schema pending: same id, no index to add",
    async () => {
      await withProcess({}, async (fresh) => {
        const request = await requestFor(fresh, plain);
        const first = expectOk(await startPush(fresh, request), "start_push");
        await waitUntilDecided(fresh, first);
        const again = expectOk(await startPush(fresh, request), "start_push");
        expect(at(again, "schemaChange", "schemaIds")).toEqual(at(first, "schemaChange", "schemaIds"));
        expect(at(again, "schemaChange", "allocatedComponentIds", "")).toEqual(expect.any(String));
        expect(at(again, "schemaChange", "indexDiffs", "")).toEqual(noIndexes);
        expect(at(await hashes(fresh), "moduleHashes")).toEqual([]);
      });
    },
  );
});

describe("start_push answer", () => {
  it("5.2 analysis of functions: kinds, visibility, argument texts, positions", async () => {
    const { started } = await push(backend);
    const functions = at(started, "analysis", "", "functions");
    const paths = Object.keys(functions as object).sort();
    expect(paths).toEqual(["files.js", "http.js", "messages.js", "nodeact.js", "values.js"]);
    const send = listAt(functions, "messages.js", "functions").find((each) => at(each, "name") === "send");
    expect(send).toMatchObject({
      name: "send",
      pos: { path: "messages.js", start_lineno: expect.any(Number), start_col: expect.any(Number) },
      udfType: "Mutation",
      visibility: { kind: "public" },
      returns: '{"type":"id","tableName":"messages"}',
    });
    expect(JSON.parse(String(at(send, "args")))).toEqual({
      type: "object",
      value: {
        author: { fieldType: { type: "string" }, optional: false },
        body: { fieldType: { type: "string" }, optional: false },
      },
    });
    const list = listAt(functions, "messages.js", "functions").find((each) => at(each, "name") === "list");
    expect(list).toMatchObject({ udfType: "Query", args: '{"type":"object","value":{}}', returns: "null" });
    const hidden = listAt(functions, "messages.js", "functions").find((each) => at(each, "name") === "hidden");
    expect(hidden).toMatchObject({ visibility: { kind: "internal" } });
    expect(at(functions, "http.js", "functions")).toEqual([]);
    const routes = listAt(functions, "http.js", "httpRoutes").map((each) => at(each, "route"));
    expect(routes).toContainEqual({ path: "/p/*", method: "GET" });
    expect(at(functions, "messages.js", "httpRoutes")).toBeNull();
    expect(at(functions, "messages.js", "cronSpecs")).toBeNull();
  });

  it("5.2 a function without validators has args any and returns null, as texts", async () => {
    const { started } = await push(backend, plain);
    const [write] = listAt(started, "analysis", "", "functions", "m.js", "functions").filter(
      (each) => at(each, "name") === "write",
    );
    expect(write).toMatchObject({ args: '{"type":"any"}', returns: "null" });
  });

  it("5.2 schema: tables with every list, indexes end with _creationTime, validators as JSON", async () => {
    const { started } = await push(backend);
    const tables = listAt(started, "analysis", "", "schema", "tables");
    expect(tables.map((table) => at(table, "tableName"))).toEqual(["files", "messages", "nothing", "refs", "values"]);
    expect(tables[1]).toEqual({
      tableName: "messages",
      indexes: [{ indexDescriptor: "by_author", fields: ["author", "_creationTime"] }],
      stagedDbIndexes: [],
      searchIndexes: [],
      stagedSearchIndexes: [],
      vectorIndexes: [],
      stagedVectorIndexes: [],
      documentType: {
        type: "object",
        value: {
          author: { fieldType: { type: "string" }, optional: false },
          body: { fieldType: { type: "string" }, optional: false },
        },
      },
    });
    expect(at(tables[4], "documentType")).toEqual({ type: "any" });
    expect(at(started, "analysis", "", "schema", "schemaValidation")).toBe(true);
  });

  it("5.2 app lists public functions and routes; internal ones are left out", async () => {
    const { started } = await push(backend);
    expect(at(started, "app")).toMatchObject({ definitionPath: "", componentPath: "", args: {}, childComponents: {} });
    expect(at(started, "app", "exports", "messages", "children", "list")).toEqual({
      type: "leaf",
      resource: { type: "function", path: { component: "", udfPath: "messages.js:list" } },
    });
    expect(at(started, "app", "exports", "messages", "children", "hidden")).toBeUndefined();
    expect(at(started, "app", "httpRoutes", "mounts")).toEqual([]);
    expect(listAt(started, "app", "httpRoutes", "httpModuleRoutes")).toContainEqual({ method: "POST", path: "/echo" });
    expect(at(started, "analysis", "", "definition")).toMatchObject({
      path: "",
      definitionType: { type: "app" },
      childComponents: [],
      httpMounts: {},
      exports: { type: "branch", branch: [] },
    });
  });

  it("5.2 chunks below _deps that import each other are loaded, from any folder", async () => {
    const bundles = await bundleSpec({
      files: { "bad.ts": 'export const x = "s";\n', "a/b.ts": code("5").replace("./_", "../_") },
    });
    const chunks = bundles[0]?.functions.filter((module) =>
      /^_deps\/.*from "\.\//s.test(`${module.path}${module.source}`),
    );
    expect(chunks?.length).toBeGreaterThan(0);
    await pushBundles(backend, bundles);
    expect(await backend.value("query", "a/b:version")).toBe(5);
  });

  it("5.2 it shows the environment in clear", async () => {
    await backend.setEnv({ SHOWN: "in clear" });
    const started = expectOk(await startPush(backend, await requestFor(backend, plain)), "start_push");
    expect(at(started, "environmentVariables")).toMatchObject({ SHOWN: "in clear" });
    await backend.clearEnv();
  });

  it("5.2 uncompressed bodies are accepted", async () => {
    const body = JSON.stringify(await requestFor(backend, plain));
    const answer = await backend.send("/api/deploy2/start_push", { method: "POST", body, headers: jsonHeaders });
    expect(answer.status).toBe(200);
  });

  it("5.2 a missing schema field counts as null, udfServerVersion 0.1.0 is fine, another text is not", async () => {
    const request = await requestFor(backend, { base: false, files: { "m.ts": code("1") } });
    const { schema: _none, ...without } = request.appDefinition;
    const bare = await backend.postBrotli("/api/deploy2/start_push", { ...request, appDefinition: without });
    expect(bare.status).toBe(200);
    request.appDefinition.udfServerVersion = "0.1.0";
    expect((await startPush(backend, request)).status).toBe(200);
    request.appDefinition.udfServerVersion = "garbage";
    const answer = await evaluatePush(backend, request);
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "InvalidConfig", message: "unexpected character 'g' while parsing major version number" },
    });
  });
});

describe("unchanged modules", () => {
  it("5.2 a deploy sends hashes instead of unchanged modules", async () => {
    const bundles = await bundleSpec(plain);
    await pushBundles(backend, bundles);
    const request = requestOf(backend, bundles);
    request.appDefinition.unchangedModuleHashes = request.appDefinition.changedModules.map((module) => ({
      path: module.path,
      environment: module.environment,
      sha256: moduleHash(module),
    }));
    request.appDefinition.changedModules = [];
    const started = expectOk(await startPush(backend, request), "start_push");
    await waitUntilDecided(backend, started);
    const finished = expectOk(await finishPush(backend, started), "finish_push");
    expect(at(finished, "componentDiffs")).toEqual({ "": noChange });
    expect(await backend.value("query", "m:version")).toBe(1);
  });

  it.each([
    ["with another hash", "m.js", "ExistingModuleHashConflict", "Existing module hash does not match."],
    ["that does not exist", "nope.js", "MissingExistingModule", "Could not find existing unchanged module."],
  ])("5.2 an unchanged module %s is 409", async (_label, path, code_, text) => {
    await push(backend, plain);
    const request = await requestFor(backend, plain);
    request.appDefinition.changedModules = request.appDefinition.changedModules.filter(
      (module) => module.path !== path,
    );
    request.appDefinition.unchangedModuleHashes = [{ path, environment: "isolate", sha256: "0".repeat(64) }];
    for (const call of [evaluatePush, startPush]) {
      expect(await call(backend, request)).toMatchObject({
        status: 409,
        json: { code: code_, message: `Hit an error while pushing:\n${text}` },
      });
    }
  });

  it("5.2 one path twice is refused", async () => {
    const request = await requestFor(backend, plain);
    const [module] = request.appDefinition.changedModules;
    if (module) request.appDefinition.changedModules.push(module);
    expect(await evaluatePush(backend, request)).toMatchObject({
      status: 400,
      json: {
        code: "CanonicalizationConflict",
        message: "Hit an error while pushing:\nMultiple modules canonicalize to the same name.",
      },
    });
  });
});

describe("diffs", () => {
  it("5.2 an unchanged push changes nothing, keeps the schema id, and serves the new code", async () => {
    const first = await push(backend, plain);
    const changed = { base: false, files: { ...plain.files, "m.ts": code("2") } };
    const { started, finished } = await push(backend, changed);
    expect(at(started, "schemaChange")).toEqual({
      allocatedComponentIds: {},
      schemaIds: at(first.started, "schemaChange", "schemaIds"),
      indexDiffs: { "": noIndexes },
    });
    expect(finished).toEqual({
      authDiff: { added: [], removed: [] },
      definitionDiffs: { "": {} },
      componentDiffs: { "": noChange },
    });
    expect(await backend.value("query", "m:version")).toBe(2);
  });

  it("5.2 modules that appear or vanish are listed, changed ones and _deps are not", async () => {
    await push(backend, plain);
    const files = { ...plain.files, "a/b.ts": code("3").replace("./_generated", "../_generated") };
    const added = await push(backend, { base: false, files });
    expect(at(added.finished, "componentDiffs", "", "moduleDiff")).toEqual({ added: ["a/b.js"], removed: [] });
    expect(await backend.value("query", "a/b:version")).toBe(3);
    const removed = await push(backend, plain);
    expect(at(removed.finished, "componentDiffs", "", "moduleDiff")).toEqual({ added: [], removed: ["a/b.js"] });
  });

  it("5.2 an index added and removed", async () => {
    const byBody = { name: "messages.by_body", type: "database", fields: ["body", "_creationTime"], staged: false };
    await push(backend, plain);
    const added = await push(backend, second);
    expect(at(added.started, "schemaChange", "indexDiffs", "")).toEqual({ ...noIndexes, added_indexes: [byBody] });
    expect(at(added.finished, "componentDiffs", "", "indexDiff")).toEqual({ ...noIndexes, added_indexes: [byBody] });
    expect(at(added.finished, "componentDiffs", "", "schemaDiff", "previous_schema")).not.toContain("by_body");
    expect(at(added.finished, "componentDiffs", "", "schemaDiff", "next_schema")).toContain("by_body");
    const removed = await push(backend, plain);
    expect(at(removed.started, "schemaChange", "indexDiffs", "")).toEqual({ ...noIndexes, removed_indexes: [byBody] });
    expect(at(removed.finished, "componentDiffs", "", "indexDiff")).toEqual({
      ...noIndexes,
      removed_indexes: [byBody],
    });
    // A schema that comes back gets a new id.
    const again = await push(backend, second);
    expect(at(again.started, "schemaChange", "schemaIds")).not.toEqual(at(added.started, "schemaChange", "schemaIds"));
  });

  it("5.2 without schema.ts: schemaIds null, indexDiffs empty, although finish_push deletes the indexes", async () => {
    await push(backend, plain);
    const { started, finished } = await push(backend, { base: false, files: { "m.ts": code("1") } });
    expect(at(started, "schemaChange")).toEqual({ allocatedComponentIds: {}, schemaIds: { "": null }, indexDiffs: {} });
    expect(at(started, "analysis", "", "schema")).toBeNull();
    expect(at(finished, "componentDiffs", "")).toMatchObject({
      moduleDiff: { added: [], removed: ["schema.js"] },
      indexDiff: { ...noIndexes, removed_indexes: [byAuthor] },
      schemaDiff: { next_schema: null },
    });
    const back = await push(backend, plain);
    expect(at(back.finished, "componentDiffs", "")).toMatchObject({
      moduleDiff: { added: ["schema.js"], removed: [] },
      indexDiff: { ...noIndexes, added_indexes: [byAuthor] },
      schemaDiff: { previous_schema: null },
    });
  });

  it("5.2 search and vector indexes; a changed one is removed and added", async () => {
    const table = (filter: string, dimensions: number) =>
      schema(`t: defineTable({ a: v.string(), b: v.string(), e: v.array(v.float64()) })
        .searchIndex("s", { searchField: "b", filterFields: [${filter}] }).vectorIndex("v", { vectorField: "e", dimensions: ${dimensions}, filterFields: ["a"] })`);
    const app = (text: string) => ({ base: false, files: { "schema.ts": text, "m.ts": code("1") } });
    const search = (filterFields: string[]) => ({
      name: "t.s",
      type: "search",
      searchField: "b",
      filterFields,
      staged: false,
    });
    const vector = (dimensions: number) => ({
      name: "t.v",
      type: "vector",
      dimensions,
      vectorField: "e",
      filterFields: ["a"],
      staged: false,
    });
    const added = await push(backend, app(table('"a"', 4)));
    expect(at(added.finished, "componentDiffs", "", "indexDiff", "added_indexes")).toEqual([search(["a"]), vector(4)]);
    expect(at(added.started, "analysis", "", "schema", "tables", 0)).toMatchObject({
      searchIndexes: [{ indexDescriptor: "s", searchField: "b", filterFields: ["a"] }],
      vectorIndexes: [{ indexDescriptor: "v", vectorField: "e", dimensions: 4, filterFields: ["a"] }],
    });
    const changed = await push(backend, app(table("", 8)));
    const diff = at(changed.started, "schemaChange", "indexDiffs", "");
    expect(listAt(diff, "added_indexes")).toEqual(expect.arrayContaining([search([]), vector(8)]));
    expect(listAt(diff, "removed_indexes")).toEqual(expect.arrayContaining([search(["a"]), vector(4)]));
    await push(backend, plain);
  });

  it("5.2 staging and unstaging an index disables and enables it", async () => {
    const staged = (text: string) => ({
      base: false,
      files: { "schema.ts": schema(`${messages}${text}`), "m.ts": code("1") },
    });
    await push(backend, plain);
    const off = await push(backend, staged('.index("by_author", { fields: ["author"], staged: true })'));
    expect(at(off.started, "schemaChange", "indexDiffs", "")).toEqual({ ...noIndexes, disabled_indexes: [byAuthor] });
    const on = await push(backend, plain);
    expect(at(on.started, "schemaChange", "indexDiffs", "")).toEqual({ ...noIndexes, enabled_indexes: [byAuthor] });
    expect(at(on.finished, "componentDiffs", "", "indexDiff", "added_indexes")).toEqual([byAuthor]);
  });

  it("5.2 crons: specs sorted by identifier, cronDiff added, updated, deleted", async () => {
    const crons = (body: string) => ({
      base: false,
      files: {
        ...plain.files,
        "crons.ts": `import { cronJobs, makeFunctionReference } from "convex/server";
const crons = cronJobs(); const f = makeFunctionReference<"mutation">("m:write");
${body}
export default crons;\n`,
      },
    });
    const first =
      crons(`crons.interval("b every hour", { hours: 1 }, f); crons.cron("a cron", "*/5 * * * *", f, { n: 1 });
      crons.daily("c", { hourUTC: 3, minuteUTC: 5 }, f); crons.hourly("d", { minuteUTC: 1 }, f);
      crons.weekly("e", { dayOfWeek: "monday", hourUTC: 0, minuteUTC: 0 }, f); crons.monthly("f", { day: 1, hourUTC: 0, minuteUTC: 0 }, f);`);
    const added = await push(backend, first);
    const specs = listAt(added.started, "analysis", "", "functions", "crons.js", "cronSpecs");
    expect(specs.map((each) => at(each, "identifier"))).toEqual(["a cron", "b every hour", "c", "d", "e", "f"]);
    expect(specs.map((each) => at(each, "spec", "cronSchedule"))).toEqual([
      { type: "cron", cronExpr: "*/5 * * * *" },
      { type: "interval", seconds: 3600 },
      { type: "daily", hourUTC: 3, minuteUTC: 5 },
      { type: "hourly", minuteUTC: 1 },
      { type: "weekly", dayOfWeek: 1, hourUTC: 0, minuteUTC: 0 },
      { type: "monthly", day: 1, hourUTC: 0, minuteUTC: 0 },
    ]);
    expect(at(specs[1], "spec")).toMatchObject({ udfPath: "m.js:write", udfArgs: [91, 123, 125, 93] });
    expect(at(added.finished, "componentDiffs", "")).toMatchObject({
      moduleDiff: { added: ["crons.js"], removed: [] },
      cronDiff: { added: ["a cron", "b every hour", "c", "d", "e", "f"], updated: [], deleted: [] },
    });
    const changed = await push(
      backend,
      crons(`crons.interval("b every hour", { hours: 2 }, f); crons.interval("new", { hours: 1 }, f);`),
    );
    expect(at(changed.finished, "componentDiffs", "", "cronDiff")).toEqual({
      added: ["new"],
      updated: ["b every hour"],
      deleted: ["a cron", "c", "d", "e", "f"],
    });
    const gone = await push(backend, plain);
    expect(at(gone.finished, "componentDiffs", "", "cronDiff")).toEqual({
      added: [],
      updated: [],
      deleted: ["b every hour", "new"],
    });
  });

  it("5.2 the crons variant of the fixture app deploys", async () => {
    const { finished } = await push(backend, { files: { "crons.ts": variant("crons.ts") } });
    expect(at(finished, "componentDiffs", "", "cronDiff", "added")).toEqual(["count messages"]);
  });
});

describe("components", () => {
  const withWidgets = { files: twoWidgets };

  it("5.2 one definition, two instances: analysis by definition, app and schemaChange by instance", async () => {
    await push(backend, { base: false });
    const { started } = await push(backend, withWidgets);
    expect(Object.keys(at(started, "analysis") as object).sort()).toEqual(["", "widget"]);
    expect(at(started, "analysis", "", "definition", "childComponents")).toEqual([
      { type: "SerializedComponentInstantiation", name: "widget", path: "widget", args: [] },
      { type: "SerializedComponentInstantiation", name: "second", path: "widget", args: [] },
    ]);
    const definition = at(started, "analysis", "widget", "definition");
    expect(definition).toMatchObject({
      path: "widget",
      definitionType: { type: "childComponent", name: "widget", args: [] },
    });
    expect(JSON.stringify(at(definition, "exports"))).toContain(
      '{"type":"leaf","leaf":"_reference/function/counters.js:all"}',
    );
    expect(at(started, "app", "childComponents", "second")).toMatchObject({
      definitionPath: "widget",
      componentPath: "second",
      httpRoutes: { httpModuleRoutes: null, mounts: [] },
    });
    expect(
      at(started, "app", "childComponents", "second", "exports", "counters", "children", "all", "resource"),
    ).toEqual({
      type: "function",
      path: { component: "second", udfPath: "counters.js:all" },
    });
    expect(Object.keys(at(started, "schemaChange", "schemaIds") as object).sort()).toEqual(["", "second", "widget"]);
    const paths = listAt(await hashes(), "moduleHashes").map((each) => at(each, "path"));
    expect(paths).not.toContain("counters.js");
  });

  it.skipIf(!ownsProcess)("5.2 create, unmount and remount of instances", async () => {
    await withProcess({}, async (fresh) => {
      const app = { base: false, files: { ...twoWidgets } };
      const first = await push(fresh, app);
      expect(Object.keys(at(first.started, "schemaChange", "allocatedComponentIds") as object).sort()).toEqual([
        "",
        "second",
        "widget",
      ]);
      expect(at(first.finished, "definitionDiffs")).toEqual({ "": {}, widget: {} });
      expect(at(first.finished, "componentDiffs", "second")).toMatchObject({
        diffType: { type: "create" },
        moduleDiff: { added: ["convex.config.js", "counters.js", "schema.js"], removed: [] },
        udfConfigDiff: { previous_version: "Unspecified version", next_version: "1.48.0" },
        indexDiff: {
          added_indexes: [
            { name: "counters.by_name", type: "database", fields: ["name", "_creationTime"], staged: false },
          ],
        },
      });
      await fresh.value("mutation", "useWidget:bump", { name: "kept" });
      const same = await push(fresh, app);
      expect(at(same.finished, "componentDiffs")).toEqual({ "": noChange, second: noChange, widget: noChange });
      const gone = await push(fresh, { base: false, files: { "m.ts": code("1") } });
      expect(Object.keys(at(gone.started, "schemaChange", "schemaIds") as object)).toEqual([""]);
      for (const path of ["second", "widget"]) {
        expect(at(gone.finished, "componentDiffs", path)).toEqual({
          ...noChange,
          diffType: { type: "unmount" },
          moduleDiff: { added: [], removed: ["convex.config.js", "counters.js", "schema.js"] },
        });
      }
      const states = async () => {
        const list = listAt(await fresh.value("query", "_system/frontend/components:list"));
        return list.map((each) => [at(each, "path"), at(each, "state")]);
      };
      expect(await states()).toContainEqual(["widget", "unmounted"]);
      const later = await push(fresh, { base: false, files: { "m.ts": code("1") } });
      expect(Object.keys(at(later.finished, "componentDiffs") as object)).toEqual([""]);
      const back = await push(fresh, app);
      expect(at(back.started, "schemaChange", "allocatedComponentIds")).toEqual({});
      expect(at(back.finished, "componentDiffs", "widget")).toEqual({
        ...noChange,
        diffType: { type: "remount" },
        moduleDiff: { added: ["convex.config.js", "counters.js", "schema.js"], removed: [] },
      });
      expect(await states()).toContainEqual(["widget", "active"]);
      expect(listAt(await fresh.value("query", "useWidget:all"), "widget")).toHaveLength(1);
    });
  });

  it("5.2 a nested component: definition inner, instance widget/inner", async () => {
    const files = {
      ...widget,
      "inner/convex.config.ts": `import { defineComponent } from "convex/server";\nexport default defineComponent("inner");\n`,
      "inner/items.ts": `import { query } from "./_generated/server";\nexport const all = query({ args: {}, handler: (ctx) => ctx.db.query("items").collect() });\n`,
      "widget/convex.config.ts": `import { defineComponent } from "convex/server";\nimport inner from "../inner/convex.config";\nconst c = defineComponent("widget");\nc.use(inner);\nexport default c;\n`,
      "convex.config.ts": `import { defineApp } from "convex/server";\nimport widget from "./widget/convex.config";\nconst app = defineApp();\napp.use(widget);\nexport default app;\n`,
    };
    await push(backend, { base: false });
    const { started, finished } = await push(backend, { base: false, files });
    expect(Object.keys(at(started, "analysis") as object).sort()).toEqual(["", "inner", "widget"]);
    expect(at(started, "app", "childComponents", "widget", "childComponents", "inner", "componentPath")).toBe(
      "widget/inner",
    );
    expect(Object.keys(at(finished, "componentDiffs") as object)).toContain("widget/inner");
    expect(at(finished, "definitionDiffs")).toHaveProperty("inner");
    const answer = await backend.post("/api/function", {
      path: "items:all",
      args: {},
      componentPath: "widget/inner",
      format: "json",
    });
    expect(at(answer.json, "value")).toEqual([]);
    await push(backend, { base: false });
  });

  it("5.2 a component with httpPrefix is served below it", async () => {
    const files = {
      ...widget,
      "widget/http.ts": `import { httpRouter } from "convex/server";\nimport { httpAction } from "./_generated/server";
const http = httpRouter(); http.route({ method: "GET", path: "/hello", handler: httpAction(async () => new Response("from widget")) }); export default http;\n`,
      "convex.config.ts": `import { defineApp } from "convex/server";\nimport widget from "./widget/convex.config";\nconst app = defineApp();\napp.use(widget, { httpPrefix: "/w/" });\nexport default app;\n`,
    };
    const { started } = await push(backend, { base: false, files });
    expect(at(started, "analysis", "", "definition", "httpMounts")).toEqual({
      "/w/": "_reference/childComponent/widget",
    });
    expect(at(started, "app", "httpRoutes", "mounts")).toEqual(["/w/"]);
    expect(at(started, "app", "childComponents", "widget", "httpRoutes", "httpModuleRoutes")).toEqual([
      { method: "GET", path: "/hello" },
    ]);
    expect((await backend.site("/w/hello")).text).toBe("from widget");
    await push(backend, { base: false });
  });

  it("5.2 documents of a component that do not fit name component and table", async () => {
    await push(backend, { base: false, files: twoWidgets });
    await backend.value("mutation", "useWidget:bump", { name: "x" });
    const strict =
      twoWidgets["widget/schema.ts"]?.replace("value: v.number()", "value: v.number(), mandatory: v.string()") ?? "";
    const started = expectOk(
      await startPush(
        backend,
        await requestFor(backend, { base: false, files: { ...twoWidgets, "widget/schema.ts": strict } }),
      ),
      "start",
    );
    const waited = await waitUntilDecided(backend, started);
    expect(waited).toMatchObject({ type: "failed", tableName: "counters" });
    expect(["widget", "second"]).toContain(at(waited, "componentPath"));
    expect(String(at(waited, "error"))).toContain("is missing the required field `mandatory`");
    await push(backend, { base: false });
  });
});

describe("documents and schema", () => {
  const strict = {
    base: false,
    files: {
      "m.ts": code("9"),
      "schema.ts": schema("messages: defineTable({ author: v.string(), body: v.string(), mandatory: v.number() })"),
    },
  };

  it("5.2 a document that does not fit fails the validation, and the served code stays", async () => {
    await push(backend, plain);
    await backend.seed("messages", [{ author: "a2", body: "b" }]);
    const started = expectOk(await startPush(backend, await requestFor(backend, strict)), "start_push");
    const waited = await waitUntilDecided(backend, started);
    expect(waited).toMatchObject({ type: "failed", componentPath: "", tableName: "messages" });
    expect(at(waited, "error")).toMatch(
      /^Document with ID "[0-9a-z]+" in table "messages" does not match the schema: Object is missing the required field `mandatory`\. Consider wrapping the field validator in `v\.optional\(\.\.\.\)` if this is expected\.\n\nObject: \{author: "a2", body: "b"\}\nValidator: v\.object\(\{author: v\.string\(\), body: v\.string\(\), mandatory: v\.float64\(\)\}\)$/,
    );
    expect(expectOk(await waitForSchema(backend, started), "wait again")).toEqual(waited);
    const finish = await finishPush(backend, started);
    expect(finish).toMatchObject({ status: 400, json: { code: "SchemaAlreadyFailed" } });
    expect(at(finish.json, "message")).toMatch(
      /^Hit an error while pushing:\nSchema has already been failed with error: Document with ID /,
    );
    expect(await backend.value("query", "m:version")).toBe(1);
  });

  it("5.2 a write that does not fit between complete and finish_push succeeds and fails the push", async () => {
    // A table that no other case imports: what failed imports leave behind is not the matter here.
    const letters = schema("letters: defineTable({ body: v.string(), mandatory: v.number() })");
    await push(backend, plain);
    await backend.seed("letters", []);
    const wanted = await requestFor(backend, { base: false, files: { "m.ts": code("9"), "schema.ts": letters } });
    const started = expectOk(await startPush(backend, wanted), "start_push");
    expect(at(await waitUntilDecided(backend, started), "type")).toBe("complete");
    await backend.value("mutation", "m:write", { table: "letters", doc: { body: "b" } });
    const finish = await finishPush(backend, started);
    expect(finish).toMatchObject({ status: 400, json: { code: "SchemaAlreadyFailed" } });
    expect(at(finish.json, "message")).toContain(
      'Schema has already been failed with error: New document in table "letters" does not match the schema: ',
    );
    expect((await backend.post("/api/delete_tables", { tableNames: ["letters"] })).status).toBe(200);
  });

  it("5.2 a served schema is enforced on writes", async () => {
    await push(backend, plain);
    const answer = await backend.call("mutation", "m:write", { table: "messages", doc: { author: "a" } });
    expect(String(at(answer.json, "errorMessage"))).toContain('in table "messages"');
    expect(String(at(answer.json, "errorMessage"))).toContain("does not match the schema");
  });

  it("5.2 schemaValidation false accepts what does not fit; turning it on again finds it", async () => {
    const table = `${messages}`;
    const loose = {
      base: false,
      files: { "m.ts": code("1"), "schema.ts": schema(table, ", { schemaValidation: false }") },
    };
    await push(backend, loose);
    await backend.seed("messages", []);
    await backend.value("mutation", "m:write", { table: "messages", doc: { author: 5, z: true } });
    const on = { base: false, files: { "m.ts": code("1"), "schema.ts": schema(table) } };
    const started = expectOk(await startPush(backend, await requestFor(backend, on)), "start_push");
    const waited = await waitUntilDecided(backend, started);
    expect(waited).toMatchObject({ type: "failed", tableName: "messages" });
    await push(backend, loose);
    await backend.seed("messages", []);
    await push(backend, plain);
  });

  it("7.3 delete_tables refuses a table of the schema; unknown names and _storage do nothing", async () => {
    await push(backend, plain);
    const refuse = await backend.post("/api/delete_tables", { tableNames: ["messages"] });
    expect(refuse).toMatchObject({
      status: 400,
      json: {
        code: "SchemaEnforcementError",
        message: 'Failed to delete table "messages" because it appears in the schema',
      },
    });
    expect(await backend.post("/api/delete_tables", { tableNames: ["nope", "_storage"] })).toMatchObject({
      status: 200,
      text: "",
    });
  });
});

describe("pushes that overlap", () => {
  const overwritten = {
    code: "SchemaAlreadyOverwritten",
    message: "Hit an error while pushing:\nSchema has already been overwritten.",
  };
  const raced = {
    code: "RaceDetected",
    message: "Hit an error while pushing:\nEnvironment variables have changed during push",
  };
  const start = async (app: Parameters<typeof requestFor>[1], dryRun = false) =>
    expectOk(await startPush(backend, await requestFor(backend, app, dryRun)), "start_push");
  const waitType = async (started: unknown) => at(await waitUntilDecided(backend, started), "type");

  it("5.2 a pending schema that another push replaced: raceDetected, SchemaAlreadyOverwritten", async () => {
    await push(backend, plain);
    const stale = await start(second);
    const newer = await start(plain);
    expect(await waitType(stale)).toBe("raceDetected");
    expect(await waitType(newer)).toBe("complete");
    expect(await finishPush(backend, stale)).toMatchObject({ status: 400, json: overwritten });
    expect((await finishPush(backend, newer)).status).toBe(200);
  });

  it("5.2 a dry run overwrites a pending schema too", async () => {
    await push(backend, plain);
    const pending = await start(second);
    const third = {
      base: false,
      files: { ...plain.files, "schema.ts": schema(`${messages}.index("by_both", ["author", "body"])`) },
    };
    const dry = await start(third, true);
    expect(await waitType(dry)).toBe("complete");
    expect(await waitType(pending)).toBe("raceDetected");
    expect(expectOk(await finishPush(backend, dry, true), "dry finish")).toEqual({
      authDiff: { added: [], removed: [] },
      definitionDiffs: {},
      componentDiffs: {},
    });
    expect((await finishPush(backend, pending)).status).toBe(400);
    await push(backend, plain);
  });

  it("5.2 a dry run leaves its indexes behind: the next push reports them as removed, finish_push does not", async () => {
    await push(backend, plain);
    const dry = await start(second, true);
    await waitType(dry);
    await finishPush(backend, dry, true);
    const { started, finished } = await push(backend, plain);
    expect(
      listAt(started, "schemaChange", "indexDiffs", "", "removed_indexes").map((each) => at(each, "name")),
    ).toEqual(["messages.by_body"]);
    expect(at(finished, "componentDiffs", "", "indexDiff")).toEqual(noIndexes);
  });

  it("5.2 with equal schemas the older code can win; a repeated finish is an empty diff", async () => {
    await push(backend, plain);
    const older = await start({ base: false, files: { ...plain.files, "m.ts": code('"older"') } });
    const newer = await start({ base: false, files: { ...plain.files, "m.ts": code('"newer"') } });
    expect((await finishPush(backend, newer)).status).toBe(200);
    expect(await backend.value("query", "m:version")).toBe("newer");
    expect((await finishPush(backend, older)).status).toBe(200);
    expect(await backend.value("query", "m:version")).toBe("older");
    expect(at((await finishPush(backend, older)).json, "componentDiffs")).toEqual({ "": noChange });
  });

  it("5.2 a finished newer schema makes a stale push useless for good", async () => {
    await push(backend, plain);
    const stale = await start(plain);
    await push(backend, second);
    expect(await waitType(stale)).toBe("raceDetected");
    expect(await finishPush(backend, stale)).toMatchObject({ status: 400, json: overwritten });
    await push(backend, plain);
    expect(await waitType(stale)).toBe("raceDetected");
    expect(await finishPush(backend, stale)).toMatchObject({ status: 400, json: overwritten });
  });

  it("5.2 changed variables are a race; the same value, or change and back, is none", async () => {
    await push(backend, plain);
    await backend.setEnv({ MARK: "x" });
    const started = await start(plain);
    await backend.setEnv({ MARK: "z" });
    expect(await finishPush(backend, started)).toMatchObject({ status: 400, json: raced });
    await backend.setEnv({ MARK: null });
    expect(await finishPush(backend, started)).toMatchObject({ status: 400, json: raced });
    await backend.setEnv({ MARK: "x", OTHER: "new" });
    expect(await finishPush(backend, started)).toMatchObject({ status: 400, json: raced });
    await backend.setEnv({ MARK: "x", OTHER: null });
    expect((await finishPush(backend, started)).status).toBe(200);
    await backend.clearEnv();
  });

  it("5.2 changed variables win over an overwritten schema", async () => {
    await push(backend, plain);
    const stale = await start(second);
    await start(plain);
    await backend.setEnv({ MARK: "x" });
    expect(await finishPush(backend, stale)).toMatchObject({ status: 400, json: raced });
    await backend.clearEnv();
    expect(await finishPush(backend, stale)).toMatchObject({ status: 400, json: overwritten });
  });

  it("5.2 finish_push with dryRun of a real start changes nothing", async () => {
    await push(backend, plain);
    const started = await start({ base: false, files: { ...plain.files, "m.ts": code('"dry"') } });
    expect(at((await finishPush(backend, started, true)).json, "componentDiffs")).toEqual({});
    expect(await backend.value("query", "m:version")).toBe(1);
  });

  it("5.2 two starts at once with the same schema both finish", async () => {
    const request = await requestFor(backend, plain);
    const both = await Promise.all([startPush(backend, request), startPush(backend, request)]);
    for (const answer of both) {
      expect(answer.status).toBe(200);
      expect(await waitType(answer.json)).toBe("complete");
      expect((await finishPush(backend, answer.json)).status).toBe(200);
    }
  });
});

describe("wait_for_schema and finish_push with odd ids", () => {
  const wait = (schemaIds: Record<string, string | null>) =>
    backend.post("/api/deploy2/wait_for_schema", {
      adminKey: backend.key,
      schemaChange: { allocatedComponentIds: {}, schemaIds, indexDiffs: {} },
    });

  it("5.2 unknown ids are 500, unparseable ones 400, null is complete; adminKey and schemaChange are enough", async () => {
    const { started } = await push(backend, plain);
    const id = String(at(started, "schemaChange", "schemaIds", ""));
    expect(await wait({ "": `${id.slice(0, -3)}AAA` })).toMatchObject({
      status: 500,
      json: { code: "InternalServerError" },
    });
    expect(await wait({ "": "x" })).toMatchObject({
      status: 400,
      json: { code: "InvalidId", message: "Id `x` was invalid." },
    });
    expect((await wait({ "": null })).json).toEqual({ type: "complete" });
    expect((await wait({ "": id })).json).toEqual({ type: "complete" });
    expect(await wait({ nope: id })).toMatchObject({ status: 500 });
    const none = await backend.post("/api/deploy2/wait_for_schema", {
      adminKey: backend.key,
      timeoutMs: 1,
      dryRun: false,
    });
    expect(at(none.json, "message")).toContain("missing field `schemaChange`");
  });

  it("5.2 finish_push: an unknown storageKey is 500, the sha256 is not checked", async () => {
    const { started } = await push(backend, plain);
    const change = (replace: Record<string, unknown>) => {
      const copy = structuredClone(started) as Record<string, Record<string, Record<string, unknown>>>;
      Object.assign(copy["componentDefinitionPackages"]?.[""] ?? {}, replace);
      return copy;
    };
    expect((await finishPush(backend, change({ storageKey: "00000000-0000-4000-8000-000000000000" }))).status).toBe(
      500,
    );
    expect(
      (await finishPush(backend, change({ sha256: { $bytes: Buffer.alloc(32).toString("base64") } }))).status,
    ).toBe(200);
  });
});

describe("keys", () => {
  it("5.2 who may push", async () => {
    const { operationPermissions } = await probe(backend);
    const request = await requestFor(backend, plain);
    const started = expectOk(await startPush(backend, request), "start_push");
    await waitUntilDecided(backend, started);
    const calls = (adminKey: string) => [
      evaluatePush(backend, { ...request, adminKey }),
      startPush(backend, { ...request, adminKey }),
      backend.postBrotli("/api/deploy2/finish_push", { adminKey, startPush: started, dryRun: true, message: null }),
    ];
    for (const answer of await Promise.all([...calls(""), ...calls(backend.badKey)])) {
      expect(answer).toMatchObject({ status: 401, json: { code: "BadAdminKey" } });
    }
    for (const answer of await Promise.all(calls(backend.systemKey)))
      expect(answer).toMatchObject({ status: 403, json: { code: "BadDeployKey" } });
    for (const answer of await Promise.all(calls(backend.readOnlyKey))) {
      expect(answer.status).toBe(403);
      if (!operationPermissions) expect(readOnlyCodes).toContain(at(answer.json, "code"));
    }
    const headerBad = await backend.send("/api/deploy2/evaluate_push", {
      method: "POST",
      key: "x|y",
      body: JSON.stringify(request),
      headers: jsonHeaders,
    });
    expect(headerBad.status).toBe(200);
  });

  it("11 evaluate_schema is 404 with an empty body (M14 and HEAD)", async () => {
    if ((await probe(backend)).evaluateSchema) return;
    expect(await backend.postBrotli("/api/deploy2/evaluate_schema", await requestFor(backend, plain))).toMatchObject({
      status: 404,
      text: "",
    });
  });
});

describe("restart", () => {
  it.skipIf(!ownsProcess)("5.2 a start_push answer stays valid over a restart", async () => {
    const { start: launch, kill, discard } = await import("./support/process.ts");
    const first = await launch();
    let running = first;
    try {
      const target = new Backend().setTarget(first);
      await push(target, plain);
      const started = expectOk(
        await startPush(
          target,
          await requestFor(target, { base: false, files: { ...plain.files, "m.ts": code("7") } }),
        ),
        "start",
      );
      await kill(first);
      running = await launch({ dir: first.dir });
      target.setTarget(running);
      expect(at(await waitUntilDecided(target, started), "type")).toBe("complete");
      expect((await finishPush(target, started)).status).toBe(200);
      expect(await target.value("query", "m:version")).toBe(7);
    } finally {
      await discard(running);
    }
  });
});
