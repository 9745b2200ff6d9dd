import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type App, createApp, twoWidgets, variant } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { bundleApp } from "./support/bundle.ts";
import { convex, marked } from "./support/cli.ts";
import { at, listAt } from "./support/http.ts";
import { pushBundles, pushEmptyApp } from "./support/push.ts";

const backend = useBackend((target) => pushEmptyApp(target));
const quick = ["--typecheck", "disable", "--codegen", "disable"];
let app: App;
let base: Awaited<ReturnType<typeof bundleApp>>;
beforeAll(async () => {
  app = createApp();
  base = await bundleApp(app);
});
afterAll(() => app.remove());

const deploy = (args: readonly string[] = quick, options: { key?: string; env?: Record<string, string> } = {}) =>
  convex(backend, ["deploy", ...args], { cwd: app.dir, ...options });
const success = () => `✔ Deployed Convex functions to ${backend.url}`;
const schema = (indexes: string, more = "") => `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ messages: defineTable({ author: v.string(), body: v.string()${more} })${indexes},
  files: defineTable({ name: v.string(), storageId: v.id("_storage") }), nothing: defineTable({}), refs: defineTable({ message: v.id("messages") }), values: defineTable(v.any()) });\n`;
const baseSchema = schema('.index("by_author", ["author"])');

describe("success", () => {
  it("5.3 first deploy with the defaults: type check, codegen, indexes, exit 0, nothing on stdout", async () => {
    const { code, stdout, stderr } = await deploy([]);
    expect(stderr).toContain(success());
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    const steps = [
      `▌ └─ ${backend.url}`,
      `- Deploying to ${backend.url}...`,
      "✔ No indexes are deleted by this push",
      "Uploading functions to Convex...",
      "Generating TypeScript bindings...",
      "Running TypeScript...",
      "Pushing code to your Convex deployment...",
      "Schema validation complete.",
      "Finalizing push...",
      "✔ Added table indexes:",
      "  [+] messages.by_author   author, _creationTime",
      success(),
    ];
    let from = 0;
    for (const step of steps) {
      const found = stderr.indexOf(step, from);
      expect(found, `${step} in order in\n${stderr}`).toBeGreaterThanOrEqual(0);
      from = found;
    }
    expect(await backend.value("query", "messages:list")).toEqual([]);
    expect(await backend.value("query", "messages:byAuthor", { author: "x" })).toEqual([]);
    expect((await backend.site("/hello")).text).toBe("hello");
  });
});

describe("on the deployed fixture app", () => {
  // Without the CLI, whose start would take most of the time.
  beforeEach(async () => {
    await pushBundles(backend, base);
  });

  it("5.3 an unchanged schema changes nothing; in a GitHub Actions job with NO_COLOR there are no colours", async () => {
    const { code, stderr } = await deploy(quick, { env: { GITHUB_ACTIONS: "true", GITHUB_SHA: "0123456789abcdef" } });
    expect(marked(stderr)).toEqual(["✔ No indexes are deleted by this push", success()]);
    expect(stderr).not.toContain("\u001b[");
    expect(code).toBe(0);
  });

  it("5.3 a removed index: tableSize over the websocket, then Deleted table indexes", async () => {
    app.write({ "schema.ts": schema("") });
    const { code, stderr } = await deploy();
    app.write({ "schema.ts": baseSchema });
    expect(stderr).toContain("✔ No large indexes are deleted by this push");
    expect(stderr).toContain("✔ Deleted table indexes:\n  [-] messages.by_author   author, _creationTime");
    expect(code).toBe(0);
  });

  it("5.3 a dry run says what it would do, and serves nothing of it", async () => {
    app.write({
      "schema.ts": schema('.index("by_author", ["author"]).index("by_body", ["body"])'),
      "dry.ts": variant("lab.ts"),
    });
    const { code, stderr } = await deploy(["--dry-run", ...quick]);
    app.write({ "schema.ts": baseSchema, "dry.ts": null });
    expect(stderr).toContain(`- Deploying to ${backend.url}... [dry run]`);
    expect(stderr).toContain("✔ Would add table indexes:\n  [+] messages.by_body   body, _creationTime");
    expect(stderr).toContain(`✔ Would have deployed Convex functions to ${backend.url}`);
    expect(code).toBe(0);
    expect((await backend.call("query", "dry:urls")).text).toContain("Could not find public function");
  });

  it("5.3 components: installed or remounted, with codegen and type check; then unmounted", async () => {
    app.write(twoWidgets);
    const { code, stderr } = await deploy([]);
    expect(stderr).toMatch(
      /✔ (Installed|Remounted) component second\.\n✔ (Installed|Remounted) component widget\.\n✔ Deployed/,
    );
    expect(code).toBe(0);
    await backend.value("mutation", "useWidget:bump", { name: "n" });
    expect(listAt(await backend.value("query", "useWidget:all"), "widget").length).toBeGreaterThan(0);
    app.write(Object.fromEntries(["convex.config.ts", "useWidget.ts", "widget"].map((name) => [name, null])));
    expect((await deploy()).stderr).toContain("✔ Unmounted component second.\n✔ Unmounted component widget.");
  });

  it("5.3 --cmd runs first, with the canonical URLs", async () => {
    const urls = (await backend.get("/api/v1/get_canonical_urls")).json;
    const command = `${JSON.stringify(process.execPath)} -e "console.log('built', process.env.MY_URL, process.env.CONVEX_SITE_URL)"`;
    const { code, stdout } = await deploy(["--cmd", command, "--cmd-url-env-var-name", "MY_URL", ...quick]);
    expect(stdout).toContain(`built ${at(urls, "convexCloudUrl")} ${at(urls, "convexSiteUrl")}`);
    expect(code).toBe(0);
  });
});

