/** What an `up` says when the preview is taken away under its hands, and when it calls for room. */
import { describe, expect, it } from "vitest";
import { readPreviewInputs } from "../../../src/preview/inputs.ts";
import { prepareUp, type UpPlan } from "../../../src/preview/prepare.ts";
import type { FoundPreview, Target } from "../../../src/preview/target.ts";
import { up } from "../../../src/preview/up.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { scratch, testDeps } from "../backend/docker/support.ts";

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
});
