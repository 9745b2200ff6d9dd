import { describe, expect } from "vitest";
import { docker } from "./harness/engine.ts";
import { world } from "./harness/world.ts";
import { expectNoLeaks, expectNothingLeft, start, test } from "./support.ts";

const origins = "-e CONVEX_CLOUD_ORIGIN=http://127.0.0.1:3210 -e CONVEX_SITE_ORIGIN=http://127.0.0.1:3211";
const service = { workflow: "service-container.yml" };

describe("a service container", () => {
  test("is adopted with the key of its own script, and keeps running", async ({ before }) => {
    const run = await start({ SERVICE_ENV: origins }, service);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("convex")["image-digest"]).toBe(world().image.digest);
    expect(run.results("the service still runs")).toEqual(["success"]);
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });

  test("is checked against the pin", async ({ before }) => {
    const vars = { SERVICE_ENV: origins, VERSION: world().image.other.digest, DEPLOY: "false" };
    const run = await start(vars, service);
    expect(run.errorCode, run.log).toBe("image-digest-mismatch");
    await expectNothingLeft(run, before);
  });

  test("without origins is an error for an app that needs them, with the lines to add", async ({ before }) => {
    const run = await start({ SERVICE_ENV: "-e A=1" }, service);
    expect(run.errorCode, run.log).toBe("service-container-origins");
    expect(run.log).toContain("CONVEX_CLOUD_ORIGIN: http://127.0.0.1:3210");
    await expectNothingLeft(run, before);
  });

  test("without origins is a warning where nothing needs them", async ({ before }) => {
    const run = await start({ SERVICE_ENV: "-e A=1", DEPLOY: "false" }, service);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.annotations).toContainEqual(
      expect.objectContaining({ level: "warning", message: expect.stringContaining("CONVEX_SITE_ORIGIN") }),
    );
    await expectNothingLeft(run, before);
  });
});

describe("a job in a container", () => {
  test("reaches the backend by its alias on the job's network, without a docker client", async ({ before }) => {
    await docker("network", "create", "job-network");
    const run = await start({}, { workflow: "job-container.yml", args: ["--network", "job-network"] });
    await docker("network", "rm", "job-network");
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("convex")["url"]).toMatch(/^http:\/\/[a-z0-9-]+:3210$/);
    expect(run.output("reach it by its alias")).toContain("convex-self-hosted");
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });

  test("reaches it on loopback where the job's container shares the host's network", async ({ before }) => {
    const run = await start({ DEPLOY: "false" }, { image: world().image.base });
    expect(run.exitCode, run.log).toBe(0);
    await expectNothingLeft(run, before);
  });
});

test("foreign containers and volumes are left alone", async ({ before }) => {
  await docker("volume", "create", "foreign");
  await docker("run", "-d", "--name", "foreign", "-v", "foreign:/data", world().image.base, "sleep", "300");
  const run = await start({ DEPLOY: "false", RECLAIM: "true" });
  expect(run.exitCode, run.log).toBe(0);
  const state = await docker("inspect", "--format", "{{.State.Status}}", "foreign");
  expect(state).toBe("running");
  await docker("rm", "-f", "foreign");
  await docker("volume", "rm", "foreign");
  await expectNothingLeft(run, before);
});
