import { rm } from "node:fs/promises";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { freePorts } from "../../src/system/ports.ts";
import { Job } from "../support/job.ts";
import { chatApp, standin } from "./support.ts";

let executable: string;
let app: string;
const jobs: Job[] = [];

beforeAll(async () => {
  [executable, app] = await Promise.all([standin(), chatApp()]);
  return () => rm(app, { recursive: true, force: true });
}, 60_000);

afterEach(async () => {
  for (const job of jobs.splice(0)) await job.remove();
});

const SECRET = "sentinel-of-a-store-0123456789";

const BUCKETS = ["FILES", "MODULES", "SEARCH", "EXPORTS", "SNAPSHOT_IMPORTS"].map((n) => `S3_STORAGE_${n}_BUCKET=one`);

/** The libraries are bundles of their own, which the start bundle finds beside itself. */
describe("the start bundle loads what few runs need", () => {
  it.each([
    [
      "the MySQL client",
      "database-unreachable",
      (port: number) => ({ "mysql-url": `mysql://u:${SECRET}@127.0.0.1:${port}` }),
    ],
    [
      "the S3 client",
      "s3-unreachable",
      (port: number) => ({
        "backend-env": [
          ...BUCKETS,
          "AWS_REGION=us-east-1",
          "AWS_ACCESS_KEY_ID=AKIA",
          `AWS_SECRET_ACCESS_KEY=${SECRET}`,
          `S3_ENDPOINT_URL=http://127.0.0.1:${port}`,
        ].join("\n"),
      }),
    ],
  ])("%s", { timeout: 60_000 }, async (_, code, inputsOf) => {
    const job = await Job.create(app);
    jobs.push(job);
    const [port = 0] = await freePorts(1);
    const inputs = { runtime: "binary", "binary-path": executable, port: "0", "site-port": "0", ...inputsOf(port) };
    const main = await job.action("start", { inputs });
    expect(main.exitCode).toBe(1);
    expect(main.log).toContain(`::error::[${code}] `);
    expect(main.log).toContain("ECONNREFUSED");
    expect(main.log.replace(/^::add-mask::.*$/gm, "")).not.toContain(SECRET);
    expect(main.summary).not.toContain(SECRET);
  });
});
