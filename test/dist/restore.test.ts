import { readdirSync, readFileSync, statSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DeploymentClient } from "../../src/deployment/client.ts";
import { isPaused } from "../../src/restore/pause.ts";
import { maskedForms } from "../../src/runner/mask.ts";
import { DirectoryStore } from "../../src/store/directory.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemHttp } from "../../src/system/http.ts";
import { type Standin, startStandin } from "../standin/standin.ts";
import { Job, type Moment, type StepResult } from "../support/job.ts";
import { processesOf } from "../support/processes.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { collectLog } from "../unit/deployment/support.ts";
import { addChecks, backUpChat, type ChatBackup } from "./backups.ts";
import { KillScene } from "./restore-kills.ts";
import { chatApp, standin } from "./support.ts";

let executable: string;
let app: string;
let backup: ChatBackup;
const jobs: Job[] = [];
const standins: Standin[] = [];

beforeAll(async () => {
  [executable, app] = await Promise.all([standin(), chatApp()]);
  await addChecks(app);
  backup = await backUpChat(app, executable);
}, 180_000);
afterAll(async () => {
  await backup[Symbol.asyncDispose]();
  await rm(app, { recursive: true, force: true });
});
afterEach(async () => {
  for (const one of standins.splice(0)) await one.stop();
  for (const job of jobs.splice(0)) {
    for (const { pid } of await processesOf(job.directory)) process.kill(pid, "SIGKILL");
    await job.remove();
  }
});

async function newJob(): Promise<Job> {
  const job = await Job.create(app);
  jobs.push(job);
  return job;
}

async function target(env: Record<string, string> = {}): Promise<Standin> {
  const one = await startStandin({ instanceName: "production", metrics: false, env });
  standins.push(one);
  return one;
}

const source = (): Record<string, string> => ({ source: backup.source, identity: backup.identity });
const into = ({ url, adminKey }: Standin): Record<string, string> => ({ ...source(), url, "admin-key": adminKey });
const clientOf = ({ url, adminKey }: { url: string; adminKey: string }): DeploymentClient =>
  new DeploymentClient({ url, adminKey, http: systemHttp, clock: systemClock, log: collectLog().log });
const codeOf = (step: StepResult): string | undefined => /^::error::\[([a-z0-9-]+)\]/m.exec(step.log)?.[1];

function reportOf(step: StepResult): Record<string, unknown> {
  const path = step.outputs.get("report") ?? "";
  return JSON.parse(readFileSync(path.replace(/html$/, "json"), "utf8")) as Record<string, unknown>;
}

/** Folders of ours below the runner's temporary one, reports aside, which are meant to stay. */
async function leftOf(job: Job): Promise<string[]> {
  const all = await readdir(join(job.directory, "temp"));
  return all.filter((name) => !/^convex-(drill|restore)-report-/.test(name));
}

