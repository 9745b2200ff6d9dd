import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isEmpty } from "../../../src/deploy/changes.ts";
import { indexGuard } from "../../../src/deploy/index-guard.ts";
import { checkServed } from "../../../src/deploy/push.ts";
import { PushError } from "../../../src/deployment/push.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { startNginx } from "../../support/nginx.ts";
import { clientFor, FakeBackend } from "../deployment/support.ts";
import { type App, clientOf, deployApp, newApp, ROOMS, SCHEMA } from "./support.ts";

const LONG = { timeout: 60_000 };
const none = { added: [], removed: [], changed: [] };

async function failed(work: Promise<unknown>): Promise<ActionError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ActionError);
  return error as ActionError;
}

async function textsBelow(path: string): Promise<Record<string, string>> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file, await readFile(file, "utf8")])));
}

let standin: Standin;
let app: App;
beforeAll(async () => {
  [standin, app] = await Promise.all([startStandin(), newApp()]);
  await deployApp(app, standin);
}, 60_000);
afterAll(async () => {
  await standin.stop();
  await app[Symbol.asyncDispose]();
});

describe("what changes", () => {
  it("is everything at first, then nothing, then what was changed, breaking changes named", LONG, async () => {
    await using fresh = await startStandin();
    await using own = await newApp({
      "convex/crons.ts": `import { cronJobs, makeFunctionReference } from "convex/server";
const crons = cronJobs();
crons.interval("tidy", { hours: 1 }, makeFunctionReference<"mutation">("rooms:add"), {});
export default crons;
`,
      "convex/http.ts": `import { httpActionGeneric as httpAction, httpRouter } from "convex/server";
const http = httpRouter();
http.route({ method: "GET", path: "/hello", handler: httpAction(async () => new Response("hi")) });
export default http;
`,
    });
    const first = await deployApp(own, fresh);
    expect(first.changes).toMatchObject({
      functions: { added: ["rooms:add", "rooms:list", "rooms:version"], removed: [], changed: [] },
      httpRoutes: { added: ["GET /hello"], removed: [], changed: [] },
      crons: { added: ["tidy"], removed: [], changed: [] },
      tables: { added: ["rooms"], removed: [], changed: [] },
      indexes: { added: ["rooms.by_name"], removed: [], changed: [] },
      breaking: [],
    });
    expect(first.changes.modules?.added).toEqual(["crons.js", "http.js", "rooms.js", "schema.js"]);
    expect(isEmpty((await deployApp(own, fresh)).changes)).toBe(true);

    await own.remove("convex/crons.ts");
    await own.write(
      "convex/rooms.ts",
      ROOMS.replace("owner: v.optional(v.string())", "owner: v.string()").replace(
        "export const version",
        "const version",
      ),
    );
    await own.write("convex/schema.ts", SCHEMA.replace('"by_name", ["name"]', '"by_first", ["name"]'));
    const third = await deployApp(own, fresh);
    expect(third.changes).toMatchObject({
      functions: { added: [], removed: ["rooms:version"], changed: ["rooms:list"] },
      modules: { added: [], removed: ["crons.js"] },
      httpRoutes: none,
      crons: { added: [], removed: ["tidy"], changed: [] },
      tables: none,
      indexes: { added: ["rooms.by_first"], removed: ["rooms.by_name"], changed: [] },
      breaking: [
        "rooms:list takes less than before: owner was optional, is required now.",
        "rooms:version is gone: clients that call it get an error.",
      ],
    });
  });

  it("is looked at without showing the relay", LONG, async () => {
    const { lines } = await deployApp(app, standin);
    expect(lines.all.join("\n")).toContain(standin.url);
    const ports = [...lines.all.join("\n").matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port);
    expect(new Set(ports)).toEqual(new Set([new URL(standin.url).port]));
  });

  it("goes through a proxy, the websocket for removed indexes too", LONG, async () => {
    await using fresh = await startStandin();
    await using proxy = await startNginx(
      `location / { proxy_pass ${fresh.url}; proxy_http_version 1.1; gzip on; gzip_types *;
       proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }`,
    );
    const through = { url: `http://127.0.0.1:${proxy.port}`, adminKey: fresh.adminKey };
    await using own = await newApp();
    await deployApp(own, through);
    await own.write("convex/schema.ts", SCHEMA.replace('.index("by_name", ["name"])', ""));
    expect((await deployApp(own, through)).changes.indexes?.removed).toEqual(["rooms.by_name"]);
  });
});

