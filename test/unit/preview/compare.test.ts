/** What a pull request is told of a push, with the real CLI against the stand-in. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findProject } from "../../../src/deployment/project.ts";
import { recordPush, writePushFile } from "../../../src/deployment/push-file.ts";
import { deployTo } from "../../../src/preview/deploy.ts";
import { readPreviewInputs } from "../../../src/preview/inputs.ts";
import { prepareUp, type UpPlan } from "../../../src/preview/prepare.ts";
import type { UpReport } from "../../../src/preview/report.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { type App, clientOf, newApp, ROOMS, SCHEMA } from "../deploy/support.ts";
import { fakeDeps } from "../deployment/support.ts";

const PLAN: UpPlan = { action: "up", name: "pr-1", number: 1, commit: "a".repeat(40), branch: "topic", fork: false };

async function deploy(
  app: App,
  standin: Standin,
  { compare = true, fork = false, given = {} }: { compare?: boolean; fork?: boolean; given?: Record<string, string> },
): Promise<UpReport> {
  const deps = fakeDeps({
    clock: systemClock,
    exec: systemExec,
    env: { ...process.env, GITHUB_WORKSPACE: app.path },
  });
  const inputs: Readonly<Record<string, string>> = { "preview-secret": "0123456789abcdef0123456789abcdef", ...given };
  const read = readPreviewInputs((name) => inputs[name] ?? "");
  const prepared = await prepareUp(read, { ...PLAN, fork }, "acme/app", deps);
  const { url, siteUrl, adminKey } = standin;
  const reached = { client: clientOf(standin), adminKey, origins: { cloud: url, site: siteUrl } };
  let report: UpReport = {};
  const tell = (facts: Partial<UpReport>): void => {
    report = { ...report, ...facts };
  };
  const wish = { unchanged: false, seed: false, compare };
  await deployTo(prepared, reached, wish, new Timeline(systemClock, 0), tell, deps);
  return report;
}

/** A function goes, one comes, a table comes, an index goes. */
async function change(app: App): Promise<void> {
  await app.write("convex/rooms.ts", ROOMS.replace("export const version", "export const release"));
  const schema = SCHEMA.replace('.index("by_name", ["name"])', "").replace("});\n", "  extra: defineTable({}),\n});\n");
  await app.write("convex/schema.ts", schema);
}

const CHANGED = {
  functions: { added: ["rooms:release"], removed: ["rooms:version"], changed: [] },
  tables: { added: ["extra"], removed: [], changed: [] },
  indexes: { added: [], removed: ["rooms.by_name"], changed: [] },
  modules: { added: [], removed: [], changed: ["rooms.js", "schema.js"] },
  breaking: ["rooms:version is gone: clients that call it get an error."],
};

describe("what a push changes in a preview", () => {
  it("is told of the second, by what was there before it", { timeout: 180_000 }, async () => {
    await using app = await newApp();
    const standin = await startStandin();
    try {
      expect(await deploy(app, standin, { compare: false, given: { env: "A=1\nOLD=1" } })).not.toHaveProperty(
        "changes",
      );
      await change(app);
      const { changes, deployed } = await deploy(app, standin, { given: { env: "A=2\nB=1" } });
      expect(deployed).toMatch(/^3 functions/);
      expect(changes).toMatchObject({ ...CHANGED, env: { added: ["B"], removed: [], changed: ["A"] } });
    } finally {
      await standin.stop();
    }
  });

  it("is told of a fork's recorded push in the same words", { timeout: 180_000 }, async () => {
    await using app = await newApp();
    const standin = await startStandin();
    const record = async (): Promise<void> => {
      const deps = fakeDeps({ clock: systemClock, exec: systemExec, env: { ...process.env } });
      await writePushFile(join(app.path, "push.json"), await recordPush(deps, await findProject(app.path), app.path));
    };
    try {
      await record();
      const given = { "push-file": "push.json", "fork-label": "ok" };
      await deploy(app, standin, { compare: false, fork: true, given });
      await change(app);
      await record();
      expect((await deploy(app, standin, { fork: true, given })).changes).toMatchObject(CHANGED);
    } finally {
      await standin.stop();
    }
  });
});
