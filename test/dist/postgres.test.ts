import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Job } from "../support/job.ts";
import { processesOf } from "../support/processes.ts";
import { type Cluster, postgresPrograms, startCluster } from "../unit/backend/postgres.ts";
import { raceRoundsOn } from "../unit/deploy/races.ts";
import { chatApp, standin } from "./support.ts";

const programs = await postgresPrograms();

/** The backend's lease, its database and its flags are those of a real Postgres here; its data the stand-in's own. */
describe.skipIf(programs === undefined)("a backend on Postgres", { timeout: 240_000 }, () => {
  let cluster: Cluster;
  let app: string;
  let job: Job;
  beforeAll(async () => {
    [cluster, app] = await Promise.all([startCluster(programs ?? "", false), chatApp()]);
    job = await Job.create(app);
  }, 120_000);
  afterAll(async () => {
    for (const { pid } of await processesOf(job.directory)) process.kill(pid, "SIGKILL");
    await Promise.all([job.remove(), cluster.stop(), rm(app, { recursive: true, force: true })]);
  });

  it("is started on a database that the action creates, deployed to, raced for, and stopped", async () => {
    const password = "pg%2Fpass";
    const inputs = {
      runtime: "binary",
      "binary-path": await standin(),
      port: "0",
      "site-port": "0",
      "instance-name": "on-postgres",
      "postgres-url": `postgresql://postgres:${password}@127.0.0.1:${cluster.port}`,
      "create-database": "true",
      "backend-env": "DO_NOT_REQUIRE_SSL=true",
      typecheck: "disable",
    };
    const main = await job.action("start", { inputs: { ...inputs, run: 'seed:basic {"rooms": 3}' } });
    expect(main.exitCode, main.log).toBe(0);
    expect(main.log).toContain('Created database "on_postgres"');
    expect(main.log.replace(/^::add-mask::.*$/gm, "")).not.toContain(password);
    const target = { url: main.outputs.get("url") ?? "", adminKey: main.outputs.get("admin-key") ?? "" };

    const deploy = { url: target.url, "admin-key": target.adminKey, typecheck: "disable", env: "GREETING=hello" };
    const again = await job.action("deploy", { inputs: { ...deploy, smoke: 'rooms:greeting {} => "hello"' } });
    expect(again.exitCode, again.log).toBe(0);
    expect(again.outputs.get("deployed")).toBe("true");

    for (const schemas of ["equal", "different"] as const) {
      const codes = await raceRoundsOn(target, 1, schemas);
      expect(codes["ok"]).toBeGreaterThanOrEqual(1);
    }
    const post = await job.action("stop", { inputs: { "job-status": "success" } });
    expect(post.exitCode, post.log).toBe(0);
    expect(await processesOf(job.directory)).toEqual([]);
  });

  it("is named in the warning of a second start on its database, which it would end", async () => {
    const first = await Job.create(app);
    const second = await Job.create(app);
    const inputs = {
      runtime: "binary",
      "binary-path": await standin(),
      port: "0",
      "site-port": "0",
      "instance-name": "shared",
      "postgres-url": `postgresql://postgres:pg%2Fpass@127.0.0.1:${cluster.port}`,
      "create-database": "true",
      "backend-env": "DO_NOT_REQUIRE_SSL=true",
      deploy: "false",
    };
    try {
      expect((await first.action("start", { inputs })).exitCode).toBe(0);
      const other = await second.action("start", { inputs });
      expect(other.log).toMatch(/::warning::Database "shared" .* has \d+ other connection/);
    } finally {
      for (const one of [second, first]) {
        await one.action("stop", { inputs: { "job-status": "success" } });
        for (const { pid } of await processesOf(one.directory)) process.kill(pid, "SIGKILL");
        await one.remove();
      }
    }
  });
});
