/** One pull request's life in a local runner, its preview on another machine behind SSH. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeProject } from "../harness/act.ts";
import { leaks } from "../harness/leaks.ts";
import { commitOf, get, job, PREVIEW_SECRET, type PreviewHost, pullRequestEvent, startHost } from "./world.ts";

let host: PreviewHost;
let clean: string[];
beforeAll(async () => {
  host = await startHost([1, 2, 3, 4]);
  clean = await host.inventory();
}, 120_000);
afterAll(async () => {
  await host.stop();
});

describe("a pull request", () => {
  it("gets a preview, keeps it over a push, and loses it when it is closed", async () => {
    const project = await makeProject();
    const opened = pullRequestEvent({ number: 1, action: "opened", commit: commitOf(1) });
    const first = await job({ host, project, event: opened });
    expect(first.exitCode, first.log).toBe(0);
    expect(first.outputs("convex")).toMatchObject({
      action: "up",
      name: "pr-1",
      url: "https://pr-1.preview.test",
      "site-url": "https://pr-1-site.preview.test",
      outcome: "created",
      deployed: "true",
    });
    expect(await get(host, "https://pr-1-site.preview.test/rooms")).toContain("Room 1");
    expect(first.summary).toContain("Preview pr-1 is up");

    const again = await job({ host, project, event: opened });
    expect(again.exitCode, again.log).toBe(0);
    expect(again.outputs("convex")).toMatchObject({ outcome: "unchanged", deployed: "true" });
    expect(again.output("convex")).toContain("is deployed already");

    const pushed = pullRequestEvent({ number: 1, action: "synchronize", commit: commitOf(2) });
    const second = await job({ host, project, event: pushed });
    expect(second.exitCode, second.log).toBe(0);
    expect(second.outputs("convex")).toMatchObject({ outcome: "unchanged", deployed: "true", commit: commitOf(2) });
    // Seeded once: three rooms, not six.
    expect(JSON.parse(await get(host, "https://pr-1-site.preview.test/rooms"))).toHaveLength(3);

    const closed = pullRequestEvent({ number: 1, action: "closed", state: "closed", commit: commitOf(2) });
    const last = await job({ host, project, event: closed });
    expect(last.exitCode, last.log).toBe(0);
    expect(last.outputs("convex")["action"]).toBe("down");
    expect(await host.inventory()).toEqual(clean);
    expect((await job({ host, project, event: closed })).exitCode).toBe(0);

    for (const run of [first, again, second, last]) {
      const secrets = {
        PREVIEW_SECRET,
        key: host.remote.key,
        OPENAI: "sk-sentinel-openai-4711",
        ...(run.outputs("convex")["admin-key"] === undefined
          ? {}
          : { admin: run.outputs("convex")["admin-key"] ?? "" }),
      };
      const argv = run.argv.filter((command) => !command.includes("--instance-secret")).join("\n");
      expect(leaks(secrets, { log: run.log, summary: run.summary, argv })).toEqual([]);
    }
  });
});
