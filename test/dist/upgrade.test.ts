import { readFileSync } from "node:fs";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Job, type StepResult } from "../support/job.ts";
import { processesOf } from "../support/processes.ts";
import { addChecks, backUpChat, type ChatBackup } from "./backups.ts";
import { chatApp, standin } from "./support.ts";

let executable: string;
let app: string;
let folder: string;
let backup: ChatBackup;
const jobs: Job[] = [];

/** The stand-in as one release: its variables decide which, and what its migration does. */
async function release(name: string, variables: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, name);
  const set = Object.entries(variables).map(([variable, value]) => `${variable}=${value}`);
  await writeFile(path, `#!/bin/sh\n${set.join(" ")} exec ${executable} "$@"\n`);
  await chmod(path, 0o755);
  return path;
}

beforeAll(async () => {
  [executable, app, folder] = await Promise.all([standin(), chatApp(), mkdtemp(join(tmpdir(), "releases-"))]);
  await addChecks(app);
  backup = await backUpChat(app, executable);
}, 180_000);
afterAll(async () => {
  await backup[Symbol.asyncDispose]();
  await Promise.all([app, folder].map((path) => rm(path, { recursive: true, force: true })));
});
afterEach(async () => {
  for (const job of jobs.splice(0)) {
    for (const { pid } of await processesOf(job.directory)) process.kill(pid, "SIGKILL");
    await job.remove();
  }
});

async function rehearse(
  next: string,
  inputs: Record<string, string> = {},
  options: Parameters<Job["action"]>[1] = {},
): Promise<{ job: Job; step: StepResult }> {
  const job = await Job.create(app);
  jobs.push(job);
  const step = await job.action("upgrade", {
    ...options,
    inputs: {
      runtime: "binary",
      "from-binary-path": await release("present", { STANDIN_LIKE: "m14" }),
      "to-binary-path": next,
      source: backup.source,
      identity: backup.identity,
      typecheck: "disable",
      ...inputs,
    },
  });
  return { job, step };
}

async function expectNothingLeft(job: Job): Promise<void> {
  expect(await processesOf(job.directory)).toEqual([]);
  const left = await readdir(join(job.directory, "temp"));
  expect(left.filter((name) => !name.startsWith("convex-upgrade-report-"))).toEqual([]);
}

const codeOf = (step: StepResult): string | undefined => /^::error::\[([a-z0-9-]+)\]/m.exec(step.log)?.[1];

describe("the upgrade bundle", { timeout: 300_000 }, () => {
  it("finds both roads safe, with the migration's steps and the app's own checks", async () => {
    const next = await release("next", { STANDIN_LIKE: "head", STANDIN_MIGRATE_DELAY_MS: "100" });
    const { job, step } = await rehearse(next, { checks: "checks:rooms => 3\nchecks:named" });
    expect(step.exitCode, step.log).toBe(0);
    expect(step.outputs.get("safe"), step.log).toBe("both");
    const path = step.outputs.get("report") ?? "";
    const report: unknown = JSON.parse(readFileSync(path.replace(/html$/, "json"), "utf8"));
    expect(report).toMatchObject({ kind: "upgrade", verdict: "passed" });
    const page = readFileSync(path, "utf8");
    expect(page).toContain("4 steps (125, 126, 127, 128)");
    expect(page.match(/<td>rooms<\/td><td class="count">3<\/td><td class="count">3<\/td>/g)).toHaveLength(2);
    expect(step.summary).toContain("both roads are safe");
    await expectNothingLeft(job);
  });

  it("finds a migration that loses one document, and says which, and that the other road is safe", async () => {
    const next = await release("lossy", { STANDIN_LIKE: "head", STANDIN_MIGRATE_LOSES: "1" });
    const { job, step } = await rehearse(next);
    expect(step.exitCode, step.log).toBe(0);
    expect(step.outputs.get("safe"), step.log).toBe("import");
    expect(step.log).toMatch(/::warning::Only one of both roads is safe: import/);
    const page = readFileSync(step.outputs.get("report") ?? "", "utf8");
    expect(page).toMatch(/missing: <code>[a-z0-9]{32}<\/code>/);
    await expectNothingLeft(job);
  });

  it("finds a migration that fails although the ports are open", async () => {
    const next = await release("failing", { STANDIN_LIKE: "head", STANDIN_MIGRATE_FAIL: "1" });
    const { job, step } = await rehearse(next, { deploy: "false" });
    expect(step.outputs.get("safe"), step.log).toBe("import");
    expect(step.log).toContain("[upgrade-migration-failed]");
    await expectNothingLeft(job);
  });

  it("fails where the next release does not start at all", async () => {
    const older = await release("broken", { STANDIN_LIKE: "head", STANDIN_EXIT_CODE: "1" });
    const { job, step } = await rehearse(older, { deploy: "false" });
    expect(step.exitCode).toBe(1);
    expect(codeOf(step), step.log).toBe("upgrade-unsafe");
    expect(step.outputs.get("safe")).toBe("none");
    expect(step.summary).toContain("Neither road");
    await expectNothingLeft(job);
  });

  it("leaves nothing behind when it is killed: the post step ends what the state names", async () => {
    const next = await release("slow", { STANDIN_LIKE: "head", STANDIN_MIGRATE_DELAY_MS: "60000" });
    const killWhen = {
      log: /caught nothing|Imported|Left out|The backend answers|Deployed/,
      signal: "SIGKILL",
    } as const;
    const { job, step } = await rehearse(next, {}, { killWhen });
    expect(step.exitCode).toBe(137);
    expect((await processesOf(job.directory)).length).toBeGreaterThan(0);
    const post = await job.action("upgrade-post");
    expect(post.exitCode, post.log).toBe(0);
    await expectNothingLeft(job);
  });
});
