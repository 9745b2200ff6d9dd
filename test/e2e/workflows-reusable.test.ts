/**
 * The templates as a new user has them: copied into a repository that has nothing else of ours, the values filled in,
 * and run. They call the reusable workflows, which call the actions by the commit that they name.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { authVariables, generateAuthKeys } from "../../src/credentials/auth-keys.ts";
import { IssuesApi } from "../support/github-issues.ts";
import { type ActOptions, type ActRun, act, makeProject } from "./harness/act.ts";
import { type Deployment, startDeployment } from "./harness/deployment.ts";
import { filesInRunnerTemp } from "./harness/leftovers.ts";
import { root } from "./harness/tools.ts";
import { expectNoLeaks, expectNothingLeft, test } from "./support.ts";

/** What a user's own tests find in their environment. */
const TESTS = `import assert from "node:assert/strict";
import test from "node:test";
const { VITE_CONVEX_URL: url, CONVEX_SELF_HOSTED_URL, CONVEX_SITE_URL } = process.env;
test("the app finds its backend", async () => {
  assert.equal(url, CONVEX_SELF_HOSTED_URL);
  const body = JSON.stringify({ path: "rooms:greeting", args: {}, format: "json" });
  const answer = await fetch(url + "/api/query", { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal((await answer.json()).value, "hello-sentinel");
  assert.equal((await fetch(CONVEX_SITE_URL + "/rooms")).status, 200);
});
`;

const SECRETS = { CONVEX_ENV: "GREETING=hello-sentinel\nOPENAI_API_KEY='sk-sentinel \"quoted\" 4711'" };

async function template(
  name: string,
  options: Partial<ActOptions> & { files?: Record<string, string> } = {},
): Promise<ActRun> {
  const { files, ...rest } = options;
  const project = await makeProject("examples/chat", files);
  return await act({ project, workflow: join(root, "workflows-templates", name), ...rest });
}

/** Whether a step was carried out at all. */
const ran = (run: ActRun, step: string): boolean =>
  run.results(step).some((result) => result === "success" || result === "failure");

/** What the double of somebody else's action was given. */
const doubled = (run: ActRun, step: string): unknown =>
  JSON.parse(/^double of [^ ]+: (\{.*\})$/m.exec(run.output(step))?.[1] ?? "null");

const errors = (run: ActRun): string[] =>
  run.annotations.flatMap(({ level, message }) => (level === "error" ? [message] : []));

describe("the template for tests", () => {
  test("installs by the lock file, starts the backend and runs the tests", async ({ before }) => {
    const run = await template("convex-test.yml", {
      ...{ secrets: SECRETS, files: { "test/e2e.test.mjs": TESTS } },
    });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.output("project")).toContain("npm (package-lock.json): npm ci");
    expect(run.log).toMatch(/double of actions\/setup-node: .*"node-version":"24"/);
    expect(run.outputs("convex")["url"]).toBe("http://127.0.0.1:3210");
    expect(run.exported["VITE_CONVEX_URL"]).toBe("http://127.0.0.1:3210");
    expect(run.results("Test")).toEqual(["success"]);
    expectNoLeaks(run, "convex", { ...SECRETS, key: 'sk-sentinel "quoted" 4711', greeting: "hello-sentinel" });
    await expectNothingLeft(run, before);
  });

  test("fails when the tests do, and keeps their report", async ({ before }) => {
    const text = 'import test from "node:test";\ntest("no", () => { throw new Error("as it should"); });\n';
    const project = await makeProject("examples/chat", {
      "test/e2e.test.mjs": text,
      ".github/workflows/caller.yml": caller(
        "test",
        "artifacts: report/\n      artifact-name: e2e\n      prepare-command: mkdir report\n      command: npm run test:e2e",
      ),
    });
    const run = await act({ project, workflow: join(project, ".github/workflows/caller.yml") });
    expect(run.exitCode).not.toBe(0);
    expect(run.results("Test")).toEqual(["failure"]);
    expect(doubled(run, "Keep the report")).toMatchObject({ name: "e2e", path: "report/" });
    await expectNothingLeft(run, before);
  });

  test("says what is wrong with an input before anything is started", async ({ before }) => {
    const project = await makeProject("examples/chat", {
      ".github/workflows/caller.yml": caller("test", "version: latest"),
    });
    const run = await act({ project, workflow: join(project, ".github/workflows/caller.yml") });
    expect(run.errorCode, run.log).toBe("version-latest");
    expect(ran(run, "Test")).toBe(false);
    await expectNothingLeft(run, before);
  });
});

const POSTGRES_PASSWORD = "pg-sentinel-0123";

/** A caller of one reusable workflow with other inputs than the template's. */
const caller = (name: string, inputs: string): string => `on: push
jobs:
  call:
    uses: convex-selfhost/action/.github/workflows/${name}.yml@v1
    with:
      ${inputs}
    secrets: inherit
`;

