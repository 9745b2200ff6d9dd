/** The templates of backups as a new user has them: back up, look how old it is, restore it, rehearse an upgrade. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { FakeArtifacts } from "../support/artifacts.ts";
import { IssuesApi } from "../support/github-issues.ts";
import { startS3 } from "../support/s3.ts";
import { type ActOptions, type ActRun, act, makeProject } from "./harness/act.ts";
import { type Deployment, startDeployment } from "./harness/deployment.ts";
import { filesInRunnerTemp } from "./harness/leftovers.ts";
import { root } from "./harness/tools.ts";
import { world } from "./harness/world.ts";
import { expectNoLeaks, expectNothingLeft, test } from "./support.ts";

const TOKEN = "ghs_sentinel0123456789";
const text = "backed-up-sentinel";

describe("the templates of backups", () => {
  let production: Deployment;
  let api: IssuesApi;
  let project: string;
  let identity: string;
  let vars: Record<string, string>;
  let backups: string;
  let connection: string;

  beforeAll(async () => {
    [production, api, identity] = await Promise.all([
      startDeployment({ port: 4310 }),
      new IssuesApi(TOKEN, "acme/app").listen(),
      generateX25519Identity(),
    ]);
    backups = join(mkdtempSync(join(world().scratch, "off-site-")), "backups");
    project = await makeProject("examples/chat");
    connection = [
      ...["# A whole .env.local", `VITE_CONVEX_URL=${production.url}`, "OPENAI_API_KEY=sk-sentinel-beside"],
      ...[`CONVEX_SELF_HOSTED_URL='${production.url}'`, `CONVEX_SELF_HOSTED_ADMIN_KEY='${production.adminKey}'`],
    ].join("\n");
    vars = {
      CONVEX_URL: production.url,
      CONVEX_BACKUPS: `dir:${backups}`,
      CONVEX_BACKUP_RECIPIENTS: await identityToRecipient(identity),
    };
    const lines = join(mkdtempSync(join(world().scratch, "seed-")), "rooms.jsonl");
    writeFileSync(lines, `${JSON.stringify({ name: text })}\n`);
    const deployed = await template("convex-deploy.yml", {
      secrets: { CONVEX_ADMIN_KEY: production.adminKey, CONVEX_ENV: "GREETING=hello there" },
      fill: (yaml) =>
        yaml.replace(
          "environment: production",
          'environment: production\n      doctor: false\n      run: |\n        seed:basic {"rooms": 3}',
        ),
    });
    expect(deployed.exitCode, deployed.log).toBe(0);
  }, 200_000);
  afterAll(async () => {
    await production[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
  });

  /** Runs a template with its comments filled in by `fill`. */
  async function template(
    name: string,
    { fill = (yaml) => yaml, secrets = {}, ...more }: Partial<ActOptions> & { fill?: (yaml: string) => string } = {},
  ): Promise<ActRun> {
    const yaml = readFileSync(join(root, "workflows-templates", name), "utf8");
    const folder = mkdtempSync(join(world().scratch, "caller-"));
    const workflow = join(folder, name);
    writeFileSync(workflow, fill(yaml));
    const run = await act({
      ...{
        project,
        workflow,
        vars,
        event: { name: "workflow_dispatch", payload: {} },
        env: { GITHUB_API_URL: api.url },
      },
      ...{ secrets: { GITHUB_TOKEN: TOKEN, ...secrets }, timeoutMs: 280_000, ...more },
    });
    rmSync(folder, { recursive: true });
    return run;
  }

  const errors = (run: ActRun): string[] =>
    run.annotations.flatMap(({ level, message }) => (level === "error" ? [message] : []));
  const images = (yaml: string): string => yaml.replace("runtime: binary", "runtime: docker");
  const age = (): Promise<ActRun> => template("convex-backup-freshness.yml");

  test("say that there is no backup yet, in an issue", { timeout: 200_000 }, async ({ before }) => {
    mkdirSync(backups, { recursive: true });
    const run = await age();
    expect(run.exitCode, run.log).not.toBe(0);
    expect(api.issues).toMatchObject([{ state: "open" }]);
    await expectNothingLeft(run, before);
  });

  test("make a backup that only the key opens", { timeout: 300_000 }, async ({ before }) => {
    const run = await template("convex-backup.yml", {
      ...{ vars: { ...vars, CONVEX_URL: "" }, secrets: { CONVEX_CONNECTION: connection } },
      fill: (yaml) => yaml.replace("# backend-version: 2026-09-28-5c7cb5b", "backend-version: 2026-09-28-5c7cb5b"),
    });
    expect(errors(run), run.log).toEqual([]);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("backup")["backup-id"]).toMatch(/^\d{4}-/);
    expect(readdirSync(backups)).toHaveLength(1);
    expectNoLeaks(run, "backup", { key: production.adminKey, connection, beside: "sk-sentinel-beside" });
    expect(await before.leftovers()).toEqual([]);
    expect(filesInRunnerTemp(run.home)).toEqual([]);
  });

  test("make a backup among the repository's artifacts, and find it there, where no other place is named", {
    timeout: 400_000,
  }, async () => {
    await using github = await new FakeArtifacts("acme/app").listen();
    const { ACTIONS_RUNTIME_TOKEN, ACTIONS_RESULTS_URL, GITHUB_API_URL } = github.env("1");
    const nowhere = {
      vars: { CONVEX_BACKUP_RECIPIENTS: vars["CONVEX_BACKUP_RECIPIENTS"] ?? "" },
      secrets: { CONVEX_CONNECTION: connection, GITHUB_TOKEN: github.token },
      env: { ACTIONS_RUNTIME_TOKEN, ACTIONS_RESULTS_URL, GITHUB_API_URL },
    };
    const made = await template("convex-backup.yml", nowhere);
    expect(errors(made), made.log).toEqual([]);
    expect(made.exitCode, made.log).toBe(0);
    const { "backup-id": id } = made.outputs("backup");
    expect(github.artifacts.map(({ name }) => name).sort()).toEqual(
      ["env.json.age", "manifest.json", "snapshot.zip.age"].map((name) => `convex-backup~${id}~${name}`),
    );
    // The issue is kept by another part of GitHub's API, which is not here.
    const fill = (yaml: string): string =>
      yaml.replace("max-backup-age: 26h", "max-backup-age: 26h\n      issue: false");
    const found = await template("convex-backup-freshness.yml", { ...nowhere, fill });
    expect(found.exitCode, found.log).toBe(0);
    expect(found.outputs("freshness")["findings"], found.log).toContain(id);
    expectNoLeaks(made, "backup", { key: production.adminKey, token: github.token });
  });

  test("find the backup fresh, and close the issue", { timeout: 200_000 }, async ({ before }) => {
    const run = await age();
    expect(run.exitCode, run.log).toBe(0);
    expect(api.issues).toMatchObject([{ state: "closed", stateReason: "completed" }]);
    await expectNothingLeft(run, before);
  });

  test("restore it into a backend of the job, with the code that it is of, and keep the report", {
    timeout: 300_000,
  }, async ({ before }) => {
    const run = await template("convex-restore-drill.yml", {
      secrets: { AGE_IDENTITY: identity },
      fill: (yaml) => yaml.replace("# max-rto: 60m", "max-rto: 60m").replace("# max-rpo: 26h", "max-rpo: 26h"),
    });
    expect(errors(run), run.log).toEqual([]);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("backup")["commit"]).toMatch(/^[0-9a-f]{40}$/);
    expect(run.outputs("restore")["verified"]).toBe("true");
    expect(Number(run.outputs("restore")["rpo-seconds"])).toBeGreaterThanOrEqual(0);
    expect(run.output("Keep the report")).toContain("double of actions/upload-artifact");
    expectNoLeaks(run, "convex", { identity });
    expect(await before.leftovers()).toEqual([]);
  });

  test("rehearse an upgrade of it, on the present release and a later one", { timeout: 400_000 }, async ({
    before,
  }) => {
    const payload = {
      inputs: { from: "2026-09-28-5c7cb5b", to: JSON.stringify([world().image.other.commit]) },
    };
    const run = await template("convex-upgrade-rehearsal.yml", {
      ...{ secrets: { AGE_IDENTITY: identity }, event: { name: "workflow_dispatch", payload } },
      args: ["--input", `from=${payload.inputs.from}`, "--input", `to=${payload.inputs.to}`],
      fill: images,
    });
    expect(errors(run), run.log).toEqual([]);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("upgrade")["safe"]).not.toBe("");
    expect(run.output("Keep the report")).toContain("double of actions/upload-artifact");
    expectNoLeaks(run, "upgrade", { identity });
    expect(await before.leftovers()).toEqual([]);
  });

  test("back up before a deploy where that is asked for, by a role, and deploy nothing without it", {
    timeout: 400_000,
  }, async () => {
    await using s3 = await startS3();
    await s3.client.send(new CreateBucketCommand({ Bucket: "acme-backups" }));
    const role = join(mkdtempSync(join(world().scratch, "role-")), "credentials.json");
    writeFileSync(role, JSON.stringify(s3.env));
    const asked = {
      vars: { ...vars, CONVEX_BACKUPS: "s3://acme-backups/convex" },
      secrets: {
        ...{ CONVEX_ADMIN_KEY: production.adminKey, CONVEX_ENV: "GREETING=hello again" },
        // They do not count where there is a role.
        ...{ AWS_ACCESS_KEY_ID: "AKIASTOREDSENTINEL01", AWS_SECRET_ACCESS_KEY: "stored-sentinel" },
      },
      env: { DOUBLE_AWS: role },
      fill: (yaml: string) =>
        yaml.replace(
          "# backup: true",
          [
            ...["backup: true", "doctor: false", "aws-role: arn:aws:iam::123456789012:role/convex-backup"],
            ...[`s3-region: ${s3.region}`, `s3-endpoint: ${s3.endpoint}`, "s3-force-path-style: true"],
          ].join("\n      "),
        ),
    };
    const stored = (): string[] => readdirSync(join(s3.data, "acme-backups"), { recursive: true, encoding: "utf8" });
    const deployed = await template("convex-deploy.yml", asked);
    expect(errors(deployed), deployed.log).toEqual([]);
    expect(deployed.log).toMatch(
      /double of aws-actions\/configure-aws-credentials: .*"role-to-assume":"arn:aws:iam::123456789012:role\/convex-backup"/,
    );
    const { "backup-id": id = "" } = deployed.outputs("backup");
    expect(stored()).toContain(`convex/${id}/manifest.json`);
    expect(deployed.outputs("deploy")["deployed"]).toBe("true");
    expectNoLeaks(deployed, "deploy", { key: production.adminKey, role: s3.secretAccessKey });
    const count = stored().length;
    const without = await template("convex-deploy.yml", {
      ...asked,
      vars: { ...asked.vars, CONVEX_BACKUP_RECIPIENTS: "" },
    });
    expect(without.exitCode).not.toBe(0);
    expect(without.results("backup"), without.log).toEqual(["failure"]);
    expect(without.results("deploy")).toEqual([]);
    expect(stored()).toHaveLength(count);
  });

  test("fail a backup by a key that the deployment does not take, and leave no half of one", {
    timeout: 300_000,
  }, async ({ before }) => {
    const files = readdirSync(backups, { recursive: true }).sort();
    const wrong = `production|${"01".repeat(40)}`;
    const run = await template("convex-backup.yml", { secrets: { CONVEX_ADMIN_KEY: wrong } });
    expect(run.exitCode).not.toBe(0);
    expect(run.errorCode, run.log).toBe("admin-key-rejected");
    expect(readdirSync(backups, { recursive: true }).sort()).toEqual(files);
    expectNoLeaks(run, "backup", { wrong });
    expect(await before.leftovers()).toEqual([]);
  });

  test("fail a rehearsal whose key opens nothing", { timeout: 300_000 }, async ({ before }) => {
    const other = await generateX25519Identity();
    const payload = { inputs: { from: "2026-09-28-5c7cb5b", to: JSON.stringify([world().image.other.commit]) } };
    const run = await template("convex-upgrade-rehearsal.yml", {
      ...{ secrets: { AGE_IDENTITY: other }, event: { name: "workflow_dispatch", payload } },
      args: ["--input", `from=${payload.inputs.from}`, "--input", `to=${payload.inputs.to}`],
      fill: images,
    });
    expect(run.exitCode).not.toBe(0);
    expect(run.errorCode, run.log).toBe("identity-mismatch");
    expectNoLeaks(run, "upgrade", { other });
    expect(await before.leftovers()).toEqual([]);
  });

  test("fail a drill whose key opens nothing, and keep an issue until one succeeds", { timeout: 300_000 }, async ({
    before,
  }) => {
    const other = await generateX25519Identity();
    const run = await template("convex-restore-drill.yml", { secrets: { AGE_IDENTITY: other } });
    expect(run.exitCode).not.toBe(0);
    expect(run.errorCode, run.log).toBe("identity-mismatch");
    expect(api.issues.at(-1)).toMatchObject({ state: "open", title: "The restore drill failed" });
    expectNoLeaks(run, "convex", { other });
    expect(await before.leftovers()).toEqual([]);
  });
});
