/** Previews at ports of another machine, without any proxy. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemHttp } from "../../../src/system/http.ts";
import { makeProject } from "../harness/act.ts";
import { remoteAddress } from "../harness/remote.ts";
import { commitOf, type PreviewHost, pullRequestEvent, startHost, step } from "./world.ts";

let host: PreviewHost;
beforeAll(async () => {
  host = await startHost([]);
}, 120_000);
afterAll(async () => {
  await host.stop();
});

describe("a preview without a proxy", () => {
  it("has addresses of its own that hold inside and outside, over pushes and other settings", async () => {
    const project = await makeProject();
    const clean = await host.inventory();
    const urls = new Set<string>();
    for (const number of [1, 2]) {
      const pull = host.github.state.open(number, { commit: commitOf(number) });
      const inputs = { proxy: "none", deploy: "false", memory: "512m" };
      const up = async (more: Readonly<Record<string, string>> = {}) =>
        await step({ host, project, event: pullRequestEvent(host, number, "opened"), inputs: { ...inputs, ...more } });
      const first = await up();
      const url = first.outputs.get("url") ?? "";
      expect(url).toMatch(new RegExp(`^http://${remoteAddress}:\\d+$`));
      expect((await systemHttp.request(`${url}/instance_name`)).text()).toBe(`pr-${number}`);
      // It asked itself from inside, and found nothing to warn of.
      expect(first.log).not.toContain("cannot reach itself");
      pull.commit = commitOf(number + 10);
      const again = await up({ memory: "600m" });
      expect(again.outputs.get("outcome")).toBe("recreated");
      expect(again.outputs.get("url")).toBe(url);
      urls.add(url);
    }
    expect(urls.size).toBe(2);
    for (const number of [1, 2]) {
      const pull = host.github.state.pullRequests.find((one) => one.number === number);
      if (pull !== undefined) pull.state = "closed";
      const event = pullRequestEvent(host, number, "closed");
      await step({ host, project, event, inputs: { command: "down", proxy: "none" } });
    }
    expect(await host.inventory()).toEqual(clean);
  }, 300_000);
});
