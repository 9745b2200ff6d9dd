import { describe, expect } from "vitest";
import { act, makeProject } from "./harness/act.ts";
import { world } from "./harness/world.ts";
import { expectNoLeaks, expectNothingLeft, sentinels, test } from "./support.ts";

describe("the workflow of the README", () => {
  test.for<[string, string]>([
    ["docker", "issue.yml"],
    ["an executable that is already there", "issue-binary.yml"],
  ])("works with %s, tells no secret and leaves nothing", async ([runtime, workflow], { before }) => {
    const run = await act({ project: await makeProject(), workflow, secrets: sentinels });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.results("tests")).toEqual(["success"]);
    expect(run.output("tests")).toMatch(/pass 3/);

    const outputs = run.outputs("convex");
    expect(outputs).toMatchObject({
      url: "http://127.0.0.1:3210",
      "site-url": "http://127.0.0.1:3211",
      "instance-name": "convex-self-hosted",
    });
    expect(outputs["admin-key"]).toMatch(/^convex-self-hosted\|[0-9a-f]+$/);
    if (runtime === "docker") {
      expect(outputs["image-digest"]).toBe(world().image.digest);
      expect(outputs["container-id"]).toMatch(/^[0-9a-f]{64}$/);
    } else expect(outputs["pid"]).toMatch(/^\d+$/);
    expect(run.exported).toMatchObject({
      CONVEX_SELF_HOSTED_URL: outputs["url"],
      CONVEX_SITE_URL: outputs["site-url"],
      VITE_CONVEX_URL: outputs["url"],
      CONVEX_DEPLOY_KEY: "",
      CONVEX_DEPLOYMENT: "",
      CONVEX_DEPLOYMENT_TOKEN: "",
    });
    expect(run.masks).toEqual(expect.arrayContaining([outputs["admin-key"], outputs["instance-secret"]]));
    expect(run.summary).toContain("Convex backend ready in");
    expect(run.summary).toContain("```mermaid");
    for (const name of ["GREETING", "OPENAI_API_KEY", "JWKS", "SITE_URL"]) expect(run.summary).toContain(name);
    expect(run.results("convex", "Post")).toEqual(["success"]);
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });
});
