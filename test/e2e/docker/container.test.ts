import { existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { execIn, inspectContainer } from "../../../src/backend/docker/containers.ts";
import { probeOrigins } from "../../../src/backend/docker/probe.ts";
import { containerLogs, stopContainer } from "../../../src/backend/docker/teardown.ts";
import { docker } from "../harness/engine.ts";
import { type Baseline, baseline } from "../harness/leftovers.ts";
import { folder, ready, realDeps, type Started, secret, start } from "./support.ts";

let before: Baseline;
beforeEach(async () => {
  before = await baseline();
});
afterEach(async () => {
  await before.sweep();
});

async function stop(started: Pick<Started, "state">): Promise<void> {
  const steps = await stopContainer(started.state, realDeps());
  expect(steps.filter(({ error }) => error !== undefined)).toEqual([]);
}

describe("a backend in a container", () => {
  it("is reached from outside and inside, ends by SIGINT, and leaves nothing behind", async () => {
    const started = await start({});
    const { backend, engine } = started;
    await ready(backend);
    expect(backend).toMatchObject({ url: "http://127.0.0.1:3210", cloudOrigin: "http://127.0.0.1:3210" });
    expect(await probeOrigins(engine, backend.containerId ?? "", { ...backend, instanceName: "chat" })).toEqual([]);
    expect(await docker("port", started.state.container)).toBe(
      "3210/tcp -> 127.0.0.1:3210\n3211/tcp -> 127.0.0.1:3211",
    );
    expect((await containerLogs(started.state, 50, realDeps())).join("\n")).toContain("backend listening on");
    await stop(started);
    expect(await backend.ended).toEqual({ exitCode: 0, signal: null, outOfMemory: false });
    expect(await before.leftovers()).toEqual([]);
  });

  it("has its own calls led to it on any port", async () => {
    const started = await start({ port: 0, sitePort: 0 });
    const { backend, engine } = started;
    await ready(backend);
    const { url, siteUrl, cloudOrigin, siteOrigin, containerId = "" } = backend;
    expect([cloudOrigin, siteOrigin]).toEqual([url, siteUrl]);
    expect(await probeOrigins(engine, containerId, { cloudOrigin, siteOrigin, instanceName: "chat" })).toEqual([]);
    const localhost = url.replace("127.0.0.1", "localhost");
    const [problem] = await probeOrigins(engine, containerId, {
      cloudOrigin: localhost.replace(/\d+$/, "9"),
      siteOrigin,
    });
    expect(problem).toMatchObject({ name: "cloud-origin", what: expect.stringContaining("cannot reach itself") });
    // The backend is the first process: it gets the signals, and the container ends with it.
    const first = await execIn(engine, containerId, ["cat", "/proc/1/cmdline"]);
    expect(first.stdout).toContain("--instance-name\0chat");
    await stop(started);
    expect(await backend.ended).toMatchObject({ exitCode: 0 });
    expect(await before.leftovers()).toEqual([]);
  });

  it("gives out the user's loopback origins and leads them inside as well", async () => {
    const given = { cloudOrigin: "http://localhost:8080", siteOrigin: "http://localhost:8081" };
    const { backend, engine } = await start(given);
    await ready(backend);
    expect(backend).toMatchObject({ url: "http://127.0.0.1:3210", ...given });
    expect(await probeOrigins(engine, backend.containerId ?? "", { ...given, instanceName: "chat" })).toEqual([]);
  });

  it("runs four times at once on free ports, as the legs of a matrix do", async () => {
    const all = await Promise.all(
      [1, 2, 3, 4].map((leg) => start({ port: 0, sitePort: 0 }, { RUNNER_NAME: `runner-${leg}` })),
    );
    await Promise.all(all.map(({ backend }) => ready(backend)));
    expect(new Set(all.flatMap(({ backend }) => [backend.url, backend.siteUrl])).size).toBe(8);
    await Promise.all(all.map(stop));
    expect(await before.leftovers()).toEqual([]);
  });

  it("tells its end, its exit code and its last lines when it dies at boot", async () => {
    const { backend } = await start({ instanceSecret: "zz".repeat(32) });
    expect(await backend.ended).toEqual({ exitCode: 1, signal: null, outOfMemory: false });
    expect((await backend.logs(50)).join("\n")).toContain("Couldn't hexdecode key");
  });

  it("reaches services of the machine under host.docker.internal", async () => {
    const server = createServer((_request, response) => response.end("here"));
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    try {
      const { backend, engine } = await start({});
      const url = `http://host.docker.internal:${port}/`;
      const { stdout } = await execIn(engine, backend.containerId ?? "", ["curl", "-sS", "--max-time", "5", url]);
      expect(stdout).toBe("here");
    } finally {
      server.close();
    }
  });

  it("gets its secrets without an argument list of ours or a file", async () => {
    const { backend, engine } = await start({ backendEnv: { KNOB_SECRET: "knob-secret-value" } });
    await ready(backend);
    const info = await inspectContainer(engine, backend.containerId ?? "");
    expect(info?.env["INSTANCE_SECRET"]).toBe(secret);
    expect(info?.env["KNOB_SECRET"]).toBe("knob-secret-value");
    const listed = await docker("ps", "--no-trunc", "--format", "{{.Command}} {{.Labels}}");
    expect(listed).not.toContain(secret);
  });
});

describe("data that is kept", () => {
  it("outlives the container in a volume and in a directory", async () => {
    const directory = join(folder(), "kept");
    for (const data of ["convex-e2e-data", directory]) {
      const first = await start({ data });
      await ready(first.backend);
      await stop(first);
      const second = await start({ data });
      await ready(second.backend);
      const logs = (await second.backend.logs(200)).join("\n");
      expect(logs).not.toContain("Initializing database with system tables");
      await stop(second);
    }
    expect(existsSync(join(directory, "db.sqlite3"))).toBe(true);
    const left = await before.leftovers();
    expect(left.filter((line) => !line.startsWith("process "))).toEqual(["volume convex-e2e-data"]);
  });

  it("is not confused by a directory with a colon", async () => {
    const directory = join(folder(), "a:b");
    mkdirSync(directory);
    const { backend } = await start({ data: directory });
    await ready(backend);
    expect(existsSync(join(directory, "db.sqlite3"))).toBe(true);
  });
});

describe("a port that is taken", () => {
  const job = {
    GITHUB_REPOSITORY: "acme/app",
    GITHUB_RUN_ID: "7",
    GITHUB_RUN_ATTEMPT: "1",
    GITHUB_JOB: "test",
    RUNNER_NAME: "r1",
  };

  it("is said to be held by a process", async () => {
    const server = createServer((socket) => void socket.on("error", () => undefined));
    await new Promise<void>((resolve) => server.listen(3211, "127.0.0.1", resolve));
    try {
      await expect(start({})).rejects.toMatchObject({
        code: "port-taken",
        message: `Port 3211 on 127.0.0.1 is in use by process ${process.argv0.split("/").at(-1)} (pid ${process.pid}).`,
        hint: expect.stringContaining("site-port: 0"),
      });
    } finally {
      server.close();
    }
    expect(await before.leftovers()).toEqual([]);
  });

  it("is said to be held by a container, or by which step of this job", async () => {
    const { backend, state } = await start({}, { ...job, GITHUB_ACTION: "first" });
    await expect(start({ instanceName: "other" }, { ...job, GITHUB_ACTION: "second" })).rejects.toMatchObject({
      code: "port-taken",
      // The engine binds both in an order of its own.
      message: expect.stringMatching(
        `^Port 321[01] on 127.0.0.1 is in use by another backend of this job: step "first" \\(container ${state.container}\\).$`,
      ),
    });
    await expect(start({}, { ...job, RUNNER_NAME: "r2" })).rejects.toMatchObject({
      message: expect.stringContaining("the backend of another job, test of acme/app run 7"),
    });
    const second = await start({ port: 0, sitePort: 0, instanceName: "other" }, { ...job, GITHUB_ACTION: "second" });
    await Promise.all([ready(backend), ready(second.backend, "other")]);
    await Promise.all([stop({ state }), stop(second)]);
    expect(await before.leftovers()).toEqual([]);
  });
});

describe("the end of a job", () => {
  const label = "dev.convex-selfhost.action.owner";

  it("is not held up by what ignores signals", async () => {
    const name = "convex-e2e-deaf";
    const deaf = ["sh", "-c", "trap '' INT TERM; while :; do sleep 1; done"];
    await docker("run", "-d", "--name", name, "--label", `${label}=${name}`, "standin-base:1", ...deaf);
    const engine = "unix:///var/run/docker.sock";
    const since = performance.now();
    await stop({ state: { runtime: "docker", engine, container: name, owner: name, keepsData: false, others: [] } });
    expect(performance.now() - since).toBeGreaterThan(1_900);
    expect(await before.leftovers()).toEqual([]);
  });

  it("does not touch a container of somebody else that has the name", async () => {
    await docker("run", "-d", "--name", "convex-e2e-foreign", "standin-base:1", "sleep", "60");
    const engine = "unix:///var/run/docker.sock";
    const owner = "convex-e2e-foreign";
    const steps = await stopContainer(
      { runtime: "docker", engine, container: owner, owner, keepsData: false, others: [] },
      realDeps(),
    );
    expect(steps).toMatchObject([{ error: { code: "not-ours" } }]);
    expect(await docker("ps", "--format", "{{.Names}}")).toBe("convex-e2e-foreign");
  });

  it("comes to nothing when nothing was made, and twice", async () => {
    let state: Started["state"] | undefined;
    const started = await start({}, {}, (saved) => {
      state = saved;
    });
    await stop(started);
    await stop(started);
    expect(state).toEqual(started.state);
  });
});
