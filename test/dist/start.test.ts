import { spawnSync } from "node:child_process";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { Job, type StepResult } from "../support/job.ts";
import { processesOf } from "../support/processes.ts";
import { chatApp, standin } from "./support.ts";

let executable: string;
let app: string;
const jobs: Job[] = [];

beforeAll(async () => {
  [executable, app] = await Promise.all([standin(), chatApp()]);
  // A package of its own that has no functions.
  await mkdir(join(app, "empty"));
  await writeFile(join(app, "empty", "package.json"), JSON.stringify({ dependencies: { convex: "1.48.0" } }));
  return () => rm(app, { recursive: true, force: true });
}, 60_000);

afterEach(async () => {
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

const binary = (extra: Record<string, string> = {}): Record<string, string> => ({
  runtime: "binary",
  "binary-path": executable,
  port: "0",
  "site-port": "0",
  ...extra,
});

const workflow = {
  env: 'GREETING="two\nlines"',
  "env-names": "OPENAI_API_KEY",
  auth: "convex-auth",
  "app-url": "http://localhost:5173",
  "url-variables": "VITE_CONVEX_URL",
  run: 'seed:basic {"rooms": 3}',
};

/** The `[code]` that a failed step shows in its annotation. */
function codeOf(step: StepResult): string | undefined {
  return /^::error::\[([a-z0-9-]+)\]/m.exec(step.log)?.[1];
}

describe("the start bundle", () => {
  it("makes the workflow of the README work, and the post step leaves nothing behind", {
    timeout: 90_000,
  }, async () => {
    const job = await newJob();
    const env = { OPENAI_API_KEY: "sk-sentinel-0123456789" };
    const main = await job.action("start", { inputs: binary(workflow), env });
    expect(main.exitCode, main.log).toBe(0);
    expect(main.outputs.get("url")).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(main.outputs.get("admin-key")).toMatch(/^convex-self-hosted\|[0-9a-f]+$/);
    expect(Number(main.outputs.get("ready-ms"))).toBeGreaterThan(0);
    expect(JSON.parse(main.outputs.get("timings") ?? "")).toEqual(
      expect.arrayContaining([expect.objectContaining({ phase: "deploy" }), expect.objectContaining({ phase: "run" })]),
    );
    expect(main.summary).toContain("### ✅ Convex backend ready in");
    expect(main.summary).toContain("```mermaid");
    expect(job.environment()).toMatchObject({
      VITE_CONVEX_URL: main.outputs.get("url"),
      CONVEX_SITE_URL: main.outputs.get("site-url"),
      CONVEX_DEPLOY_KEY: "",
      CONVEX_DEPLOYMENT: "",
      CONVEX_DEPLOYMENT_TOKEN: "",
    });

    const tests = spawnSync(process.execPath, ["--test", "test/e2e.test.mjs"], {
      cwd: app,
      env: job.environment(),
      encoding: "utf8",
    });
    expect(tests.status, tests.stdout).toBe(0);

    expect(await processesOf(job.directory)).not.toEqual([]);
    const post = await job.action("stop", { inputs: { "job-status": "success" } });
    expect(post.exitCode, post.log).toBe(0);
    expect(await processesOf(job.directory)).toEqual([]);
    await expect(fetch(`${main.outputs.get("url")}/version`)).rejects.toThrow();
    const state: unknown = JSON.parse(job.state().get("start") ?? "");
    const { directory } = (state as { backend: { directory: string } }).backend;
    await expect(access(directory)).rejects.toThrow();
  });

  it("shows the backend's log in the post step of a failed job, and only then", { timeout: 60_000 }, async () => {
    const job = await newJob();
    const main = await job.action("start", { inputs: binary({ deploy: "false" }) });
    expect(main.exitCode, main.log).toBe(0);
    const post = await job.action("stop", { inputs: { "job-status": "failure" } });
    expect(post.log).toContain("Starting a Convex backend");
    const quiet = await newJob();
    await quiet.action("start", { inputs: binary({ deploy: "false" }) });
    expect((await quiet.action("stop", { inputs: { "job-status": "success" } })).log).not.toContain(
      "Starting a Convex backend",
    );
  });

  it("warns of variables that would have sent later commands elsewhere", { timeout: 60_000 }, async () => {
    const job = await newJob();
    const main = await job.action("start", {
      inputs: binary({ deploy: "false" }),
      env: { CONVEX_DEPLOY_KEY: "prod:happy|0123456789" },
    });
    expect(main.log).toMatch(/::warning::CONVEX_DEPLOY_KEY was set in this job/);
    expect(job.environment()["CONVEX_DEPLOY_KEY"]).toBe("");
    await job.action("stop");
  });
});

describe("bad input ends before anything was started", () => {
  it.each<[string, Record<string, string>, string]>([
    ["version: latest", { version: "latest", "binary-path": "" }, "version-latest"],
    ["a malformed digest", { runtime: "docker", "binary-path": "", version: "sha256:1234" }, "digest-malformed"],
    ["an unknown choice", { auth: "clerk" }, "input-invalid"],
    ["an executable that is not there", { "binary-path": "/nowhere/backend" }, "binary-path-unfit"],
    ["a bad secret", { "instance-secret": "not-hexadecimal-at-all" }, "instance-secret-invalid"],
    ["an unterminated quote", { env: 'A="never\nclosed' }, "env-unreadable"],
    ["a reserved name", { env: "CONVEX_CLOUD_URL=http://x" }, "env-name-reserved"],
    ["a value that is too long", { env: `CERT=${"x".repeat(8193)}` }, "env-value-too-long"],
    [
      "a PEM that is no key",
      { auth: "convex-auth", "jwt-private-key": "-----BEGIN PRIVATE KEY-----\nno key\n-----END PRIVATE KEY-----" },
      "jwt-private-key-unreadable",
    ],
    ["a database name in the URL", { "postgres-url": "postgres://u:password@127.0.0.1/db" }, "database-url-invalid"],
    ["a directory without a project", { "working-directory": "empty" }, "no-convex-folder"],
    ["a function that is none", { run: "seed basic" }, "run-line-invalid"],
    ["a seed file that is not there", { import: "rooms=missing.jsonl" }, "import-file-missing"],
  ])("%s", async (_, inputs, code) => {
    const job = await newJob();
    const main = await job.action("start", { inputs: binary(inputs) });
    expect(codeOf(main), main.log).toBe(code);
    expect(main.exitCode).toBe(1);
    expect(job.state().get("start")).toBeUndefined();
    expect(await processesOf(job.directory)).toEqual([]);
    expect(main.summary).toMatch(/### ❌ Convex backend: /);
  });

  it("a variable that auth.config reads and nothing sets", async () => {
    const config = join(app, "convex", "auth.config.ts");
    const before = await readFile(config, "utf8");
    await writeFile(config, before.replace("CONVEX_SITE_URL", "AUTH_DOMAIN"));
    try {
      const job = await newJob();
      const main = await job.action("start", { inputs: binary() });
      expect(main.log).toMatch(/::error::\[[a-z-]+\].*AUTH_DOMAIN/);
      expect(job.state().get("start")).toBeUndefined();
    } finally {
      await writeFile(config, before);
    }
  });
});

describe("a deploy that fails", () => {
  it("annotates type errors on their lines, and keeps the backend for the post step", { timeout: 60_000 }, async () => {
    const file = join(app, "convex", "wrong.ts");
    await writeFile(file, Array.from({ length: 12 }, (_, n) => `export const n${n}: number = "text";\n`).join(""));
    try {
      const job = await newJob();
      const main = await job.action("start", { inputs: binary({ auth: "convex-auth", typecheck: "enable" }) });
      expect(codeOf(main), main.log).toBe("typecheck-failed");
      expect(main.log).toMatch(/^::error title=[^:]*file=convex\/wrong\.ts,line=1,/m);
      expect(main.log.match(/^::error /gm)?.length).toBeLessThanOrEqual(10);
      expect(main.summary.match(/^\| convex\/wrong\.ts:/gm)).toHaveLength(12);
      expect((await job.action("stop", { inputs: { "job-status": "failure" } })).exitCode).toBe(0);
      expect(await processesOf(job.directory)).toEqual([]);
    } finally {
      await rm(file);
    }
  });
});

describe("a machine that is not as usual", () => {
  it("deploys past a proxy that is set for everything", { timeout: 60_000 }, async () => {
    const job = await newJob();
    const proxy = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" };
    const main = await job.action("start", { inputs: binary({ auth: "convex-auth" }), env: proxy });
    expect(main.exitCode, main.log).toBe(0);
    await job.action("stop");
  });

  it("notices at once that the backend has ended under a deploy", { timeout: 60_000 }, async () => {
    const job = await newJob();
    let killedAt = 0;
    const main = await job.action("start", {
      inputs: binary({ auth: "convex-auth" }),
      onLine: (line) => {
        if (!line.includes("Deploying to") || killedAt !== 0) return;
        killedAt = Date.now();
        void processesOf(job.directory).then((all) => {
          for (const { pid, argv } of all) if (argv.includes("--instance-name")) process.kill(pid, "SIGKILL");
        });
      },
    });
    expect(codeOf(main), main.log).toBe("backend-exited");
    expect(Date.now() - killedAt).toBeLessThan(15_000);
    await job.action("stop");
    expect(await processesOf(job.directory)).toEqual([]);
  });

  it("is not failed by a summary that cannot be written", { timeout: 60_000 }, async () => {
    const job = await newJob();
    const env = { GITHUB_STEP_SUMMARY: "/nonexistent/summary.md" };
    const main = await job.action("start", { inputs: binary({ deploy: "false" }), env });
    expect(main.exitCode, main.log).toBe(0);
    expect(main.log).toContain("::warning::The job summary could not be written");
    await job.action("stop");
  });

  it("says so when the runner's temporary folder is missing", async () => {
    const job = await newJob();
    const main = await job.action("start", { inputs: binary(), env: { RUNNER_TEMP: "/nonexistent" } });
    expect(codeOf(main), main.log).toBe("temp-unusable");
  });
});

describe("a step that is killed", () => {
  it.each<[string, RegExp, NodeJS.Signals]>([
    ["as soon as the state is saved", /add-mask/, "SIGKILL"],
    ["when the backend answers", /The backend answers at/, "SIGKILL"],
    ["while it deploys, by a cancelled job", /convex deploy in/, "SIGINT"],
  ])("%s leaves nothing after the post step", { timeout: 60_000 }, async (_, log, signal) => {
    const job = await newJob();
    const main = await job.action("start", { inputs: binary(workflow), killWhen: { log, signal } });
    expect(main.exitCode).not.toBe(0);
    const post = await job.action("stop", { inputs: { "job-status": "cancelled" } });
    expect(post.exitCode, post.log).toBe(0);
    expect(await processesOf(job.directory)).toEqual([]);
  });
});
