import { describe, expect, it } from "vitest";
import type { Fields } from "../../../../src/backend/docker/fields.ts";
import { namesOf } from "../../../../src/preview/docker/names.ts";
import { type Entrance, type Wanted, wantedContainers } from "../../../../src/preview/docker/wanted.ts";
import type { PreviewSpec } from "../../../../src/preview/target.ts";

const origins = { cloud: "https://pr-1.preview.example.com", site: "https://pr-1-site.preview.example.com" };
const image = { reference: "repo@sha256:1", id: "sha256:1", entrypoint: ["./run_backend.sh"], cmd: [], pulled: false };
const spec: PreviewSpec = {
  name: "pr-1",
  repository: "acme/app",
  number: 1,
  instanceName: "pr-1",
  instanceSecret: "5e".repeat(32),
  backendEnv: {},
  isolated: false,
};
const proxied: Entrance = { kind: "proxy", proxy: "traefik", network: "proxy" };

function wanted(given: Partial<PreviewSpec> = {}, entrance: Entrance = proxied, dashboard = false): Wanted[] {
  return wantedContainers(
    { ...spec, ...given },
    {
      names: namesOf("acme/app", "pr-1"),
      image,
      entrance,
      origins,
      ...(dashboard ? { dashboard: { image, origin: "https://pr-1-dashboard.preview.example.com" } } : {}),
    },
  );
}

const host = (one: Wanted | undefined): Fields => one?.config["HostConfig"] as Fields;
const labels = (one: Wanted | undefined): Fields => one?.config["Labels"] as Fields;

describe("wantedContainers", () => {
  it("puts a preview of our own beside the proxy, with its limits, started again after a reboot", () => {
    const [backend, ...others] = wanted({ memory: 512, cpus: 0.5 });
    expect(others).toEqual([]);
    expect(host(backend)).toMatchObject({
      NetworkMode: "proxy",
      Memory: 512,
      MemorySwap: 512,
      NanoCpus: 500_000_000,
      RestartPolicy: { Name: "unless-stopped" },
    });
    expect(host(backend)).not.toHaveProperty("PortBindings");
  });

  it("keeps a fork's backend on a network of its own, which neither proxy nor other previews are on", () => {
    const [backend, gateway, ...others] = wanted({ isolated: true });
    expect(others).toEqual([]);
    const { network } = namesOf("acme/app", "pr-1");
    expect(host(backend)).toMatchObject({ NetworkMode: network });
    expect(backend).not.toHaveProperty("joins");
    expect(host(backend)).not.toHaveProperty("ExtraHosts");
    expect(JSON.stringify(labels(backend))).not.toContain("traefik");
    expect(gateway).toMatchObject({ role: "gateway", joins: "proxy" });
    expect(host(gateway)).toMatchObject({ NetworkMode: network, CapDrop: ["ALL"], ReadonlyRootfs: true });
    expect(JSON.stringify(gateway?.config)).not.toContain(spec.instanceSecret);
    expect(labels(gateway)["traefik.docker.network"]).toBe("proxy");
  });

  it("publishes ports without a proxy, and says so in no route", () => {
    const [backend] = wanted({}, { kind: "ports", bind: "127.0.0.1", ports: [20_001, 20_002, 20_003] });
    expect(host(backend)["PortBindings"]).toEqual({
      "3210/tcp": [{ HostIp: "127.0.0.1", HostPort: "20001" }],
      "3211/tcp": [{ HostIp: "127.0.0.1", HostPort: "20002" }],
    });
    expect(JSON.stringify(labels(backend))).not.toContain("traefik");
  });

  it("gives the dashboard a route of its own and no secret", () => {
    const [, dashboard] = wanted({}, proxied, true);
    expect(dashboard?.role).toBe("dashboard");
    expect(JSON.stringify(dashboard?.config)).not.toContain(spec.instanceSecret);
    expect(Object.values(labels(dashboard))).toContain("Host(`pr-1-dashboard.preview.example.com`)");
  });

  it("hashes all settings under a key, so that a label tells whether anything is different and nothing else", () => {
    const settings = (given: Partial<PreviewSpec> = {}, entrance = proxied): string =>
      wanted(given, entrance)[0]?.settings ?? "";
    expect(settings()).toBe(settings());
    const all = [
      settings(),
      settings({ memory: 1 }),
      settings({ backendEnv: { A: "1" } }),
      settings({ instanceSecret: "5f".repeat(32) }),
      settings({}, { ...proxied, proxy: "caddy" }),
      settings({}, { ...proxied, network: "other" }),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(JSON.stringify(labels(wanted()[0]))).not.toContain(spec.instanceSecret);
  });
});