describe("a drill", { timeout: 240_000 }, () => {
  it("restores into the backend of the root action while clients write, verifies, checks, reports, and leaves it paused", async () => {
    const job = await newJob();
    const binary = { runtime: "binary", "binary-path": executable, port: "0", "site-port": "0" };
    const start = await job.action("start", { inputs: { ...binary, paused: "true" } });
    expect(start.exitCode, start.log).toBe(0);
    const backend = clientOf({
      url: start.outputs.get("url") ?? "",
      adminKey: start.outputs.get("admin-key") ?? "",
    });
    let writing = true;
    const answers: string[] = [];
    const writer = (async () => {
      while (writing) {
        const result = await backend.call("function", "seed:basic", { rooms: 1 });
        answers.push(result.ok ? "written" : result.message);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const inputs = { ...source(), "max-rto": "10m", "max-rpo": "1h" };
    const step = await job.action("restore", { inputs });
    writing = false;
    await writer;
    expect(step.exitCode, step.log).toBe(0);
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.filter((answer) => !answer.includes("deployment is paused"))).toEqual([]);
    expect(step.outputs.get("verified")).toBe("true");
    expect(Number(step.outputs.get("rto-seconds"))).toBeGreaterThan(0);
    expect(Number(step.outputs.get("rpo-seconds"))).toBeGreaterThan(0);
    expect(reportOf(step)).toMatchObject({
      kind: "drill",
      verdict: "passed",
      objectives: [{ met: true }, { met: true }],
    });
    expect(step.summary).toContain("### ✅ Restore drill of convex-self-hosted");
    expect(await isPaused(backend)).toBe(true);

    // Once more, with the app's own word: what it holds is what it held, and nobody's write is in it.
    const again = { ...inputs, confirm: "convex-self-hosted", "safety-backup": "off" };
    const checked = await job.action("restore", {
      inputs: { ...again, checks: "checks:rooms => 3\nchecks:named" },
    });
    expect(checked.exitCode, checked.log).toBe(0);
    expect(reportOf(checked)).toMatchObject({ checks: [{ ok: true }, { ok: true }] });
    expect(await isPaused(backend)).toBe(true);

    const failing = await job.action("restore", {
      inputs: { ...again, checks: "checks:rooms => 4", "max-rpo": "1s" },
    });
    expect(codeOf(failing), failing.log).toBe("checks-failed");
    expect(failing.outputs.get("verified")).toBe("true");
    expect(await isPaused(backend)).toBe(true);

    const late = await job.action("restore", { inputs: { ...again, "max-rpo": "1s" } });
    expect(codeOf(late), late.log).toBe("objective-missed");
    expect(late.outputs.get("verified")).toBe("true");
    expect(await leftOf(job)).toEqual([expect.stringMatching(/^convex-backend-/)]);
    await job.action("stop");
  });
});

describe("the restore bundle", { timeout: 120_000 }, () => {
  it("tells no secret and leaves nothing that others can read", async () => {
    const job = await newJob();
    const one = await target();
    const step = await job.action("restore", { inputs: { ...into(one), "restore-env": "true" } });
    const post = await job.action("restore-post", { inputs: into(one) });
    // The secret is in the fixture's variables only where the backup kept them.
    expect(step.exitCode, step.log).toBe(0);
    expect(post.exitCode, post.log).toBe(0);
    expect(post.log).toContain("nothing to set back");
    const report = step.outputs.get("report") ?? "";
    const told = [step, post].flatMap(({ log, summary, outputs }) => [
      log.replace(/^::add-mask::.*$/gm, ""),
      summary,
      [...outputs.values()].join("\n"),
    ]);
    told.push(readFileSync(report, "utf8"), readFileSync(report.replace(/html$/, "json"), "utf8"));
    told.push([...job.state().values()].join("\n"));
    const secrets = [backup.identity, one.adminKey, one.adminKey.split("|")[1] ?? "", "hello from production"];
    for (const text of told) {
      for (const secret of secrets.flatMap(maskedForms)) expect(text.includes(secret), text).toBe(false);
    }
    expect((await clientOf(one).listVariables()).get("GREETING")).toBe("hello from production");
    expect(await leftOf(job)).toEqual([]);
    expect(statSync(dirname(report)).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(dirname(report))) {
      expect(statSync(join(dirname(report), name)).mode & 0o777).toBe(0o600);
    }
  });

  it.each<[string, Record<string, string>, string]>([
    ["no source", { source: "" }, "input-missing"],
    ["a source that is none", { source: "ftp://x" }, "input-invalid"],
    ["an id that would lead elsewhere", { "backup-id": "../x" }, "input-invalid"],
    [
      "an identity that is a public key",
      { identity: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" },
      "identity-invalid",
    ],
    ["restore-env without identity", { identity: "", "restore-env": "true" }, "input-conflict"],
    [
      "recipients for nothing",
      { recipients: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" },
      "input-conflict",
    ],
    ["a check that is none", { checks: "rooms:list {" }, "check-line-invalid"],
    ["a limit that is none", { "max-rto": "soon" }, "input-invalid"],
    ["s3 inputs without a bucket", { "s3-region": "eu-central-1" }, "input-conflict"],
  ])("refuses %s before it calls anything", async (_, inputs, code) => {
    const job = await newJob();
    const all = { ...source(), url: "http://127.0.0.1:9", "admin-key": "production|0123456789abcdef", ...inputs };
    const step = await job.action("restore", { inputs: all });
    expect(codeOf(step), step.log).toBe(code);
    expect(step.outputs.get("verified")).toBe("false");
    expect(await leftOf(job)).toEqual([]);
  });
});

const MOMENTS: readonly [string, Moment, RegExp][] = [
  ["while it looks", { log: /Backup \d{4}-/ }, /nothing to set back|Its data were not touched/],
  ["at the pause", { state: /"was":"running"/ }, /Its data were not touched\. Its functions run again/],
  ["in the import", { state: /"imports":\["/ }, /import was canceled, .* before\. Its functions run again/],
];

/** Resolves once there is an object of a backup in that folder. */
async function stored(folder: string): Promise<void> {
  await expect
    .poll(() => readdir(folder, { recursive: true }).catch(() => []), { interval: 20 })
    .toContainEqual(expect.stringMatching(/env\.json\.age$/));
}

describe("a restore that is killed", { timeout: 120_000 }, () => {
  it.each(MOMENTS)("%s leaves a target that the post step sets back and tells of", async (_, moment, told) => {
    const job = await newJob();
    const one = await target({ STANDIN_IMPORT_ROW_DELAY_MS: "2000" });
    const step = await job.action("restore", { inputs: into(one), killWhen: { ...moment, signal: "SIGKILL" } });
    expect(step.exitCode, step.log).toBe(137);
    const post = await job.action("restore-post", { inputs: into(one) });
    expect(post.exitCode, post.log).toBe(0);
    expect(post.log).toMatch(told);
    const client = clientOf(one);
    expect(await isPaused(client)).toBe(false);
    expect(await leftOf(job)).toEqual([]);
    const next = await newJob();
    const agreed = { confirm: "production", "safety-backup": "off" };
    const clean = await next.action("restore", { inputs: { ...into(one), ...agreed } });
    expect(clean.exitCode, clean.log).toBe(0);
    expect(clean.outputs.get("verified")).toBe("true");
  });

  it("between its variables and its import leaves a post step that names them and the way back", async () => {
    const [job, one] = [await newJob(), await target()];
    const client = clientOf(one);
    await client.updateVariables([{ name: "GREETING", value: "hello from before" }]);
    await using proxy = await new TcpProxy(Number(new URL(one.url).port)).listen();
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    proxy.meddle = (_, { direction, request }) => {
      if (direction === "down" || !/^POST \/api\/import\//.test(request)) return "pass";
      resolve();
      return "swallow";
    };
    const inputs = { ...into(one), url: proxy.url, "restore-env": "true" };
    const step = await job.action("restore", { inputs, killWhen: { reached, signal: "SIGKILL" } });
    expect(step.exitCode, step.log).toBe(137);
    expect((await client.listVariables()).get("GREETING")).toBe("hello from production");
    proxy.meddle = () => "pass";
    const post = await job.action("restore-post", { inputs });
    expect(post.exitCode, post.log).toBe(0);
    expect(post.log).toMatch(
      /Variables were set .*: GREETING \(had other values\)\. To go back: set the former values/,
    );
    expect(post.log).toContain("Its data were not touched.");
    expect(post.summary).toContain("GREETING");
    expect(await isPaused(client)).toBe(false);
    expect(await leftOf(job)).toEqual([]);
    const clean = await (await newJob()).action("restore", { inputs });
    expect(clean.exitCode, clean.log).toBe(0);
    expect(clean.outputs.get("verified")).toBe("true");
  });

  it("in its safety backup leaves a post step that removes the half of it, and the data that were there", async () => {
    const [job, one] = [await newJob(), await target()];
    const filled = await (await newJob()).action("restore", { inputs: into(one) });
    expect(filled.exitCode, filled.log).toBe(0);
    const folder = join(job.directory, "safety");
    await using proxy = await new TcpProxy(Number(new URL(one.url).port)).listen();
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    proxy.meddle = (_, { direction, request }) => {
      if (direction === "down" && /^GET \/api\/export\/zip\//.test(request))
        return stored(folder)
          .then(resolve)
          .then(() => "swallow");
      return "pass";
    };
    const agreed = { confirm: "production", "safety-backup": `dir:${folder}` };
    const inputs = { ...into(one), ...agreed, url: proxy.url };
    const step = await job.action("restore", { inputs, killWhen: { reached, signal: "SIGKILL" } });
    expect(step.exitCode, step.log).toBe(137);
    const store = new DirectoryStore(folder, { clock: systemClock, log: collectLog().log });
    expect((await store.list()).map(({ key }) => key.split("/")[1])).toEqual(["env.json.age"]);
    proxy.meddle = () => "pass";
    const post = await job.action("restore-post", { inputs });
    expect(post.exitCode, post.log).toBe(0);
    expect(post.log).toMatch(
      /Its data were not touched\. Its functions run again.* unfinished safety backup \S+ was removed/,
    );
    expect(await store.list()).toEqual([]);
    expect(await isPaused(clientOf(one))).toBe(false);
    const clean = await (await newJob()).action("restore", { inputs });
    expect(clean.exitCode, clean.log).toBe(0);
    expect(clean.outputs.get("verified")).toBe("true");
  });

  it("in its import, with its deployment named by a connection alone, leaves the data that were there before", async () => {
    await using scene = await KillScene.create(250);
    expect(await scene.killOnce({ when: "importing", afterMs: 0, by: "connection" })).toBe(true);
    await scene.clean();
  });

  it("at random moments leaves the old data or the new ones, whole, and the next restore is clean", async () => {
    await using scene = await KillScene.create();
    let killed = 0;
    for (const [round, most] of [20, 150, 300, 450, 700].entries()) {
      const by = round % 2 === 0 ? "key" : "connection";
      if (await scene.killOnce({ when: "found", afterMs: Math.random() * most, by })) killed += 1;
    }
    expect(killed).toBeGreaterThan(0);
    await scene.clean();
  });
});
