import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { analyse } from "../../../src/deploy/analysis.ts";
import { startStandin } from "../../standin/standin.ts";
import { fakeDeps } from "../deployment/support.ts";
import { deployApp, newApp, ROOMS } from "./support.ts";

const deps = fakeDeps({ env: { ...process.env, ANALYSIS_SECRET: "sentinel" } });
const problemOf = async (source: string): Promise<string> => {
  const { analysis } = await analyse([{ path: "a.js", source }], ["NAMED"], { functions: true }, deps);
  return "problem" in analysis ? analysis.problem : JSON.stringify(analysis.value);
};

describe("functions of a dry run", () => {
  it("are those that the real deploy finds, with what breaks", { timeout: 60_000 }, async () => {
    await using standin = await startStandin();
    await using app = await newApp({
      "convex/node.ts": `"use node";
import { createHash } from "node:crypto";
import { actionGeneric as action } from "convex/server";
import { v } from "convex/values";
export const digest = action({ args: { text: v.string() }, handler: async (_, { text }) => createHash("sha256").update(text).digest("hex") });
`,
      "convex/http.ts": `import { httpActionGeneric as httpAction, httpRouter } from "convex/server";
const http = httpRouter();
http.route({ method: "GET", path: "/hello", handler: httpAction(async () => new Response("hi")) });
http.route({ method: "POST", pathPrefix: "/p/", handler: httpAction(async () => new Response("hi")) });
export default http;
`,
    });
    const compared = async (dryRun: string) => {
      const { changes, notes } = await deployApp(app, standin, { "dry-run": dryRun });
      const { functions, httpRoutes, breaking } = changes;
      return { functions, httpRoutes, breaking, notes: notes.length };
    };
    const foretold = await compared("true");
    expect(foretold.functions?.added).toContain("node:digest");
    expect(foretold.httpRoutes?.added).toEqual(["GET /hello", "POST /p/*"]);
    expect(foretold).toEqual({ ...(await compared("false")), notes: 1 });
    await app.write(
      "convex/rooms.ts",
      ROOMS.replace("owner: v.optional(v.string())", "owner: v.string()").replace(
        "export const version",
        "const version",
      ),
    );
    const next = await compared("true");
    expect(next.breaking).toHaveLength(2);
    expect(next).toEqual({ ...(await compared("false")), notes: 1 });
  });

  it("are looked at without variables, files and processes of this machine", async () => {
    expect(
      await problemOf("if (process.env.ANALYSIS_SECRET === 'sentinel') throw new Error('seen'); export const a = 1;"),
    ).toContain('"a.js"');
    expect(await problemOf("throw new Error(process.env.NAMED);")).toMatch(/https:\/\/[0-9a-f]+\.placeholder\.invalid/);
    const file = join(tmpdir(), `analysis-${process.pid}`);
    await writeFile(file, "secret");
    onTestFinished(() => rm(file));
    expect(await problemOf(`import { readFileSync } from "node:fs"; readFileSync(${JSON.stringify(file)});`)).toContain(
      "Access to this API has been restricted",
    );
    expect(await problemOf('import { execSync } from "node:child_process"; execSync("true");')).toContain("restricted");
    expect(await problemOf(`import { writeFileSync } from "node:fs"; writeFileSync("x", "");`)).toContain("restricted");
  });

  it("are unknown where a module cannot be loaded, which is said", async () => {
    expect(await problemOf('throw new Error("boom");')).toBe("a.js: boom");
    expect(await problemOf('import "not-installed";')).toContain("not-installed");
    expect(await problemOf("process.exit(0);")).toBe("exit code 0");
  });
});
