/** What an `up` says when the preview is taken away under its hands, and when it calls for room. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { findProject } from "../../../src/deployment/project.ts";
import { recordPush, writePushFile } from "../../../src/deployment/push-file.ts";
import { readPreviewInputs } from "../../../src/preview/inputs.ts";
import { prepareUp, type UpPlan } from "../../../src/preview/prepare.ts";
import { changesIn, type UpReport } from "../../../src/preview/report.ts";
import type { FoundPreview, Target } from "../../../src/preview/target.ts";
import { up } from "../../../src/preview/up.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { startStandin } from "../../standin/standin.ts";
import { scratch, testDeps } from "../backend/docker/support.ts";
import { newApp } from "../deploy/support.ts";
import { fakeDeps } from "../deployment/support.ts";

const PLAN: UpPlan = { action: "up", name: "pr-1", number: 1, commit: "a".repeat(40), branch: "topic", fork: false };
const FOUND: FoundPreview = { name: "pr-1", repository: "acme/app", number: 1, created: new Date(), running: true };

/** An `up` of a preview that does not answer. */
async function run(before: FoundPreview | undefined, after: FoundPreview | undefined) {
  const deps = { ...testDeps({ GITHUB_WORKSPACE: scratch() }), clock: systemClock };
  const inputs: Readonly<Record<string, string>> = {
    "preview-secret": "0123456789abcdef0123456789abcdef",
    deploy: "false",
    "ready-timeout": "1",
  };
  const prepared = await prepareUp(
    readPreviewInputs((name) => inputs[name] ?? ""),
    PLAN,
    "acme/app",
    deps,
  );
  const told: string[] = [];
  const target = {
    where: "here",
    apply: async () => ({
      outcome: "unchanged",
      // The discard port: nobody listens.
      origins: { cloud: "http://127.0.0.1:9", site: "http://127.0.0.1:9" },
      ...(before === undefined ? {} : { before }),
    }),
    health: async () => ({ running: true, answers: true, restarts: 0, outOfMemory: false, log: [] }),
    find: async () => after,
  } as Partial<Target> as Target;
  const made = async (): Promise<void> => void told.push("made");
  const timeline = new Timeline(systemClock, 0);
  const error: unknown = await up({
    ...{ prepared, target, timeline, deps, made },
    tell: () => undefined,
    reached: () => undefined,
  }).catch((thrown: unknown) => thrown);
  return { error, told };
}

describe("up", () => {
  it("says so when the preview was removed while it worked on it", async () => {
    const { error } = await run({ ...FOUND, lastUp: new Date() }, undefined);
    expect(error).toMatchObject({ code: "preview-removed", cause: expect.objectContaining({ code: "preview-proxy" }) });
  });
  it("makes room for a preview that never was whole, whatever becomes of it, and for no other", async () => {
    for (const before of [undefined, FOUND]) {
      const { error, told } = await run(before, FOUND);
      expect(error).toMatchObject({ code: "preview-proxy" });
      expect(told).toEqual(["made"]);
    }
    expect((await run({ ...FOUND, lastUp: new Date() }, FOUND)).told).toEqual([]);
  });

  it("is confirmed before it removes variables, and stays whole when the backend keeps one", {
    timeout: 180_000,
  }, async () => {
    await using app = await newApp({
      "convex/auth.config.ts": 'export default { providers: [{ domain: process.env.ISSUER, applicationID: "a" }] };\n',
    });
    const recording = fakeDeps({ clock: systemClock, env: { ...process.env } });
    await writePushFile(
      join(app.path, "push.json"),
      await recordPush(recording, await findProject(app.path), app.path),
    );
    const deps = { ...testDeps({ GITHUB_WORKSPACE: app.path }), clock: systemClock };
    const given: Readonly<Record<string, string>> = {
      "preview-secret": "0123456789abcdef0123456789abcdef",
      "push-file": "push.json",
    };
    const read = readPreviewInputs((name) => given[name] ?? "");
    const prepared = await prepareUp(read, PLAN, "acme/app", deps);
    const { instanceName, instanceSecret } = prepared;
    await using standin = await startStandin({ instanceName, instanceSecret });
    const { url, siteUrl, adminKey } = standin;
    const client = new DeploymentClient({ ...deps, url, adminKey });
    const names = async (): Promise<string[]> => [...(await client.listVariables()).keys()].sort();
    const values = { ISSUER: "https://issuer.example", OLD: "1", OLDER: "2" };
    await client.updateVariables(Object.entries(values).map(([name, value]) => ({ name, value })));
    const confirmed: unknown[] = [];
    const target = {
      where: "here",
      apply: async () => ({
        outcome: "unchanged",
        origins: { cloud: url, site: siteUrl },
        before: { ...FOUND, commit: "b".repeat(40) },
      }),
      confirm: async (_name, { commit }) => void confirmed.push([commit, await names()]),
      find: async () => FOUND,
    } as Partial<Target> as Target;
    let report: UpReport = {};
    await up({
      ...{ prepared, target, deps, timeline: new Timeline(systemClock, 0) },
      made: async () => undefined,
      tell: (facts) => {
        report = { ...report, ...facts };
      },
      reached: () => undefined,
    });
    expect(confirmed).toEqual([[PLAN.commit, ["ISSUER", "OLD", "OLDER"]]]);
    expect(report).toMatchObject({ variablesRemoved: ["OLD", "OLDER"], variablesRefused: ["ISSUER"] });
    expect(changesIn(report)?.env).toEqual({ added: [], removed: ["OLD", "OLDER"], changed: [] });
    expect(await names()).toEqual(["ISSUER"]);
    const warnings = deps.lines.filter(({ level }) => level === "warning").map(({ message }) => message);
    expect(warnings).toEqual([expect.stringMatching(/^\[auth-variable-missing\] .*ISSUER.* env-keep\.$/)]);
  });
});
