import { describe, expect, it } from "vitest";
import { connectEngine } from "../../../../src/backend/docker/engine.ts";
import { machineName } from "../../../../src/backend/docker/labels.ts";
import { findLeftovers, reclaim } from "../../../../src/backend/docker/leftovers.ts";
import { containerLogs, stopContainer } from "../../../../src/backend/docker/teardown.ts";
import { jobProcess } from "../../../../src/backend/process-table.ts";
import { systemExec } from "../../../../src/system/exec.ts";
import { type Answer, type Asked, fakeEngine, testDeps } from "./support.ts";

const prefix = "dev.convex-selfhost.action";

interface Container {
  owner?: string;
  running?: boolean;
  /** How many signals it takes to end it; 0: none does. */
  signals?: number;
  removal?: Answer;
}

/** An engine with some containers and volumes, and what became of them. */
async function engineWith(containers: Record<string, Container>, volumes: Record<string, string> = {}) {
  const events: string[] = [];
  const waiting: (() => void)[] = [];
  const fake = await fakeEngine(({ path, method, query }: Asked): Answer => {
    const [, kind, name = "", verb] = path.split("/");
    if (kind === "volumes") {
      if (method === "DELETE") events.push(`remove volume ${name}`);
      return name in volumes ? { json: { Labels: { [`${prefix}.owner`]: volumes[name] } } } : undefined;
    }
    const container = containers[name];
    if (container === undefined) return undefined;
    if (method === "DELETE") {
      events.push(`remove ${name} v=${query.get("v")}`);
      return container.removal ?? { status: 204 };
    }
    if (verb === "kill") {
      events.push(`${query.get("signal")} ${name}`);
      container.signals = (container.signals ?? 1) - 1;
      if (container.signals === 0) for (const end of waiting.splice(0)) end();
      return { status: 204 };
    }
    if (verb === "wait") return (response) => void waiting.push(() => response.end('{"StatusCode":0}'));
    const labels = container.owner === undefined ? {} : { [`${prefix}.owner`]: container.owner };
    return { json: { Id: name, State: { Running: container.running ?? true }, Config: { Labels: labels } } };
  });
  return { ...fake, events };
}

function state(engine: string, more: object = {}) {
  return { runtime: "docker", engine, container: "c", owner: "me", keepsData: false, others: [], ...more } as const;
}

