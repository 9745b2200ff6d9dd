import { describe, expect, it } from "vitest";
import type { BackendSpec, BackendState } from "../../../../src/backend/backend.ts";
import { startContainer } from "../../../../src/backend/docker/container.ts";
import { connectEngine } from "../../../../src/backend/docker/engine.ts";
import type { Image } from "../../../../src/backend/docker/image.ts";
import { type Answer, type Asked, fakeEngine, testDeps } from "./support.ts";

const secret = "f".repeat(64);
const spec: BackendSpec = {
  instanceName: "chat",
  instanceSecret: secret,
  bind: "127.0.0.1",
  port: 3210,
  sitePort: 3211,
  backendEnv: {},
};
const digest = `sha256:${"a".repeat(64)}`;
const image: Image = {
  reference: `r/a@${digest}`,
  id: "sha256:1",
  digest,
  revision: "5c7cb5b",
  entrypoint: ["./run_backend.sh"],
  cmd: [],
  pulled: false,
};
const runner = {
  GITHUB_REPOSITORY: "acme/app",
  GITHUB_RUN_ID: "42",
  GITHUB_RUN_ATTEMPT: "2",
  GITHUB_JOB: "test",
  GITHUB_ACTION: "convex",
  RUNNER_NAME: "runner-1",
};
const prefix = "dev.convex-selfhost.action";

/** An engine that creates, starts by `start`, lists `others`, and lets containers run for ever. */
async function start(
  given: Partial<BackendSpec>,
  starts: Answer[] = [],
  others: object[] = [],
  env: Record<string, string> = runner,
) {
  const saved: { state: BackendState; changed: number }[] = [];
  const engine = await fakeEngine(({ path, method }: Asked): Answer => {
    if (path === "/containers/create") return { status: 201, json: { Id: "c1" } };
    if (path === "/containers/c1/start") return starts.shift() ?? { status: 204 };
    if (path === "/containers/c1/wait") return (response) => void response.writeHead(200).flushHeaders();
    if (path === "/containers/json") return { json: others };
    return method === "DELETE" ? { status: 204 } : undefined;
  });
  const deps = testDeps(env);
  const backend = await startContainer(
    await connectEngine(deps, engine.address),
    { ...spec, ...given },
    { image, owner: "convex-1" },
    (state) => saved.push({ state, changed: engine.asked.filter(({ method }) => method !== "GET").length }),
    deps,
  ).catch((error: unknown) => error);
  const bodies = engine.asked
    .filter(({ path }) => path === "/containers/create")
    .map(({ body }) => body as Record<string, unknown>);
  return { backend, bodies, saved, asked: engine.asked, address: engine.address };
}

const taken = (port: number): Answer => ({
  status: 500,
  json: {
    message: `driver failed programming external connectivity on endpoint x (1): Bind for 127.0.0.1:${port} failed: port is already allocated`,
  },
});

