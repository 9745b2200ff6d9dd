/** The deploy action in a whole workflow. */
import { describe, expect } from "vitest";
import { expectNoLeaks, expectNothingLeft, runtimes, start, test } from "./support.ts";

describe("the deploy action", () => {
  test("deploys, proves it, and shows in a dry run that nothing is left to change", async ({ before }) => {
    const run = await start(runtimes.binary(), { workflow: "deploy.yml" });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("first")["deployed"]).toBe("true");
    const changes = JSON.parse(run.outputs("first")["changes"] ?? "") as Record<string, { added: string[] }>;
    expect(changes["functions"]?.added).toContain("messages:send");
    expect(changes["env"]?.added).toEqual(["GREETING", "OPENAI_API_KEY"]);
    expect(run.outputs("second")["deployed"]).toBe("false");
    // The first deploy made convex/_generated, which the second one bundles, so files may differ.
    const { modules, ...others } = JSON.parse(run.outputs("second")["changes"] ?? "") as Record<string, unknown>;
    expect(modules).toMatchObject({ added: [], removed: [] });
    expect(JSON.stringify(others)).not.toMatch(/"(added|removed|changed)":\["/);
    expect(run.summary).toContain("Dry run: nothing was changed");
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });

  test("fails with what is live when a check does", async ({ before }) => {
    const files = { "convex/rooms.ts": 'export { list } from "./other";\n', "convex/other.ts": other };
    const run = await start(runtimes.binary(), { workflow: "deploy.yml", files });
    expect(run.errorCode, run.log).toBe("smoke-failed");
    expect(run.results("first")).toEqual(["failure"]);
    expect(run.outputs("first")["deployed"]).toBe("true");
    expect(run.summary).toContain("The new code is live");
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });
});

/** rooms.greeting is missing, which the smoke check asks for. */
const other = `import { query } from "./_generated/server";
export const list = query({ args: {}, handler: (ctx) => ctx.db.query("rooms").collect() });
`;