describe("stopContainer", () => {
  it("interrupts, waits, and removes with the anonymous volumes", async () => {
    const { address, events } = await engineWith({ c: { owner: "me", signals: 1 } });
    // Time stands still: only the end of the container ends the wait.
    const deps = testDeps();
    const still = { ...deps, clock: { ...deps.clock, sleep: () => new Promise<void>(() => undefined) } };
    expect(await stopContainer(state(address), still)).toEqual([{ what: "stop and remove the container c" }]);
    expect(events).toEqual(["SIGINT c", "remove c v=1"]);
  });

  it.each([
    [false, [1_000, 1_000]],
    [true, [10_000, 1_000]],
  ])("interrupts a second time, then removes by force (keeps data: %s)", async (keepsData, patience) => {
    const { address, events } = await engineWith({ c: { owner: "me", signals: 0 } });
    const deps = testDeps();
    expect(await stopContainer(state(address, { keepsData }), deps)).toEqual([
      { what: "stop and remove the container c" },
    ]);
    expect(events).toEqual(["SIGINT c", "SIGINT c", "remove c v=1"]);
    expect(deps.slept).toEqual(patience);
  });

  it("only removes what has ended already", async () => {
    const { address, events } = await engineWith({ c: { owner: "me", running: false } });
    await stopContainer(state(address), testDeps());
    expect(events).toEqual(["remove c v=1"]);
  });

  it("takes what is gone for done", async () => {
    const { address, events } = await engineWith({});
    const steps = await stopContainer(state(address, { others: ["d"], volume: "v" }), testDeps());
    expect(steps.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    expect(events).toEqual([]);
  });

  it.each([undefined, "somebody else"])("never touches what has the owner %s", async (owner) => {
    const containers = { c: owner === undefined ? {} : { owner } };
    const { address, events } = await engineWith(containers, { v: "somebody else" });
    const steps = await stopContainer(state(address, { volume: "v" }), testDeps());
    expect(steps).toEqual([
      { what: "stop and remove the container c", error: expect.objectContaining({ code: "not-ours" }) },
      { what: "remove the volume v", error: expect.objectContaining({ code: "not-ours" }) },
    ]);
    expect(events).toEqual([]);
  });

  it("goes on when a step fails", async () => {
    const removal: Answer = { status: 500, json: { message: "device busy" } };
    const { address, events } = await engineWith(
      { c: { owner: "me", running: false, removal }, d: { owner: "me" } },
      { v: "me" },
    );
    const steps = await stopContainer(state(address, { others: ["d"], volume: "v" }), testDeps());
    expect(steps.map(({ error }) => error === undefined)).toEqual([false, true, true]);
    expect(events).toEqual(expect.arrayContaining(["remove d v=1", "remove volume v"]));
  });

  it("says so when the engine is gone", async () => {
    const [step] = await stopContainer(state("unix:///nonexistent/docker.sock"), testDeps());
    expect(step).toMatchObject({ error: { code: "engine-not-running" } });
  });
});

describe("containerLogs", () => {
  it("is empty when the container is gone", async () => {
    const { address } = await engineWith({});
    expect(
      await containerLogs({ runtime: "service-container", engine: address, container: "x" }, 5, testDeps()),
    ).toEqual([]);
  });
});

describe("findLeftovers", () => {
  const run = { GITHUB_REPOSITORY: "acme/app", GITHUB_RUN_ID: "42", GITHUB_RUN_ATTEMPT: "2" };
  const created = "2026-11-23T11:00:00.000Z";

  async function find(labels: Record<string, string>): Promise<string[]> {
    const entry = {
      Id: "c",
      Names: ["/convex-1"],
      State: "running",
      Labels: Object.fromEntries(
        Object.entries({ owner: "o", created, ...labels }).map(([name, value]) => [`${prefix}.${name}`, value]),
      ),
    };
    const { address, asked } = await fakeEngine(() => ({ json: [entry] }));
    const deps = { ...testDeps(run), exec: systemExec, platform: process.platform };
    const found = await findLeftovers(await connectEngine(deps, address), deps);
    expect(asked[0]?.query.get("filters")).toBe(JSON.stringify({ label: [`${prefix}.kind=job`] }));
    return found.map(({ what }) => what);
  }

  const self = async (): Promise<string> =>
    (await jobProcess({ exec: systemExec, platform: process.platform }, process.pid)) ?? "";

  it.skipIf(process.platform === "win32")("leaves the job alone whose process runs", async () => {
    expect(await find({ process: await self(), machine: machineName() })).toEqual([]);
  });

  it.skipIf(process.platform === "win32")(
    "finds the job whose process is gone, or was another one with this pid",
    async () => {
      const gone = (await self()).replace(/@.*/, "@another life");
      expect(
        await find({ process: gone, machine: machineName(), repository: "acme/app", job: "test", run: "41" }),
      ).toEqual(["container convex-1 of acme/app, job test, run 41"]);
    },
  );

  it("does not judge by the processes of another machine", async () => {
    expect(await find({ process: "1@gone", machine: "another" })).toEqual([]);
    expect(await find({})).toEqual([]);
  });

  it("finds an earlier attempt of the same run, and what is older than any job", async () => {
    const same = { repository: "acme/app", run: "42" };
    expect(await find({ ...same, attempt: "1" })).toHaveLength(1);
    expect(await find({ ...same, attempt: "2" })).toEqual([]);
    expect(await find({ ...same, run: "41", attempt: "1" })).toEqual([]);
    expect(await find({ created: "2026-11-18T11:59:00.000Z" })).toHaveLength(1);
    expect(await find({ created: "2026-11-18T12:01:00.000Z" })).toEqual([]);
  });

  it("removes each, whatever became of the others", async () => {
    const { address, events } = await engineWith({ b: { owner: "x", running: false } });
    const deps = testDeps();
    const leftovers = ["a", "b", "c"].map((id) => ({ id, name: id, owner: "x", what: `container ${id}` }));
    const steps = await reclaim(await connectEngine(deps, address), leftovers, deps);
    expect(steps.map(({ what }) => what)).toEqual([
      "remove the container a",
      "remove the container b",
      "remove the container c",
    ]);
    expect(events).toEqual(["remove b v=1"]);
  });
});