describe("components", () => {
  const WIDGET = {
    "convex/convex.config.ts": `import { defineApp } from "convex/server";
import widget from "./widget/convex.config";
const app = defineApp();
app.use(widget);
export default app;
`,
    "convex/widget/convex.config.ts": `import { defineComponent } from "convex/server";
export default defineComponent("widget");
`,
    "convex/widget/schema.ts": `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ counters: defineTable({ name: v.string() }).index("by_name", ["name"]) });
`,
    "convex/widget/counters.ts": `import { queryGeneric as query } from "convex/server";
export const all = query({ args: {}, handler: async (ctx) => (await ctx.db.query("counters").collect()).length });
`,
  };

  it("come, go and bring tables and indexes; a dry run does not check their types", LONG, async () => {
    await using fresh = await startStandin();
    await using own = await newApp(WIDGET);
    const dry = await deployApp(own, fresh, { "dry-run": "true" });
    expect(dry.notes.join()).toContain("because the app has components");
    expect(dry.changes).toMatchObject({
      components: { added: ["widget"], removed: [], changed: [] },
      functions: { added: ["rooms:add", "rooms:list", "rooms:version"] },
    });
    const { changes, facts } = await deployApp(own, fresh);
    expect(changes).toMatchObject({
      components: { added: ["widget"], removed: [], changed: [] },
      tables: { added: ["rooms", "widget/counters"], removed: [], changed: [] },
      indexes: { added: ["rooms.by_name", "widget/counters.by_name"], removed: [], changed: [] },
    });
    await checkServed(clientOf(fresh), facts.modules ?? new Map());
    for (const file of Object.keys(WIDGET)) await own.remove(file);
    expect((await deployApp(own, fresh)).changes.components).toEqual({ added: [], removed: ["widget"], changed: [] });
  });
});

describe("documents that do not fit", () => {
  it("are annotated at their table in schema.ts and not shown", LONG, async () => {
    await using fresh = await startStandin();
    await using own = await newApp();
    await deployApp(own, fresh);
    await clientOf(fresh).call("function", "rooms:add", {});
    await own.write("convex/schema.ts", SCHEMA.replace("name: v.string()", "name: v.number()"));
    const error = await failed(deployApp(own, fresh));
    expect(error.code).toBe("schema-violated");
    expect((error as PushError).annotations).toEqual([expect.objectContaining({ file: "convex/schema.ts", line: 4 })]);
    expect(error.message).toMatch(/Document with ID "\w+" in table "rooms"/);
    expect(JSON.stringify([error.message, (error as PushError).annotations])).not.toContain('name: "a"');
  });
});

