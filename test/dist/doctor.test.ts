import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newBackupId } from "../../src/backup/id.ts";
import { manifestBytes } from "../../src/backup/manifest.ts";
import { isKeyOf, issueAdminKey } from "../../src/credentials/admin-key.ts";
import { generateAuthKeys } from "../../src/credentials/auth-keys.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import { maskedForms } from "../../src/runner/mask.ts";
import { type Standin, startStandin } from "../standin/standin.ts";
import { Job, root, type StepResult } from "../support/job.ts";
import { sampleManifest } from "../unit/backup/support.ts";

let standin: Standin;
let workspace: string;
const jobs: Job[] = [];

beforeAll(async () => {
  [standin, workspace] = await Promise.all([startStandin({ metrics: false }), mkdtemp(join(tmpdir(), "doctor-"))]);
});
afterAll(async () => {
  await standin.stop();
  await Promise.all([...jobs.map((job) => job.remove()), rm(workspace, { recursive: true, force: true })]);
});

async function step(
  inputs: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<StepResult> {
  const job = await Job.create(workspace);
  jobs.push(job);
  const all = { url: standin.url, "admin-key": standin.adminKey, "site-url": standin.siteUrl, ...inputs };
  return await job.action("doctor", { inputs: all, env });
}

const codeOf = (result: StepResult): string | undefined => /^::error::\[([a-z0-9-]+)\]/m.exec(result.log)?.[1];
const findingsOf = (result: StepResult): Finding[] => JSON.parse(result.outputs.get("findings") ?? "") as Finding[];

async function setVariable(name: string, value: string | null): Promise<void> {
  const answer = await fetch(`${standin.url}/api/update_environment_variables`, {
    method: "POST",
    headers: { authorization: `Convex ${standin.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ changes: [{ name, value }] }),
  });
  expect(answer.status).toBe(200);
}

describe("the doctor bundle", () => {
  it("finds a good deployment good", async () => {
    const result = await step({ "fail-on": "warning" });
    expect(result.exitCode, result.log).toBe(0);
    expect(Object.fromEntries(result.outputs)).toMatchObject({ ok: "true", errors: "0", warnings: "0" });
    expect(findingsOf(result).map(({ check }) => check)).toEqual(expect.arrayContaining(["reach", "websocket"]));
    expect(result.summary).toContain("### ✅ Doctor: nothing wrong");
    expect(result.log).not.toMatch(/^::(error|warning)/m);
  });

  it("fails with all it found, as annotations, summary and JSON, and tells no secret", async () => {
    const [keys, others] = await Promise.all([generateAuthKeys(), generateAuthKeys()]);
    await setVariable("JWT_PRIVATE_KEY", keys.jwtPrivateKey);
    await setVariable("JWKS", others.jwks);
    const result = await step({ url: `${standin.url}/`, "dashboard-url": "http://127.0.0.1:9" });
    expect(result.exitCode).toBe(1);
    expect(codeOf(result), result.log).toBe("doctor-findings");
    expect(Object.fromEntries(result.outputs)).toMatchObject({ ok: "false", errors: "2", warnings: "1" });
    expect(findingsOf(result).slice(0, 3)).toMatchObject([
      { check: "reach", level: "error" },
      { check: "auth-keys", level: "error" },
      { check: "dashboard", level: "warning" },
    ]);
    expect(result.log).toContain("::error title=auth-keys");
    expect(result.log).toMatch(/^::warning::dashboard: /m);
    expect(result.summary).toMatch(/\| ❌ \| `reach` \|[\s\S]*\| ❌ \| `auth-keys` \|[\s\S]*\| ⚠️ \| `dashboard` \|/);
    const told = [
      result.log.replace(/^::add-mask::.*$/gm, ""),
      result.summary,
      [...result.outputs.values()].join("\n"),
    ];
    const secrets = [standin.adminKey, standin.adminKey.split("|")[1] ?? "", keys.jwtPrivateKey].flatMap(maskedForms);
    for (const text of told) for (const secret of secrets) expect(text.includes(secret)).toBe(false);
  });

  it("takes a whole .env.local for the deployment, masks all of it but the address, and says what it examined", async () => {
    const beside = ["sk-sentinel-beside", "first line\nsecond-sentinel"];
    const connection = [
      ...[`VITE_CONVEX_URL=${standin.url}`, `OPENAI_API_KEY='${beside[0]}' # mine`, `PEM="${beside[1]}"`],
      ...[`export CONVEX_SELF_HOSTED_URL="${standin.url}"`, `CONVEX_SELF_HOSTED_ADMIN_KEY=${standin.adminKey}`],
    ].join("\n");
    const elsewhere = {
      CONVEX_SELF_HOSTED_URL: "http://127.0.0.1:9",
      CONVEX_SELF_HOSTED_ADMIN_KEY: "other|0123456789",
    };
    const result = await step({ url: "", "admin-key": "", "fail-on": "never", connection }, elsewhere);
    expect(result.exitCode, result.log).toBe(0);
    expect(result.outputs.get("url")).toBe(standin.url);
    expect(findingsOf(result).find(({ check }) => check === "admin-key")?.level, result.log).toBe("ok");
    for (const secret of [connection, standin.adminKey, ...beside].flatMap(maskedForms))
      expect(result.masks).toContain(secret);
    expect(result.masks).not.toContain(standin.url);
    const first = result.log.split("\n").findIndex((line) => line !== "" && !line.startsWith("::add-mask::"));
    expect(result.log.split("\n").slice(first).join("\n")).not.toContain("sentinel");
  });

  it("makes its key from the backend's own settings, and masks both before anything else is told", async () => {
    const { instanceName, instanceSecret } = standin;
    const connection = `CONVEX_CLOUD_ORIGIN=${standin.url}\nINSTANCE_NAME=${instanceName}\nINSTANCE_SECRET=${instanceSecret}\n`;
    const result = await step({ url: "", "admin-key": "", "fail-on": "never", connection });
    expect(result.exitCode, result.log).toBe(0);
    expect(result.outputs.get("url")).toBe(standin.url);
    expect(findingsOf(result).find(({ check }) => check === "admin-key")?.level, result.log).toBe("ok");
    const made = result.masks.filter((text) => isKeyOf({ instanceName, instanceSecret }, text));
    expect(made).toHaveLength(1);
    expect(result.masks).toEqual(expect.arrayContaining([instanceSecret, made[0]?.split("|")[1]]));
    const told = [result.log.replace(/^::add-mask::.*$/gm, ""), result.summary, [...result.outputs.values()].join()];
    for (const secret of [instanceSecret, ...made].flatMap(maskedForms))
      for (const text of told) expect(text.includes(secret)).toBe(false);
    const another = issueAdminKey({ instanceName, instanceSecret: "ab".repeat(32) });
    expect(codeOf(await step({ "admin-key": another, connection }))).toBe("input-conflict");
    const nameless = connection.replace(/^INSTANCE_NAME.*$/m, "");
    const elsewhere = await step({ url: "", "admin-key": "", "fail-on": "never", connection: nameless });
    expect(elsewhere.log).toContain("beside INSTANCE_SECRET in connection give INSTANCE_NAME");
  });

  it("fails only as asked", async () => {
    const never = await step({ "fail-on": "never" });
    expect(never.exitCode, never.log).toBe(0);
    expect(never.outputs.get("ok")).toBe("false");
    await setVariable("JWT_PRIVATE_KEY", null);
    expect((await step({})).exitCode).toBe(0);
    expect(codeOf(await step({ "fail-on": "warning" }))).toBe("doctor-findings");
    await setVariable("JWKS", null);
  });

  it.each<[string, Record<string, string>, string]>([
    ["no URL", { url: "" }, "input-missing"],
    ["no key", { "admin-key": "" }, "input-missing"],
    ["a site URL with a path", { "site-url": "https://a.example/http" }, "input-invalid"],
    ["a choice that is none", { "fail-on": "always" }, "input-invalid"],
    ["a ca-file that is not there", { "ca-file": "missing.pem" }, "ca-file-unreadable"],
    ["a ca-file that is none", { "ca-file": join(root, "package.json") }, "ca-file-unreadable"],
  ])("refuses %s", async (_, inputs, code) => {
    const result = await step(inputs);
    expect(codeOf(result), result.log).toBe(code);
    expect(result.exitCode).toBe(1);
  });

  it("takes URL and key from the CLI's variables", async () => {
    const env = { CONVEX_SELF_HOSTED_URL: standin.url, CONVEX_SELF_HOSTED_ADMIN_KEY: standin.adminKey };
    const result = await step({ url: "", "admin-key": "", "site-url": "" }, env);
    expect(result.exitCode, result.log).toBe(0);
  });

  it("with backups alone is the freshness check, and tells a monitor how it went", async () => {
    const pings: string[] = [];
    const monitor = createServer((request, response) => {
      pings.push(request.url ?? "");
      request.resume().on("end", () => response.end());
    });
    await new Promise<void>((resolve) => monitor.listen(0, "127.0.0.1", resolve));
    const address = monitor.address();
    const port = typeof address === "object" ? address?.port : 0;
    const backups = await mkdtemp(join(tmpdir(), "backups-"));
    const alone = {
      url: "",
      "admin-key": "",
      "site-url": "",
      backups: `dir:${backups}`,
      "heartbeat-url": `http://127.0.0.1:${port}/ping/0f1e2d3c4b5a69788796`,
    };
    const none = await step(alone);
    expect(codeOf(none), none.log).toBe("doctor-findings");
    expect(findingsOf(none)).toMatchObject([{ check: "backups", level: "error" }]);
    const id = newBackupId(new Date());
    const { snapshot } = sampleManifest();
    const manifest = sampleManifest({ id, snapshot: { ...snapshot, timestamp: `${BigInt(Date.now()) * 1_000_000n}` } });
    await mkdir(join(backups, id));
    await writeFile(join(backups, id, "manifest.json"), manifestBytes(manifest));
    const fresh = await step(alone);
    expect(fresh.exitCode, fresh.log).toBe(0);
    expect(fresh.summary).toContain(`nothing wrong at dir:`);
    expect(pings).toEqual(["/start", "/fail", "/start", ""].map((end) => `/ping/0f1e2d3c4b5a69788796${end}`));
    expect(fresh.log.replace(/^::add-mask::.*$/gm, "")).not.toContain("0f1e2d3c4b5a69788796");
    monitor.close();
    await rm(backups, { recursive: true, force: true });
  });
});
