/** The templates for servers that Coolify and Dokploy manage, with their proxy's network and certificate resolver. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ActRun, makeProject } from "../harness/act.ts";
import { commitOf, get, type PreviewHost, pullRequestEvent, startHost, template } from "./world.ts";

let host: PreviewHost;
beforeAll(async () => {
  host = await startHost([1, 2]);
});
afterAll(async () => {
  await host.stop();
});

describe.each([
  [1, "convex-preview-coolify.yml", "coolify"],
  [2, "convex-preview-dokploy.yml", "dokploy-network"],
])("pull request %i by %s", (number, name, network) => {
  it(`gets a preview on the network ${network}, with certificates of the host's own, and loses it`, async () => {
    await host.remote.docker("network", "create", network);
    const project = await makeProject();
    const pull = host.github.state.open(number, { commit: commitOf(number) });
    const on = async (action: string): Promise<ActRun> => {
      const event = pullRequestEvent(host, number, action);
      const run = await template({ host, project, name, event, timeoutMs: 280_000 });
      expect(run.exitCode, run.log).toBe(0);
      return run;
    };
    const up = await on("opened");
    expect(up.outputs("preview")).toMatchObject({ url: `https://pr-${number}.preview.test`, deployed: "true" });
    expect(await get(host, `https://pr-${number}.preview.test/version`)).toBe("unknown");
    const id = (await host.inventory()).flatMap(
      (line) => new RegExp(`^container (convex-preview-\\w+-pr-${number}) `).exec(line)?.[1] ?? [],
    );
    const labels = JSON.parse(
      await host.remote.docker("inspect", "-f", "{{json .Config.Labels}}", id[0] ?? ""),
    ) as Record<string, string>;
    expect(labels["traefik.docker.network"]).toBe(network);
    const resolvers = Object.entries(labels).filter(([name]) => name.endsWith(".tls.certresolver"));
    expect(resolvers.map(([, resolver]) => resolver)).toEqual(["letsencrypt", "letsencrypt"]);
    pull.state = "closed";
    expect((await on("closed")).outputs("preview")["action"]).toBe("down");
    expect((await host.inventory()).some((line) => line.includes(`pr-${number}`))).toBe(false);
  });
});