describe("the templates for a running deployment", () => {
  let production: Deployment;
  let secrets: Record<string, string>;
  /** In two values, as it can be given as well. */
  const twoValues = (key: string): Pick<ActOptions, "vars" | "secrets"> => ({
    vars: { CONVEX_URL: production.url, CONVEX_SITE_URL: production.siteUrl },
    secrets: { CONVEX_ENV: secrets["CONVEX_ENV"] ?? "", CONVEX_ADMIN_KEY: key },
  });
  beforeAll(async () => {
    production = await startDeployment({ port: 4210 });
    const keys = authVariables(await generateAuthKeys(), { siteOrigin: production.siteUrl });
    const lines = Object.entries(keys).map(([name, value]) => `${name}='${value}'`);
    // The backend's own settings as they are on its server; the templates of backups get an .env.local.
    const connection = [
      ...[`CONVEX_CLOUD_ORIGIN='${production.url}'`, `CONVEX_SITE_ORIGIN=${production.siteUrl}`],
      ...["INSTANCE_NAME=production", `INSTANCE_SECRET=${production.instanceSecret}`],
      `POSTGRES_URL=postgresql://convex:${POSTGRES_PASSWORD}@db.example.com`,
    ].join("\n");
    secrets = { CONVEX_ENV: [SECRETS.CONVEX_ENV, ...lines].join("\n"), CONVEX_CONNECTION: connection };
  });
  afterAll(async () => {
    await production[Symbol.asyncDispose]();
  });
  const filledIn = (): Pick<ActOptions, "vars" | "secrets"> => ({
    vars: { CONVEX_SITE_URL: production.siteUrl },
    secrets,
  });

  test("deploy and examine it", async ({ before }) => {
    const run = await template("convex-deploy.yml", filledIn());
    expect(errors(run), run.log).toEqual([]);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("deploy")["deployed"]).toBe("true");
    expect(run.outputs("doctor")["ok"]).toBe("true");
    const answer = await fetch(`${production.url}/api/query`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: "rooms:greeting", args: {}, format: "json" }),
    });
    expect(await answer.json()).toMatchObject({ value: "hello-sentinel" });
    const beside = { secret: production.instanceSecret, postgres: POSTGRES_PASSWORD, greeting: "hello-sentinel" };
    expectNoLeaks(run, "deploy", { ...secrets, ...beside });
    // Each step has made a key of its own, and shown none.
    expect(run.log).not.toMatch(/production\|[0-9a-f]{66}/);
    expect(run.log).toContain(production.url);
    // The deployment itself keeps a process for Node actions from the first deploy on.
    const left = (await before.leftovers()).filter((line) => !line.includes("local.cjs"));
    expect(left).toEqual([]);
    expect(filesInRunnerTemp(run.home)).toEqual([]);
  });

  test("stop a deploy whose admin key is not the deployment's, with nothing changed", async ({ before }) => {
    const run = await template("convex-deploy.yml", twoValues(`production|${"01".repeat(40)}`));
    expect(run.exitCode).not.toBe(0);
    expect(errors(run).join("\n"), run.log).toContain("admin key");
    expect(run.outputs("deploy")["deployed"]).toBe("false");
    expect(ran(run, "doctor")).toBe(false);
    await expectNothingLeft(run, before);
  });

  test("say which value is missing when nothing was filled in", async ({ before }) => {
    const run = await template("convex-deploy.yml");
    expect(run.errorCode, run.log).toBe("input-missing");
    expect(run.error).toContain("CONVEX_CONNECTION");
    await expectNothingLeft(run, before);
  });

  test("touch no deployment that is named in two ways which differ", async ({ before }) => {
    const other = { CONVEX_URL: "https://other.example.com", CONVEX_SITE_URL: production.siteUrl };
    const run = await template("convex-doctor.yml", {
      ...{ ...filledIn(), vars: other, event: { name: "workflow_dispatch", payload: {} } },
    });
    expect(run.errorCode, run.log).toBe("input-conflict");
    expect(run.outputs("doctor")).toEqual({});
    await expectNothingLeft(run, before);
  });

  test("keep one issue about what is wrong, and close it when all is well", async ({ before }) => {
    const token = "ghs_sentinel0123456789";
    await using api = await new IssuesApi(token, "acme/app").listen();
    const doctor = async (vars: Record<string, string> = {}): Promise<ActRun> =>
      await template("convex-doctor.yml", {
        event: { name: "workflow_dispatch", payload: {} },
        vars: { ...filledIn().vars, ...vars },
        secrets: { ...secrets, GITHUB_TOKEN: token },
        env: { GITHUB_API_URL: api.url },
      });
    const ill = await doctor({ CONVEX_SITE_URL: "http://127.0.0.1:4999" });
    expect(ill.exitCode).not.toBe(0);
    expect(ill.errorCode, ill.log).toBe("doctor-findings");
    expect(api.issues).toMatchObject([{ state: "open", title: `Doctor: something is wrong with ${production.url}` }]);
    expect(api.issues[0]?.body).toContain("http-actions");
    expectNoLeaks(ill, "doctor", { ...secrets, GITHUB_TOKEN: token });
    const well = await doctor();
    expect(well.exitCode, well.log).toBe(0);
    expect(api.issues).toMatchObject([{ state: "closed", stateReason: "completed" }]);
    await expectNothingLeft(well, before);
  });
});
