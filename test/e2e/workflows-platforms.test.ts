/** The template for Fly.io, up to Fly's own door. Those of the other platforms: workflows-platforms.long.test.ts. */
import { afterAll, beforeAll, describe, expect } from "vitest";
import { filesInRunnerTemp } from "./harness/leftovers.ts";
import { world } from "./harness/world.ts";
import { deployed, NEON, Platforms, POSTGRES, S3 } from "./platforms.ts";
import { expectNoLeaks, test } from "./support.ts";

describe("the template for Fly.io", () => {
  let platforms: Platforms;
  beforeAll(async () => {
    platforms = await Platforms.start(4410);
  });
  afterAll(async () => {
    await platforms[Symbol.asyncDispose]();
  });
  const token = "FlyV1-sentinel-token-1234";

  test("makes the app, and deploys to it with the key of its own secret", { timeout: 300_000 }, async () => {
    const secrets = { FLY_API_TOKEN: token, CONVEX_CONNECTION: platforms.connection(`POSTGRES_URL='${NEON}'`, ...S3) };
    const answers = { "flyctl apps list": { stdout: '[{"Name":"other"}]\n' } };
    const { run, calls, of } = await platforms.run("convex-fly.yml", {
      ...{ secrets, answers, event: "push" },
      vars: { FLY_ORG: "acme-team", FLY_REGION: "iad" },
    });
    expect(run.exitCode, run.log).toBe(0);
    expect(calls.map(({ command }) => command)).toEqual([
      ...["flyctl apps list", "flyctl apps create", "flyctl secrets import", "flyctl deploy"],
    ]);
    expect(of("flyctl apps create")[0]).toMatchObject({
      operands: ["acme-app-convex"],
      options: { "--org": "acme-team" },
    });
    const secret = platforms.production.instanceSecret;
    expect(of("flyctl secrets import")[0]?.stdin).toBe(
      [`INSTANCE_SECRET=${secret}`, `POSTGRES_URL=${POSTGRES}`, ...S3, ""].join("\n"),
    );
    const [deploy] = of("flyctl deploy");
    expect(deploy?.options).toMatchObject({
      "--app": "acme-app-convex",
      "--ha": "false",
      "--image": `${world().image.repository}@${world().image.digest}`,
      "--env": [
        "INSTANCE_NAME=convex-self-hosted",
        "CONVEX_CLOUD_ORIGIN=https://acme-app-convex.fly.dev",
        "CONVEX_SITE_ORIGIN=https://acme-app-convex.fly.dev/http",
      ],
    });
    expect(deploy?.files["fly.toml"]).toMatch(/^primary_region = "iad"$/m);
    expect(deploy?.files["fly.toml"]).toMatch(/^TMPDIR = "\/convex\/data\/tmp"$/m);
    expect(deploy?.files["fly.toml"]).toMatch(/^\[\[mounts\]\]\nsource = .+\ndestination = "\/convex\/data"$/m);
    expect(deployed(run), run.log).toBe(true);
    expectNoLeaks(run, "platform", {
      ...platforms.secrets,
      ...secrets,
      ...{ secret, password: "pw-sentinel-4711", url: POSTGRES, s3: "s3/sentinel+4711==" },
    });
    expect(filesInRunnerTemp(run.home).filter((path) => !path.endsWith("fly.toml"))).toEqual([]);
  });

  test("makes no second app, and deploys nothing when Fly refuses", {
    timeout: 300_000,
  }, async () => {
    const there = { "flyctl apps list": { stdout: '[{"Name":"acme-convex"}]\n' } };
    const given = { secrets: { FLY_API_TOKEN: token }, vars: { FLY_APP: "acme-convex" } };
    const refused = await platforms.run("convex-fly.yml", {
      ...given,
      answers: { ...there, "flyctl deploy": { stdout: "Error: no capacity\n", exit: 1 } },
    });
    expect(refused.run.exitCode).not.toBe(0);
    expect(refused.of("flyctl apps create")).toEqual([]);
    expect(refused.run.results("Bring the app up to date")).toEqual(["failure"]);
    expect(refused.run.results("deploy")).toEqual([]);
    expect(refused.of("flyctl secrets import")[0]?.stdin).toBe(
      `INSTANCE_SECRET=${platforms.production.instanceSecret}\n`,
    );
  });

  test("asks nothing of Fly without the backend's secret", { timeout: 300_000 }, async () => {
    const { run, calls } = await platforms.run("convex-fly.yml", {
      secrets: { FLY_API_TOKEN: token, CONVEX_CONNECTION: "CONVEX_CLOUD_ORIGIN=https://acme-convex.fly.dev\n" },
    });
    expect(run.results("Bring the app up to date")).toEqual(["failure"]);
    expect(run.log).toContain("has no line INSTANCE_SECRET=");
    expect(calls).toEqual([]);
  });
});
