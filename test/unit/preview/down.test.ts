import { describe, expect, it } from "vitest";
import { readPreviewInputs } from "../../../src/preview/inputs.ts";
import type { PreviewRun } from "../../../src/preview/run.ts";
import type { FoundPreview, Target } from "../../../src/preview/target.ts";
import { down } from "../../../src/preview/up.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { testDeps } from "../backend/docker/support.ts";

function place(number?: number) {
  const removed: string[] = [];
  const found: FoundPreview = {
    name: "web",
    repository: "acme/app",
    created: new Date(0),
    running: true,
    ...(number === undefined ? {} : { number }),
  };
  const target = {
    where: "here",
    find: async () => found,
    remove: async (name: string) => {
      removed.push(name);
      return [`container ${name}`];
    },
  } as Partial<Target> as Target;
  const deps = testDeps();
  const run = {
    inputs: readPreviewInputs(() => ""),
    repository: "acme/app",
    timeline: new Timeline(deps.clock, 0),
    deps,
  } as Partial<PreviewRun> as PreviewRun;
  return { removed, target, run, lines: deps.lines };
}

describe("down", () => {
  it.each([3, undefined])("leaves what is somebody else's under the same name (%s)", async (number) => {
    const { removed, target, run, lines } = place(number);
    expect(await down({ name: "web", number: 7 }, target, run)).toEqual([]);
    expect(removed).toEqual([]);
    expect(lines).toContainEqual({ level: "notice", message: expect.stringMatching(/and stays\.$/) });
  });
  it("removes its own, and by hand whatever is named", async () => {
    for (const what of [{ name: "web", number: 3 }, { name: "web" }]) {
      const { removed, target, run } = place(3);
      expect(await down(what, target, run)).toEqual(["container web"]);
      expect(removed).toEqual(["web"]);
    }
  });
});
