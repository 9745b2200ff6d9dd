import { execFile } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { importPKCS8, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueAdminKey } from "../../../src/credentials/admin-key.ts";
import { type AuthKeys, authVariables, generateAuthKeys } from "../../../src/credentials/auth-keys.ts";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { parseCalls, runCalls } from "../../../src/deployment/functions.ts";
import { importData, parseImport } from "../../../src/deployment/import.ts";
import { findProject } from "../../../src/deployment/project.ts";
import { push } from "../../../src/deployment/push.ts";
import { checkSignIn } from "../../../src/deployment/sign-in.ts";
import { parseVariables } from "../../../src/deployment/variables.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { collectLog, directoryWith, fakeDeps } from "./support.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const FILES = {
  "package.json": JSON.stringify({ type: "module", dependencies: { convex: "1.48.0" } }),
  "convex/auth.config.ts":
    'export default { providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: "convex" }] };\n',
  "convex/http.ts": `import { httpActionGeneric as httpAction, httpRouter } from "convex/server";
const http = httpRouter();
const site = () => process.env.CONVEX_SITE_URL;
http.route({ method: "GET", path: "/.well-known/openid-configuration", handler: httpAction(async () =>
  Response.json({ issuer: site(), jwks_uri: site() + "/.well-known/jwks.json", authorization_endpoint: site() + "/oauth/authorize" })) });
http.route({ method: "GET", path: "/.well-known/jwks.json", handler: httpAction(async () => {
  if (process.env.JWKS === undefined) throw new Error("JWKS is not set");
  return new Response(process.env.JWKS);
}) });
export default http;
`,
  "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ rooms: defineTable({ name: v.string() }) });
`,
  "convex/seed.ts": `import { internalMutationGeneric as internalMutation, queryGeneric as query } from "convex/server";
export const basic = internalMutation({ handler: async (ctx, { rooms }: { rooms: number }) => {
  console.log("seeding", rooms);
  for (let n = 0; n < rooms; n += 1) await ctx.db.insert("rooms", { name: "room " + n });
} });
export const count = query({ handler: async (ctx) => (await ctx.db.query("rooms").collect()).length });
export const who = query({ handler: async (ctx) => (await ctx.auth.getUserIdentity())?.subject ?? null });
`,
};

let standin: Standin;
let app: AsyncDisposable & { path: string };
let client: DeploymentClient;
let keys: AuthKeys;
const deps = fakeDeps({ clock: systemClock });

const clientWith = (adminKey: string): DeploymentClient =>
  new DeploymentClient({ ...deps, url: standin.url, adminKey });

beforeAll(async () => {
  [standin, app, keys] = await Promise.all([startStandin(), directoryWith(FILES), generateAuthKeys()]);
  await symlink(join(ROOT, "node_modules"), join(app.path, "node_modules"));
  const { instanceName, instanceSecret } = standin;
  client = clientWith(issueAdminKey({ instanceName, instanceSecret }));
  await push(deps, {
    project: await findProject(app.path),
    url: standin.url,
    adminKey: standin.adminKey,
    typecheck: "disable",
    codegen: "disable",
    repositoryRoot: app.path,
  });
});
afterAll(async () => {
  await standin.stop();
  await app[Symbol.asyncDispose]();
});

async function thrown(work: Promise<unknown>): Promise<ActionError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ActionError);
  return error as ActionError;
}

describe("keys", () => {
  it("of both formats are accepted, others told apart", async () => {
    const { instanceName, instanceSecret } = standin;
    expect(await client.checkAdminKey()).toBe("full");
    expect(await client.instanceName()).toBe(instanceName);
    const legacy = issueAdminKey({ instanceName, instanceSecret, format: "legacy" });
    expect(await clientWith(legacy).checkAdminKey()).toBe("full");
    for (const kind of ["read-only", "system"] as const) {
      const key = issueAdminKey({ instanceName, instanceSecret, kind });
      expect((await thrown(clientWith(key).checkAdminKey())).code).toBe("admin-key-forbidden");
    }
    const other = issueAdminKey({ instanceName: "other", instanceSecret });
    expect((await thrown(clientWith(other).checkAdminKey())).code).toBe("admin-key-rejected");
  });

  it("of the old format alone are accepted by the first images", async () => {
    await using first = await startStandin({ like: "first" });
    const { instanceName, instanceSecret } = first;
    const at = (format: "current" | "legacy"): DeploymentClient =>
      new DeploymentClient({
        ...deps,
        url: first.url,
        adminKey: issueAdminKey({ instanceName, instanceSecret, format }),
      });
    expect((await thrown(at("current").checkAdminKey())).code).toBe("admin-key-rejected");
    expect(await at("legacy").checkAdminKey()).toBe("decrypts");
    await at("legacy").updateVariables([{ name: "A", value: "1" }]);
    expect(await at("legacy").listVariables()).toEqual(new Map([["A", "1"]]));
    expect(await at("legacy").canonicalUrls()).toBeUndefined();
  });
});

describe("variables", () => {
  it("arrive byte for byte, equal to those of `convex env set --from-file`", async () => {
    const text = `# odd ones
PLAIN=a b
QUOTED="two
lines \\n three"
SINGLE='as it \\n is # here'
export EXPORTED=$HOME
PEM="-----BEGIN X-----
abc+/=
-----END X-----"
JSON={"a": [1, 2], "b": "c"}
EMPTY=
`.replace("abc", "a\r\nbc");
    const { variables } = parseVariables(text, "env");
    await client.updateVariables([...variables].map(([name, value]) => ({ name, value })));
    const ours = await client.listVariables();
    for (const [name, value] of variables) expect([name, ours.get(name)]).toEqual([name, value]);
    await client.updateVariables([...variables.keys()].map((name) => ({ name, value: null })));

    await writeFile(join(app.path, "a.env"), text);
    await promisify(execFile)(
      process.execPath,
      [join(ROOT, "node_modules/convex/bin/main.js"), "env", "set", "--from-file", "a.env"],
      {
        cwd: app.path,
        env: {
          ...process.env,
          CI: "1",
          CONVEX_SELF_HOSTED_URL: standin.url,
          CONVEX_SELF_HOSTED_ADMIN_KEY: standin.adminKey,
        },
      },
    );
    expect(await client.listVariables()).toEqual(ours);
  });

  it("that the backend refuses end in the errors that we give before the start", async () => {
    const set = (name: string, value: string): Promise<ActionError> =>
      thrown(client.updateVariables([{ name, value }]));
    expect((await set("1BAD", "x")).code).toBe("env-name-invalid");
    expect((await set("A".repeat(41), "x")).code).toBe("env-name-too-long");
    expect((await set("A", "x".repeat(8193))).code).toBe("env-value-too-long");
    expect((await set("CONVEX_SITE_URL", "x")).code).toBe("env-name-reserved");
  });
});

describe("pausing", () => {
  it("stops functions, not system queries", async () => {
    await client.pause();
    await client.pause();
    const error = await thrown(runCalls(client, deps, parseCalls("seed:count")));
    expect(error.message).toContain("paused");
    expect(await client.systemQuery("_system/cli/modules:apiSpec", {})).not.toEqual([]);
    await client.unpause();
    await client.unpause();
    expect(await client.call("query", "seed:count", {})).toMatchObject({ ok: true });
  });

  it("leaves the origins as they were", async () => {
    expect(await client.canonicalUrls()).toEqual({ cloud: standin.url, site: standin.siteUrl });
  });
});

describe("functions", () => {
  it("run, internal ones too, and their lines are printed", async () => {
    const lines = collectLog();
    const done = await runCalls(client, { ...deps, log: lines.log }, parseCalls('seed:basic {"rooms": 3}\nseed:count'));
    expect(done.map(({ path }) => path)).toEqual(["seed:basic", "seed:count"]);
    expect(lines.all.filter((line) => line.startsWith("foreign"))).toEqual([
      "foreign: [LOG] 'seeding' 3",
      "foreign: It returned 3",
    ]);
    expect((await thrown(runCalls(client, deps, parseCalls("seed:nope")))).hint).toContain("seed:basic");
  });
});

describe("imports", () => {
  const size = async (table: string): Promise<unknown> =>
    await client.systemQuery("_system/cli/tableSize", { tableName: table });

  it("take tables and snapshots", async () => {
    await using files = await directoryWith({
      "rooms.jsonl": '\uFEFF{"name":"a"}\n{"name":"b"}\n',
      "bad.jsonl": '{"name":5}\n',
      "rooms-more.csv": "name\nc\n",
    });
    const before = Number(await size("rooms"));
    const at = (text: string) => parseImport(text, files.path);
    expect((await importData(client, deps, at("rooms.jsonl"), { mode: "append" })).documents).toBe(2);
    expect((await importData(client, deps, at("rooms=rooms-more.csv"), { mode: "append" })).documents).toBe(1);
    expect(Number(await size("rooms"))).toBe(before + 3);
    const error = await thrown(importData(client, deps, at("rooms=bad.jsonl"), { mode: "append" }));
    expect([error.code, error.hint]).toEqual(["import-failed", expect.stringContaining("fit the deployed schema")]);
  });

  it("replace everything by a recorded snapshot", async () => {
    await using fresh = await startStandin();
    const other = new DeploymentClient({ ...deps, url: fresh.url, adminKey: fresh.adminKey });
    const source = parseImport("test/fixtures/snapshots/with-storage.zip", ROOT);
    const { documents } = await importData(other, deps, source, { mode: "replaceAll" });
    expect(documents).toBeGreaterThan(0);
    const tables = (await other.systemQuery("_system/cli/tables", {
      paginationOpts: { cursor: null, numItems: 100 },
    })) as {
      page: { name: string }[];
    };
    expect(tables.page.length).toBeGreaterThan(0);
  });
});

describe("a snapshot without documents", () => {
  it("is refused, because it would empty every table", async () => {
    const before = await client.systemQuery("_system/cli/tableSize", { tableName: "rooms" });
    expect(Number(before)).toBeGreaterThan(0);
    const source = parseImport("test/fixtures/snapshots/empty.zip", ROOT);
    expect((await thrown(importData(client, deps, source, { mode: "replaceAll" }))).code).toBe("import-empty");
    expect(await client.systemQuery("_system/cli/tableSize", { tableName: "rooms" })).toBe(before);
    const [newest] = (await client.systemQuery("_system/cli/queryImport:list", {})) as {
      state: { error_message?: string };
    }[];
    expect(newest?.state.error_message).toBe("Import canceled");
  });
});

describe("sign-in (contract 8.4)", () => {
  const check = (jwks?: string) =>
    checkSignIn(systemHttp, {
      siteUrl: standin.siteUrl,
      siteOrigin: standin.siteUrl,
      ...(jwks === undefined ? {} : { jwks }),
    });

  it("is found broken without keys and works with them, end to end", async () => {
    expect(await check()).toMatchObject([{ level: "warning", code: "sign-in-keys-missing" }]);
    const pairs = Object.entries(authVariables(keys, { siteOrigin: standin.siteUrl, appUrl: "http://localhost:5173" }));
    await client.updateVariables(pairs.map(([name, value]) => ({ name, value })));
    expect(await check(keys.jwks)).toMatchObject([{ level: "ok" }]);
    expect(await check((await generateAuthKeys()).jwks)).toMatchObject([
      { level: "error", code: "sign-in-keys-mismatch" },
    ]);

    const stored = (await client.listVariables()).get("JWT_PRIVATE_KEY") ?? "";
    const token = await new SignJWT({ sub: "user-1" })
      .setProtectedHeader({ alg: "RS256" })
      .setIssuer(standin.siteUrl)
      .setAudience("convex")
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(await importPKCS8(stored, "RS256"));
    const answer = await systemHttp.request(`${standin.url}/api/query`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ path: "seed:who", args: {} }),
    });
    expect(answer.json()).toMatchObject({ status: "success", value: "user-1" });
  });
});
