import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectEngine } from "../../../src/backend/docker/engine.ts";
import { ensureImage } from "../../../src/backend/docker/image.ts";
import { docker, engineSocket } from "../harness/engine.ts";
import { type Baseline, baseline } from "../harness/leftovers.ts";
import { root } from "../harness/tools.ts";
import { world } from "../harness/world.ts";
import type { InJob } from "./in-job.ts";
import { folder, realDeps, secret } from "./support.ts";

const { image } = world();
const reference = `${image.repository}@${image.digest}`;

let before: Baseline;
beforeAll(async () => {
  const deps = realDeps();
  await ensureImage(await connectEngine(deps), { reference, digest: image.digest }, "missing", deps);
});
beforeEach(async () => {
  before = await baseline();
  await docker("network", "create", "job-net");
});
afterEach(async () => {
  await before.sweep();
  await docker("network", "rm", "job-net").catch(() => undefined);
});

/** Runs in-job.ts as a step of a job with `container:`: the runner shares the socket and the workspace. */
async function inJob(
  options: Partial<InJob>,
  args: readonly string[] = ["--network", "job-net"],
  workspace = folder(),
): Promise<Record<string, unknown>> {
  const shared = [
    "-v",
    `${engineSocket}:/var/run/docker.sock`,
    "-v",
    `${root}:/action:ro`,
    "-v",
    `${workspace}:/__w/app`,
  ];
  const script = ["node", "/action/test/e2e/docker/in-job.ts", JSON.stringify({ reference, ...options })];
  const env = ["-e", "GITHUB_WORKSPACE=/__w/app", "-e", "E2E_WORLD={}"];
  return JSON.parse(await docker("run", "--rm", ...shared, ...env, ...args, image.base, ...script)) as Record<
    string,
    unknown
  >;
}

describe("a job with container:", () => {
  it("reaches the backend by its name on the job's network, and so does the backend itself", async () => {
    expect(await inJob({ network: "job-net" })).toEqual({
      url: "http://chat:3210",
      siteUrl: "http://chat:3211",
      cloudOrigin: "http://chat:3210",
      siteOrigin: "http://chat:3211",
      problems: [],
      errors: [],
    });
    expect(await before.leftovers()).toEqual(["network job-net"]);
  });

  it("finds the network itself, under another host name too", async () => {
    expect(await inJob({}, ["--network", "job-net", "--hostname", "builder"])).toMatchObject({
      url: "http://chat:3210",
      errors: [],
    });
  });

  it("uses published ports on the host's network", async () => {
    expect(await inJob({}, ["--network", "host"])).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      problems: [],
      errors: [],
    });
  });

  it("says what is missing on the default network", async () => {
    expect(await inJob({}, [])).toMatchObject({ code: "job-network" });
  });

  it("keeps data in the workspace, which lies elsewhere for the engine, and refuses what only it has", async () => {
    const workspace = folder();
    mkdirSync(join(workspace, "kept"));
    expect(await inJob({ data: "./kept" }, undefined, workspace)).toMatchObject({ errors: [] });
    expect(existsSync(join(workspace, "kept", "db.sqlite3"))).toBe(true);
    expect(await inJob({ data: "/var/lib/own" })).toMatchObject({ code: "data-not-shared" });
  });

  it("refuses a name that another container has there", async () => {
    await docker("run", "-d", "--network", "job-net", "--network-alias", "chat", image.base, "sleep", "60");
    expect(await inJob({})).toMatchObject({ code: "alias-taken" });
  });

  it("takes a service over by the name that the workflow gave it", async () => {
    const env = ["INSTANCE_NAME=chat", `INSTANCE_SECRET=${secret}`, "CONVEX_CLOUD_ORIGIN=http://convex:3210"];
    const flags = env.flatMap((entry) => ["-e", entry]);
    const service = await docker("run", "-d", "--network", "job-net", "--network-alias", "convex", ...flags, reference);
    expect(await inJob({ service, network: "job-net" })).toEqual({
      url: "http://convex:3210",
      findings: [
        {
          what: expect.stringContaining("no CONVEX_SITE_ORIGIN"),
          lines: ["CONVEX_CLOUD_ORIGIN: http://convex:3210", "CONVEX_SITE_ORIGIN: http://convex:3211"],
        },
      ],
    });
  });
});