describe("a dry run", () => {
  it("stores nothing: a push that runs beside it is not disturbed", LONG, async () => {
    await using fresh = await startStandin();
    await using own = await newApp();
    await using other = await own.copy();
    await other.write("convex/schema.ts", SCHEMA.replace("rooms:", "houses: defineTable({}), rooms:"));
    await other.write("convex/rooms.ts", ROOMS.replace("() => 1", "() => 2"));
    const before = await textsBelow(join(other.path, "convex"));
    const [real, dry] = await Promise.all([
      deployApp(own, fresh),
      deployApp(other, fresh, { "dry-run": "true" }),
      deployApp(other, fresh, { "dry-run": "true" }),
    ]);
    expect(real.changes.tables?.added).toEqual(["rooms"]);
    expect(dry.notes.join()).toContain("stored nothing");
    const again = await deployApp(other, fresh, { "dry-run": "true" });
    expect(again.changes).toMatchObject({
      functions: { added: [], removed: [], changed: [] },
      crons: none,
      tables: { added: ["houses"], removed: [], changed: [] },
      modules: { changed: ["rooms.js", "schema.js"] },
    });
    expect((await deployApp(own, fresh)).changes.indexes).toEqual(none);
    expect(await textsBelow(join(other.path, "convex"))).toEqual(before);
    expect(await clientOf(fresh).call("query", "rooms:version", {})).toMatchObject({ value: 1 });
  });

  it("fails where the deploy would: code, types", LONG, async () => {
    await using own = await app.copy();
    await own.write("convex/bad.ts", 'export const bad = (() => { throw new Error("at import"); })();\n');
    expect((await failed(deployApp(own, standin, { "dry-run": "true" }))).code).toBe("modules-invalid");
    await own.write("convex/bad.ts", "export const text: string = 1;\n");
    await own.write(
      "convex/tsconfig.json",
      JSON.stringify({
        compilerOptions: {
          target: "ESNext",
          module: "ESNext",
          moduleResolution: "Bundler",
          strict: true,
          skipLibCheck: true,
          noEmit: true,
          types: [],
        },
        include: ["./**/*"],
      }),
    );
    const error = await failed(deployApp(own, standin, { "dry-run": "true", typecheck: "enable" }));
    expect(error.code).toBe("typecheck-failed");
    expect(error).toBeInstanceOf(PushError);
    expect((error as PushError).annotations).toEqual([expect.objectContaining({ file: "convex/bad.ts", line: 1 })]);
  });
});

describe("indexes", () => {
  it("stay when schema.ts has vanished, unless that is allowed", LONG, async () => {
    await using fresh = await startStandin();
    await using own = await newApp();
    await deployApp(own, fresh);
    await own.remove("convex/schema.ts");
    const error = await failed(deployApp(own, fresh));
    expect(error.code).toBe("schema-vanished");
    expect(await clientOf(fresh).moduleHashes()).toHaveProperty("size", 3);
    const { changes } = await deployApp(own, fresh, { "allow-index-deletion": "true" });
    expect(changes.indexes?.removed).toEqual(["rooms.by_name"]);
    expect(changes.tables?.removed).toEqual(["rooms"]);
  });

  it("of large tables stay", async () => {
    const sizes: Record<string, number> = { large: 100_000, small: 99_999 };
    await using backend = await new FakeBackend((seen) => {
      const { args } = seen.json() as { args: { tableName: string } };
      return { json: { status: "success", value: sizes[args.tableName], logLines: [] } };
    }).listen();
    const guard = (...names: string[]): Promise<ActionError | undefined> =>
      indexGuard(
        { client: clientFor(backend.url), liveModules: new Map() },
        {},
        {
          "": { removed_indexes: names.map((name) => ({ name })) },
        },
      );
    expect(await guard("small.by_a")).toBeUndefined();
    expect(await guard()).toBeUndefined();
    const stopped = await guard("small.by_a", "large.by_b");
    expect(stopped?.code).toBe("index-deletion");
    expect(stopped?.message).toContain("large.by_b (100,000 documents)");
    expect(stopped?.message).not.toContain("small.by_a");
  });
});

describe("what is served", () => {
  it("is compared with what was pushed: older code that finishes later is noticed", LONG, async () => {
    await using other = await app.copy();
    await other.write("convex/rooms.ts", ROOMS.replace("() => 1", "() => 2"));
    const mine = await deployApp(app, standin);
    const theirs = await deployApp(other, standin);
    const error = await failed(checkServed(clientOf(standin), mine.facts.modules ?? new Map()));
    expect(error.code).toBe("deploy-overtaken");
    expect(error.message).toContain("rooms.js");
    await checkServed(clientOf(standin), theirs.facts.modules ?? new Map());
  });
});