describe("startContainer", () => {
  it("saves the state before anything is created", async () => {
    const { saved, address } = await start({});
    expect(saved).toEqual([
      {
        changed: 0,
        state: {
          runtime: "docker",
          engine: address,
          container: "convex-1",
          owner: "convex-1",
          keepsData: false,
          others: [],
        },
      },
    ]);
  });

  it("creates what was checked, published on the loopback, labelled, stopped by SIGINT", async () => {
    const { backend, bodies, asked } = await start({});
    expect(asked.find(({ path }) => path === "/containers/create")?.query.get("name")).toBe("convex-1");
    expect(bodies).toEqual([
      {
        Image: image.reference,
        Env: expect.arrayContaining(["INSTANCE_NAME=chat", `INSTANCE_SECRET=${secret}`, "DISABLE_BEACON=true"]),
        Labels: expect.objectContaining({
          [`${prefix}.owner`]: "convex-1",
          [`${prefix}.kind`]: "job",
          [`${prefix}.instance`]: "chat",
          [`${prefix}.repository`]: "acme/app",
          [`${prefix}.run`]: "42",
          [`${prefix}.attempt`]: "2",
          [`${prefix}.job`]: "test",
          [`${prefix}.step`]: "convex",
          [`${prefix}.runner`]: "runner-1",
          [`${prefix}.created`]: "2026-11-23T12:00:00.000Z",
        }),
        ExposedPorts: { "3210/tcp": {}, "3211/tcp": {} },
        StopSignal: "SIGINT",
        HostConfig: {
          Mounts: [],
          ExtraHosts: ["host.docker.internal:host-gateway"],
          LogConfig: { Type: "json-file", Config: { "max-size": "50m", "max-file": "2" } },
          PortBindings: {
            "3210/tcp": [{ HostIp: "127.0.0.1", HostPort: "3210" }],
            "3211/tcp": [{ HostIp: "127.0.0.1", HostPort: "3211" }],
          },
        },
      },
    ]);
    expect(backend).toMatchObject({
      url: "http://127.0.0.1:3210",
      containerId: "c1",
      imageDigest: digest,
      revision: "5c7cb5b",
    });
    expect(JSON.stringify(asked.map(({ path, query }) => [path, String(query)]))).not.toContain(secret);
  });

  it("takes other ports when those chosen for 0 were taken in between", async () => {
    const ephemeral: Answer = {
      status: 500,
      json: { message: "failed to bind host port for 127.0.0.1:0:172.17.0.2:3210/tcp: address already in use" },
    };
    const { backend, bodies, asked } = await start({ port: 0, sitePort: 0 }, [ephemeral, ephemeral]);
    expect(bodies).toHaveLength(3);
    expect(asked.filter(({ method }) => method === "DELETE")).toHaveLength(2);
    const { url, siteUrl } = backend as { url: string; siteUrl: string };
    const env = bodies[2]?.["Env"] as string[];
    expect(env).toContain(`CONVEX_CLOUD_ORIGIN=${url}`);
    expect(env).toContain(`CONVEX_SITE_ORIGIN=${siteUrl}`);
    expect(bodies[2]?.["Cmd"]).toEqual(["./run_backend.sh"]);
    expect(url).not.toBe(siteUrl);
  });

  it("gives up after five tries", async () => {
    const ephemeral: Answer = { status: 500, json: { message: "address already in use" } };
    const { backend, bodies } = await start({ port: 0, sitePort: 0 }, Array(9).fill(ephemeral));
    expect(backend).toMatchObject({ code: "port-taken" });
    expect(bodies).toHaveLength(5);
  });

  const holder = (labels: object): object => ({
    Id: "h",
    Names: ["/web-db"],
    Image: "postgres:16",
    State: "running",
    Labels: labels,
    Ports: [{ PublicPort: 3210 }],
  });
  const ours = (step: string): object => ({
    [`${prefix}.owner`]: "convex-0",
    [`${prefix}.repository`]: "acme/app",
    [`${prefix}.run`]: "42",
    [`${prefix}.attempt`]: "2",
    [`${prefix}.job`]: "test",
    [`${prefix}.runner`]: "runner-1",
    [`${prefix}.step`]: step,
  });

  it.each([
    ["a container", holder({}), 'Port 3210 on 127.0.0.1 is in use by container "web-db" (postgres:16).'],
    [
      "another step",
      holder(ours("first")),
      'Port 3210 on 127.0.0.1 is in use by another backend of this job: step "first" (container web-db).',
    ],
    [
      "a step without id",
      holder(ours("__acme_convex")),
      "Port 3210 on 127.0.0.1 is in use by another backend of this job: an earlier step (container web-db).",
    ],
    [
      "another leg of the matrix",
      holder({ ...ours("first"), [`${prefix}.runner`]: "runner-2" }),
      "Port 3210 on 127.0.0.1 is in use by the backend of another job, test of acme/app run 42 (container web-db).",
    ],
  ])("names %s that holds the port", async (_name, other, message) => {
    const { backend, asked } = await start({}, [taken(3210)], [other]);
    expect(backend).toMatchObject({ code: "port-taken", message });
    expect(asked.filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  it("names the input of the port that was taken", async () => {
    const { backend } = await start({ port: 0 }, [taken(3211)], []);
    expect(backend).toMatchObject({
      code: "port-taken",
      message: expect.stringContaining("Port 3211"),
      hint: expect.stringContaining("site-port: 0"),
    });
  });

  it("removes what cannot be started, and says what the engine said", async () => {
    const refusal: Answer = { status: 400, json: { message: "OCI runtime create failed: no such file" } };
    const { backend, asked } = await start({}, [refusal]);
    expect(backend).toMatchObject({ code: "engine-refused", message: expect.stringContaining("no such file") });
    expect(asked.filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  it("keeps data in a volume, and says so in the state", async () => {
    const { bodies, saved } = await start({ data: "convex-data" });
    expect(bodies[0]?.["HostConfig"]).toMatchObject({
      Mounts: [{ Type: "volume", Source: "convex-data", Target: "/convex/data" }],
    });
    expect(saved[0]?.state).toMatchObject({ keepsData: true });
  });
});
