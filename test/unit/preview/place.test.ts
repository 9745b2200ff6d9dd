import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findProxyNetwork } from "../../../src/preview/docker/proxy-network.ts";
import { openPlace } from "../../../src/preview/place.ts";
import { type Answer, fakeEngine, scratch, testDeps } from "../backend/docker/support.ts";

const NOTHING = { sshKey: undefined, knownHosts: "" };

/** Docker's own files for a context of that name (docker/cli, "context store"). */
function contextFor(name: string, host: string): { DOCKER_CONFIG: string } {
  const folder = scratch();
  const at = join(folder, "contexts", "meta", createHash("sha256").update(name).digest("hex"));
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, "meta.json"), JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }));
  return { DOCKER_CONFIG: folder };
}

describe("openPlace", () => {
  it("takes an engine by its address, by a context's name, and the one of the environment", async () => {
    const { address } = await fakeEngine(() => ({ json: [] }));
    const no = (): void => undefined;
    for (const [host, env] of [
      [address, {}],
      ["previews", contextFor("previews", address)],
      [undefined, { DOCKER_HOST: address }],
    ] as const) {
      const place = await openPlace({ host, ...NOTHING }, no, testDeps(env));
      expect(place).toMatchObject({ host: "127.0.0.1", engine: { where: address } });
    }
  });

  it("wants key and known hosts also where a context or DOCKER_HOST leads over SSH", async () => {
    const env = contextFor("previews", "ssh://deploy@preview.example.com");
    for (const [host, given] of [
      ["previews", env],
      [undefined, { DOCKER_HOST: "ssh://deploy@preview.example.com" }],
    ] as const) {
      await expect(openPlace({ host, ...NOTHING }, () => undefined, testDeps(given))).rejects.toMatchObject({
        code: "input-missing",
      });
    }
  });
});

describe("findProxyNetwork", () => {
  const container = (name: string, image: string, ...networks: string[]) => ({
    Id: name,
    Names: [`/${name}`],
    Image: image,
    State: "running",
    NetworkSettings: { Networks: Object.fromEntries(networks.map((network) => [network, {}])) },
  });
  const find = async (containers: readonly unknown[], proxy: "traefik" | "caddy"): Promise<string> => {
    const answer = (): Answer => ({ json: containers });
    const { address } = await fakeEngine(answer);
    const { engine } = await openPlace({ host: address, ...NOTHING }, () => undefined, testDeps());
    return await findProxyNetwork(engine, proxy);
  };
  const others = [container("web-1", "nginx:1", "web"), container("app", "acme/traefikless", "app")];

  it.each([
    ["traefik:v3.7", "traefik"],
    ["registry.example.com/mirror/traefik@sha256:00", "traefik"],
    ["lucaslorentz/caddy-docker-proxy:2.9", "caddy"],
  ] as const)("is the network of %s, among others", async (image, proxy) => {
    expect(await find([...others, container("edge", image, "bridge", "proxy")], proxy)).toBe("proxy");
  });

  it("is the host's for a proxy on that", async () => {
    expect(await find([container("edge", "traefik:v3", "host")], "traefik")).toBe("host");
  });

  it.each([
    ["none looks like it", others, /no running container there looks like traefik/],
    ["it is on the default network only", [container("edge", "traefik:v3", "bridge")], /default network only/],
    ["it is on several", [container("edge", "traefik:v3", "a", "b")], /several: a, b/],
  ] as const)("is asked for where %s", async (_, containers, message) => {
    await expect(find(containers, "traefik")).rejects.toMatchObject({
      code: "proxy-network-unknown",
      message: expect.stringMatching(message),
    });
  });
});
