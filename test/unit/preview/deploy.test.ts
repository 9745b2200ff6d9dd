/** What is put onto a preview, against the stand-in backend: what stays over pushes, what a fork gets. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { deployTo, fingerprintOf } from "../../../src/preview/deploy.ts";
import { type PreviewInputs, readPreviewInputs } from "../../../src/preview/inputs.ts";
import { type PreparedUp, prepareUp, type UpPlan } from "../../../src/preview/prepare.ts";
import type { UpReport } from "../../../src/preview/report.ts";
import { upSummary } from "../../../src/preview/summary.ts";
import { removeVariables, setVariables } from "../../../src/preview/variables.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { type Http, systemHttp } from "../../../src/system/http.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { scratch, testDeps } from "../backend/docker/support.ts";
import { newApp } from "../deploy/support.ts";

const PLAN: UpPlan = { action: "up", name: "pr-1", number: 1, commit: "a".repeat(40), branch: "topic", fork: false };
const DEFAULTS: Readonly<Record<string, string>> = {
  "preview-secret": "0123456789abcdef0123456789abcdef",
  deploy: "false",
};

let standin: Standin;
beforeAll(async () => {
  standin = await startStandin();
});
afterAll(() => standin.stop());

const inputsWith = (given: Readonly<Record<string, string>>): PreviewInputs =>
  readPreviewInputs((name) => ({ ...DEFAULTS, ...given })[name] ?? "");

async function prepared(
  given: Readonly<Record<string, string>> = {},
  plan: UpPlan = PLAN,
  env: Readonly<Record<string, string>> = {},
): Promise<PreparedUp> {
  return await prepareUp(inputsWith(given), plan, "acme/app", testDeps({ GITHUB_WORKSPACE: scratch(), ...env }));
}

async function deploy(
  what: PreparedUp,
  wish = { unchanged: false, seed: true },
): Promise<{ report: UpReport; variables: Map<string, string>; masked: readonly string[] }> {
  const deps = testDeps();
  const { url, siteUrl, adminKey } = standin;
  const client = new DeploymentClient({ ...deps, clock: systemClock, url, adminKey });
  let report: UpReport = {};
  const origins = { cloud: url, site: siteUrl };
  const tell = (facts: Partial<UpReport>): void => {
    report = { ...report, ...facts };
  };
  const unlisted = await deployTo(what, { client, adminKey, origins }, wish, new Timeline(systemClock, 0), tell, deps);
  if (unlisted.length > 0) tell({ variablesRemoved: (await removeVariables(unlisted, client, deps)).removed });
  return { report, variables: await client.listVariables(), masked: deps.masked };
}

describe("deployTo", () => {
  it("makes the keys of Convex Auth once, and keeps them over later ups", async () => {
    const first = await deploy(await prepared({ auth: "convex-auth", "app-url": "https://app.example.com" }));
    expect(first.report.variables).toEqual(["JWKS", "JWT_ISSUER", "JWT_PRIVATE_KEY", "SITE_URL"]);
    const again = await deploy(await prepared({ auth: "convex-auth", "app-url": "https://other.example.com" }));
    expect(again.report.variables).toEqual(["SITE_URL"]);
    expect(again.variables.get("JWT_PRIVATE_KEY")).toBe(first.variables.get("JWT_PRIVATE_KEY"));
    expect(again.masked).toContain(first.variables.get("JWT_PRIVATE_KEY"));
  });

  it("sets what differs, and pushes nothing where commit and variables are the same", async () => {
    const what = await prepared({ env: "A=1\nB=2" });
    expect((await deploy(what)).report.variables).toEqual(["A", "B"]);
    expect((await deploy(what, { unchanged: true, seed: false })).report).toEqual({
      variables: [],
      deployed: "unchanged",
    });
    const other = await prepared({ env: "A=1\nB=3" });
    expect((await deploy(other, { unchanged: true, seed: false })).report).toEqual({ variables: ["B"] });
  });

  it("removes by name what is not listed any more, but for its own keys and what env-keep names", async () => {
    await deploy(await prepared({ auth: "convex-auth", env: "A=1\nB=2\nKEPT_BY_HAND=3" }));
    const { report, variables } = await deploy(await prepared({ env: "A=1", "env-keep": "KEPT_*" }), {
      unchanged: true,
      seed: false,
    });
    expect(report).toEqual({ variables: [], deployed: "unchanged", variablesRemoved: ["B"] });
    expect([...variables.keys()].sort()).toEqual(["A", "JWKS", "JWT_ISSUER", "JWT_PRIVATE_KEY", "KEPT_BY_HAND"]);
    // The job lacks its secret this once: what it was stays.
    const names = await prepared({ "env-names": "A" }, PLAN, { A: "" });
    expect((await deploy(names)).report).toMatchObject({ variablesRemoved: ["KEPT_BY_HAND"] });
    expect((await deploy(names)).variables.get("A")).toBe("1");
  });

  it("keeps by name what the code reads, though nothing lists it", async () => {
    await using app = await newApp({
      "convex/hand.ts": "export const key = process.env.SET_BY_HAND;\n",
      "convex/convex.config.ts":
        'import { defineApp } from "convex/server";\nimport { v } from "convex/values";\nexport default defineApp({ env: { REQUIRED: v.string() } });\n',
      "convex/auth.config.ts": "export default { providers: [{ domain: process.env.ISSUER, applicationID: 'a' }] };\n",
    });
    await using own = await startStandin();
    const deps = testDeps();
    const client = new DeploymentClient({ ...deps, clock: systemClock, url: own.url, adminKey: own.adminKey });
    const names = ["SET_BY_HAND", "REQUIRED", "ISSUER", "OLD"];
    await client.updateVariables(names.map((name) => ({ name, value: "https://a.example" })));
    const { deployable, inputs } = await prepared({ deploy: "true" }, PLAN, { GITHUB_WORKSPACE: app.path });
    const { plan, read } = await setVariables(deployable, inputs, { client, siteOrigin: own.siteUrl }, deps);
    expect(plan).toMatchObject({ remove: ["OLD"], leave: ["ISSUER", "REQUIRED", "SET_BY_HAND"] });
    const places =
      "ISSUER (convex/auth.config.ts:1), REQUIRED (convex/convex.config.ts:3), SET_BY_HAND (convex/hand.ts:1)";
    expect(read).toBe(places);
    const notices = deps.lines.filter(({ level }) => level === "notice").map(({ message }) => message);
    expect(notices).toEqual([expect.stringMatching(/^The workflow does not list ISSUER .* env-keep\.$/)]);
    const summary = upSummary({ variablesRead: places, variablesRefused: ["OLD"] }, new Timeline(systemClock, 0));
    expect(summary).toMatch(/SET_BY_HAND.*hand\.ts:1.*env-keep/);
    expect(summary).toMatch(/not removed.*OLD/);
  });

  it("is up all the same when the backend does not answer to the removal of variables", async () => {
    await using silent = createServer(() => undefined).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const deps = testDeps();
    const http: Http = {
      ...systemHttp,
      request: (target, options) => systemHttp.request(target, { ...options, timeoutMs: 50 }),
    };
    const client = new DeploymentClient({ ...deps, http, url, adminKey: standin.adminKey });
    expect(await removeVariables(["OLD", "OLDER"], client, deps)).toEqual({ removed: [], refused: ["OLD", "OLDER"] });
    const warnings = deps.lines.filter(({ level }) => level === "warning").map(({ message }) => message);
    expect(warnings).toEqual([expect.stringMatching(/OLD, OLDER, which could not be removed: .*no whole answer/)]);
  });

  it("seeds only what no up came to its end on", async () => {
    const folder = scratch();
    writeFileSync(join(folder, "rooms.jsonl"), '{"name":"one"}\n{"name":"two"}\n');
    const what = await prepared({ import: "rooms.jsonl" }, PLAN, { GITHUB_WORKSPACE: folder });
    expect((await deploy(what, { unchanged: false, seed: false })).report).not.toHaveProperty("imported");
    // Twice, as after an interruption: the table is replaced, not doubled.
    for (let time = 0; time < 2; time += 1) {
      expect((await deploy(what)).report.imported).toBe("2 documents from 1 files");
    }
    const client = new DeploymentClient({
      ...testDeps(),
      clock: systemClock,
      url: standin.url,
      adminKey: standin.adminKey,
    });
    const page = await client.systemQuery("_system/cli/tableData", {
      table: "rooms",
      order: "asc",
      paginationOpts: { cursor: null, numItems: 10 },
    });
    expect((page as { page: unknown[] }).page).toHaveLength(2);
  });
});

describe("fingerprintOf", () => {
  it("differs by what would be deployed, and by the preview's own key", async () => {
    const all = await Promise.all([
      prepared(),
      prepared({}, { ...PLAN, commit: "b".repeat(40) }),
      prepared({ "working-directory": "other" }),
      prepared({ version: `sha256:${"1".repeat(64)}` }),
      prepared({}, { ...PLAN, name: "pr-2" }),
    ]);
    expect(new Set(all.map(fingerprintOf)).size).toBe(all.length);
    expect(fingerprintOf(await prepared())).toBe(fingerprintOf(await prepared()));
  });
});

describe("prepareUp for a fork", () => {
  const fork: UpPlan = { ...PLAN, fork: true };
  const push = { functions: "convex/", appDefinition: { changedModules: [], unchangedModuleHashes: [] } };
  const file = { format: 1, cliVersion: "1.48.0", push: { ...push, componentDefinitions: [], nodeDependencies: [] } };

  function workspace(): string {
    const folder = scratch();
    writeFileSync(join(folder, "push.json"), JSON.stringify(file));
    return folder;
  }

  it("takes fork-env and nothing else of what the workflow has", async () => {
    const given = {
      "push-file": "push.json",
      "fork-env": "GREETING=hello",
      "fork-label": "ok",
      env: "A=1",
      "env-names": "SECRET",
      "postgres-url": "postgresql://user:password@db.example.com",
      deploy: "true",
    };
    const env = { GITHUB_WORKSPACE: workspace(), SECRET: "sentinel-of-the-step" };
    const what = await prepared(given, fork, env);
    expect([...what.deployable.variables("https://site", undefined).values]).toEqual([["GREETING", "hello"]]);
    expect(what).not.toHaveProperty("database");
    expect(what.deployable).not.toHaveProperty("project");
    expect(what.inputs.exportEnv).toBe(false);
  });

  it.each([
    ["input-missing", {}],
    ["input-conflict", { "push-file": "push.json", "backend-env": "AWS_SECRET_ACCESS_KEY=sentinel" }],
    ["push-file-invalid", { "push-file": "absent.json" }],
  ] as const)("answers with %s to %j", async (code, given) => {
    const env = { GITHUB_WORKSPACE: workspace() };
    await expect(prepared(given as Record<string, string>, fork, env)).rejects.toMatchObject({ code });
  });
});
