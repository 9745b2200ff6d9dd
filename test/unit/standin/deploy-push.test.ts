import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { moduleHash } from "../../standin/deploy/code.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { bundleSource } from "./bundle-source.ts";

type Json = Record<string, unknown>;
interface Answer {
  readonly status: number;
  readonly json: Json;
}

let standin: Standin;

beforeAll(async () => {
  standin = await startStandin();
});
afterAll(() => standin.stop());

async function post(path: string, body: Json): Promise<Answer> {
  const response = await fetch(`${standin.url}/api/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ adminKey: standin.adminKey, ...body }),
  });
  return { status: response.status, json: (await response.json()) as Json };
}

const MESSAGES = `import { mutationGeneric as mutation, queryGeneric as query } from "convex/server";
export const version = query({ args: {}, handler: () => "VERSION" });
export const add = mutation({ args: {}, handler: (ctx: any) => ctx.db.insert("notes", { text: "x" }) });
`;
const AUTH = `export default { providers: [{ domain: process.env.AUTH_DOMAIN!, applicationID: "convex" }] };`;

async function pushBody(files: Record<string, string>, more: Json = {}): Promise<Json> {
  const changedModules = [];
  for (const [file, source] of Object.entries(files))
    changedModules.push({ ...(await bundleSource(`convex/${file}`, source)), environment: "isolate" });
  const appDefinition = {
    definition: null,
    dependencies: [],
    schema: null,
    changedModules,
    unchangedModuleHashes: [],
    udfServerVersion: "1.48.0",
    ...more,
  };
  return { dryRun: false, functions: "convex/", appDefinition, componentDefinitions: [], nodeDependencies: [] };
}

async function deploy(files: Record<string, string>, more?: Json): Promise<Answer> {
  const started = await post("deploy2/start_push", await pushBody(files, more));
  if (started.status !== 200) return started;
  return post("deploy2/finish_push", { startPush: started.json, dryRun: false, message: null });
}

const run = async (path: string, kind = "query") => (await post(kind, { path, args: {} })).json["value"];

describe("a push (contract 5.2)", () => {
  it("serves the code that was finished, not what was only started", async () => {
    const first = await deploy({ "messages.ts": MESSAGES });
    expect(first.json).toMatchObject({
      componentDiffs: { "": { diffType: { type: "create" }, moduleDiff: { added: ["messages.js"] } } },
    });
    const next = await post("deploy2/start_push", await pushBody({ "messages.ts": MESSAGES.replace("VERSION", "v2") }));
    expect(await run("messages:version")).toBe("VERSION");
    const answer = await post("deploy2/finish_push", { startPush: next.json, dryRun: false, message: null });
    expect(answer.json).toMatchObject({
      componentDiffs: { "": { diffType: { type: "modify" }, moduleDiff: { added: [], removed: [] } } },
    });
    expect(await run("messages:version")).toBe("v2");
  });

  it("takes unchanged modules from what is deployed, by their hashes", async () => {
    await deploy({ "messages.ts": MESSAGES });
    const module = await bundleSource("convex/messages.ts", MESSAGES);
    const unchanged = {
      path: "messages.js",
      environment: "isolate",
      sha256: moduleHash({ ...module, environment: "isolate" }),
    };
    expect((await deploy({}, { unchangedModuleHashes: [unchanged] })).status).toBe(200);
    expect(await run("messages:version")).toBe("VERSION");
    const changed = await deploy({}, { unchangedModuleHashes: [{ ...unchanged, sha256: "0" }] });
    expect(changed).toMatchObject({ status: 409, json: { code: "ExistingModuleHashConflict" } });
    const missing = await deploy({}, { unchangedModuleHashes: [{ ...unchanged, path: "other.js" }] });
    expect(missing).toMatchObject({ status: 409, json: { code: "MissingExistingModule" } });
  });

  it("is a race when variables change before it is finished", async () => {
    const started = await post("deploy2/start_push", await pushBody({ "messages.ts": MESSAGES }));
    await standin.backend.environment.update([{ name: "A", value: "1" }]);
    const answer = await post("deploy2/finish_push", { startPush: started.json, dryRun: false, message: null });
    expect(answer).toMatchObject({ status: 400, json: { code: "RaceDetected" } });
    await standin.backend.environment.update([{ name: "A", value: undefined }]);
  });

  it("writes documents that queries read", async () => {
    await deploy({ "messages.ts": MESSAGES });
    expect(await run("messages:add", "mutation")).toMatch(/^[a-z0-9]{32}$/);
    expect(standin.backend.store.read((tx) => tx.count("", "notes"))).toBe(1);
  });
});

describe("the auth config (contract 4.4)", () => {
  const missing = "Environment variable AUTH_DOMAIN is used in auth config file but its value was not set\n";

  it("wants its variable at every push and at every change of variables", async () => {
    const files = { "messages.ts": MESSAGES, "auth.config.ts": AUTH };
    for (const _ of [1, 2]) {
      const answer = await deploy(files);
      expect(answer).toMatchObject({
        status: 400,
        json: {
          code: "AuthConfigMissingEnvironmentVariable",
          message: expect.stringContaining(`Hit an error while pushing:\n${missing.trim()}`),
        },
      });
    }
    const { environment } = standin.backend;
    await environment.update([{ name: "AUTH_DOMAIN", value: "https://issuer.example" }]);
    expect((await deploy(files)).json).toMatchObject({
      authDiff: { added: ['{"applicationID":"convex","domain":"https://issuer.example"}'] },
    });
    await expect(environment.update([{ name: "AUTH_DOMAIN", value: undefined }])).rejects.toMatchObject({
      code: "AuthConfigMissingEnvironmentVariable",
    });
    await expect(environment.update([{ name: "AUTH_DOMAIN", value: "not a url" }])).rejects.toMatchObject({
      code: "InvalidAuthConfig",
      message:
        'This change would make the auth config invalid: Invalid provider domain URL "not a url": invalid international domain name',
    });
    expect((await deploy({ "messages.ts": MESSAGES })).json).toMatchObject({
      authDiff: { removed: ['{"applicationID":"convex","domain":"https://issuer.example"}'] },
    });
  });
});