describe("failure, exit 1", () => {
  beforeEach(async () => {
    await pushBundles(backend, base);
  });

  it("5.3 a type error, found after start_push; nothing new is served", async () => {
    app.write({ "bad.ts": `export const x: number = "s";\n` });
    const { code, stdout, stderr } = await deploy(["--codegen", "disable"]);
    app.write({ "bad.ts": null });
    expect(stderr).toContain(
      "✖ TypeScript typecheck via `tsc` failed.\nTo ignore failing typecheck, use `--typecheck=disable`.",
    );
    expect(stderr).toContain("TS2322");
    expect(stderr).not.toContain("Pushing code to your Convex deployment...");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });

  it("5.3 documents that do not fit the new schema", async () => {
    await backend.seed("messages", [{ author: "a2", body: "b" }]);
    app.write({ "schema.ts": schema('.index("by_author", ["author"])', ", mandatory: v.number()") });
    const { code, stderr } = await deploy();
    app.write({ "schema.ts": baseSchema });
    expect(marked(stderr).at(-1)).toBe("✖ Schema validation failed.");
    expect(stderr).toMatch(
      /Document with ID "[0-9a-z]+" in table "messages" does not match the schema: Object is missing the required field `mandatory`\./,
    );
    expect(code).toBe(1);
    expect(await backend.value("query", "messages:list")).toHaveLength(1);
    await backend.seed("messages", []);
  });

  it("5.3 a variable that auth.config reads is missing: it is named, no key is printed; set, the deploy works", async () => {
    app.write({ "auth.config.ts": variant("auth.config.env.ts") });
    const { code, stderr } = await deploy();
    expect(marked(stderr)).toEqual([
      "✖ Environment variable AUTH_DOMAIN is used in auth config file but its value was not set.",
    ]);
    expect(stderr).toContain(
      `Set it with:\n\n    npx convex env set --url ${backend.url} --admin-key <admin key> AUTH_DOMAIN <value>`,
    );
    expect(stderr).not.toContain(backend.key);
    expect(code).toBe(1);
    await backend.setEnv({ AUTH_DOMAIN: "https://issuer.example" });
    expect((await deploy()).code).toBe(0);
    app.write({ "auth.config.ts": null });
    await pushBundles(backend, base);
    await backend.clearEnv();
  });

  it("5.3 a key of another secret", async () => {
    const { code, stderr } = await deploy(quick, { key: backend.badKey });
    expect(marked(stderr)).toEqual([
      `✖ Error: Unable to pull deployment config from ${backend.url}`,
      `✖ Error fetching POST  ${backend.url}/api/get_config_hashes 401 Unauthorized: BadAdminKey: The provided admin key was invalid for this instance`,
    ]);
    expect(code).toBe(1);
  });

  it("5.3 a read-only key", async () => {
    const { code, stderr } = await deploy(quick, { key: backend.readOnlyKey });
    expect(marked(stderr)[0]).toBe(`✖ Error: Unable to start push to ${backend.url}`);
    expect(marked(stderr)[1]).toMatch(/^✖ You do not have permission to perform this operation/);
    expect(code).toBe(1);
  });

  it("5.3 a push error names evaluate_push, code and message", async () => {
    app.write({
      "bad.ts": `import { query } from "./_generated/server";\nthrow new Error("NEEDED is not set");\nexport const x = query({ args: {}, handler: () => 1 });\n`,
    });
    const { code, stderr } = await deploy();
    app.write({ "bad.ts": null });
    expect(marked(stderr)).toEqual([
      `✖ Error: Unable to start push to ${backend.url}`,
      `✖ Error fetching POST  ${backend.url}/api/deploy2/evaluate_push 400 Bad Request: InvalidModules: Hit an error while pushing:`,
    ]);
    expect(stderr).toContain(
      "Failed to analyze bad.js: Uncaught Error: NEEDED is not set\n    at <anonymous> (../convex/bad.ts:2:",
    );
    expect(code).toBe(1);
  });
});
