import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkAlias } from "../../../../src/backend/docker/alias.ts";
import { dataMount } from "../../../../src/backend/docker/data.ts";
import { connectEngine } from "../../../../src/backend/docker/engine.ts";
import { findPlace, type Place } from "../../../../src/backend/docker/place.ts";
import { reachableHost } from "../../../../src/backend/docker/publish.ts";
import { type Answer, fakeEngine, scratch, testDeps } from "./support.ts";

const id = "ab".repeat(32);

/** The file system of a job's container, as the engine lays it out. */
function containerRoot(): string {
  const root = scratch();
  mkdirSync(join(root, "proc", "self"), { recursive: true });
  writeFileSync(join(root, ".dockerenv"), "");
  const mount = `600 590 8:1 /var/lib/docker/containers/${id}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw`;
  writeFileSync(join(root, "proc", "self", "mountinfo"), `590 580 0:50 / / rw - overlay overlay rw\n${mount}\n`);
  return root;
}

function container(networks: Record<string, object>): Answer {
  return {
    json: {
      Id: id,
      Name: "/job",
      State: { Running: true },
      HostConfig: { NetworkMode: Object.keys(networks)[0] },
      NetworkSettings: { Networks: networks },
    },
  };
}

async function place(own: Answer, network: string | undefined, root: string): Promise<Place> {
  const { address } = await fakeEngine(({ path }) => (path === `/containers/${id}/json` ? own : undefined));
  return await findPlace(await connectEngine(testDeps(), address), network, root);
}

describe("findPlace", () => {
  it("is the host outside of containers, whatever the network", async () => {
    expect(await place(undefined, undefined, scratch())).toEqual({ kind: "host" });
    expect(await place(undefined, "services", scratch())).toEqual({ kind: "host", network: "services" });
  });

  it("is the job's network inside of one", async () => {
    const own = container({ github_network: {} });
    expect(await place(own, "github_network", containerRoot())).toMatchObject({
      kind: "network",
      network: "github_network",
    });
    expect(await place(own, undefined, containerRoot())).toMatchObject({ kind: "network", network: "github_network" });
  });

  it("is the host in a container on the host's network", async () => {
    expect(await place(container({ host: {} }), undefined, containerRoot())).toMatchObject({ kind: "host" });
  });

  it("refuses the default network, where containers have no names", async () => {
    await expect(place(container({ bridge: {} }), undefined, containerRoot())).rejects.toMatchObject({
      code: "job-network",
    });
  });

  it("believes the input where the engine does not know our container, and else takes its loopback", async () => {
    expect(await place(undefined, "pods", containerRoot())).toEqual({ kind: "network", network: "pods" });
    expect(await place(undefined, undefined, containerRoot())).toEqual({ kind: "host" });
  });
});

describe("reachableHost", () => {
  const host: Place = { kind: "host" };
  it.each([
    ["127.0.0.1", host, "127.0.0.1"],
    ["0.0.0.0", host, "127.0.0.1"],
    ["::", host, "[::1]"],
    ["fd00::2", host, "[fd00::2]"],
    ["192.168.1.5", host, "192.168.1.5"],
    ["0.0.0.0", { kind: "remote", host: "docker" }, "docker"],
  ] as const)("%s", (bind, where, expected) => {
    expect(reachableHost(bind, where)).toBe(expected);
  });

  it("refuses a loopback of another machine", () => {
    expect(() => reachableHost("127.0.0.1", { kind: "remote", host: "docker" })).toThrow(
      expect.objectContaining({ code: "bind-unreachable" }),
    );
  });
});

/** In a job's container that shares `folder` as `/host/shared`, and the workspace. */
function jobPlace(folder: string): Place {
  const own = {
    id,
    name: "job",
    imageId: "",
    labels: {},
    running: true,
    exitCode: 0,
    outOfMemory: false,
    restarts: 0,
    env: {},
    ports: {},
  };
  const mounts = [
    { source: "/host/outer", destination: dirname(folder) },
    { source: "/host/shared", destination: folder },
    { source: "/host/work", destination: "/__w" },
  ];
  return { kind: "network", network: "net", own: { ...own, networkMode: "net", networks: {}, mounts } };
}

describe("dataMount", () => {
  it("takes a name for a volume", () => {
    expect(dataMount("convex-data", { kind: "host" }, testDeps())).toEqual({
      Type: "volume",
      Source: "convex-data",
      Target: "/convex/data",
    });
  });

  it("makes a directory, relative to the workspace", () => {
    const workspace = scratch();
    const deps = testDeps({ GITHUB_WORKSPACE: workspace });
    expect(dataMount("./kept/data", { kind: "host" }, deps)).toEqual({
      Type: "bind",
      Source: join(workspace, "kept/data"),
      Target: "/convex/data",
    });
    expect(existsSync(join(workspace, "kept/data"))).toBe(true);
  });

  it("says why a directory cannot be made", () => {
    const file = join(scratch(), "file");
    writeFileSync(file, "");
    expect(() => dataMount(join(file, "data"), { kind: "host" }, testDeps())).toThrow(
      expect.objectContaining({ code: "data-directory" }),
    );
  });

  it.runIf(process.platform === "linux")("ends where none can be made, below /proc too", () => {
    expect(() => dataMount("/proc/nothing/data", { kind: "host" }, testDeps())).toThrow(
      expect.objectContaining({ code: "data-directory" }),
    );
  });

  it("translates a path of the job's container by its longest mount", () => {
    const folder = scratch();
    expect(dataMount(join(folder, "a/b"), jobPlace(folder), testDeps()).Source).toBe("/host/shared/a/b");
    expect(dataMount(folder, jobPlace(folder), testDeps()).Source).toBe("/host/shared");
  });

  it("refuses what the engine cannot see", () => {
    const refused = expect.objectContaining({ code: "data-not-shared" });
    const workspace = scratch();
    const elsewhere = jobPlace("/nowhere/shared");
    expect(() => dataMount(join(workspace, "data"), elsewhere, testDeps())).toThrow(refused);
    expect(() => dataMount(workspace, { kind: "network", network: "net" }, testDeps())).toThrow(refused);
    expect(() => dataMount(workspace, { kind: "remote", host: "docker" }, testDeps())).toThrow(refused);
  });
});

describe("checkAlias", () => {
  it.each([
    ["a service's alias", { Name: "/abc", NetworkSettings: { Networks: { net: { Aliases: ["chat"] } } } }],
    ["a container's name", { Name: "/chat", NetworkSettings: { Networks: { net: { Aliases: null } } } }],
  ])("refuses %s", async (_name, info) => {
    const { address } = await fakeEngine(({ path }) =>
      path === "/containers/json" ? { json: [{ Id: "x", State: "running", Names: ["/abc"] }] } : { json: info },
    );
    const engine = await connectEngine(testDeps(), address);
    await expect(checkAlias(engine, "net", "chat")).rejects.toMatchObject({ code: "alias-taken" });
    await expect(checkAlias(engine, "net", "chat-2")).resolves.toBeUndefined();
  });
});
