import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import type { BackendSpec, RunningBackend } from "../../../src/backend/backend.ts";
import { type BinaryState, startBinary } from "../../../src/backend/binary.ts";
import type { Addresses } from "../../../src/backend/binary-command.ts";
import { endLeftover, findLeftovers } from "../../../src/backend/binary-leftovers.ts";
import { lostPort } from "../../../src/backend/binary-ports.ts";
import { stopBinary } from "../../../src/backend/binary-stop.ts";
import { bootFailure } from "../../../src/backend/boot-failure.ts";
import { tailOf } from "../../../src/backend/log-tail.ts";
import { jobIsAlive, jobProcess, linuxStartTime, processTable } from "../../../src/backend/process-table.ts";
import { waitUntilReady } from "../../../src/backend/readiness.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { fakeBackend, machine, serve, specOf, temporary } from "./support.ts";

const linux = process.platform === "linux";
let owners = 0;

function flagOf(args: readonly string[], name: string): number {
  return Number(args[args.indexOf(name) + 1]);
}

/** Its time passes slowly: a start is then watched until the backend listens or ends, however busy the machine is. */
const patient: Deps["clock"] = {
  now: () => systemClock.now() / 50,
  sleep: (ms, signal) => systemClock.sleep(ms, signal),
};

/**
 * @param spawned is told of each process as soon as it is there
 * @param clock of the start alone
 */
async function start(
  overrides: Partial<BackendSpec> = {},
  env: NodeJS.ProcessEnv = process.env,
  spawned: (pid: number) => void = () => undefined,
  clock: Deps["clock"] = patient,
) {
  const temp = await temporary();
  const executable = await fakeBackend(temp);
  const { deps, told } = machine({ env });
  const states: BinaryState[] = [];
  const owner = `test-${process.pid}-${++owners}`;
  const save = (state: unknown): void => {
    const next = state as BinaryState;
    states.push(next);
    if (next.pid !== undefined) spawned(next.pid);
  };
  onTestFinished(async () => {
    const last = states.at(-1);
    if (last !== undefined) await stopBinary(last, deps);
  });
  const started = startBinary(specOf(overrides), { executable, owner, temp }, save, { ...deps, clock });
  return { started, states, deps, told, temp, owner, last: () => states.at(-1) as BinaryState };
}

function portsOf({ url, siteUrl, cloudOrigin, siteOrigin }: RunningBackend): Addresses {
  const [port, sitePort] = [url, siteUrl].map((one) => Number(new URL(one).port));
  return { port: port ?? 0, sitePort: sitePort ?? 0, url, siteUrl, cloudOrigin, siteOrigin };
}

function runs(pid: number): boolean {
  return linuxStartTime(pid) !== undefined;
}

async function logOf(state: BinaryState, pattern: RegExp): Promise<string> {
  for (let tries = 0; tries < 500; tries++) {
    const found = (await tailOf(state.logFile, 1000)).find((line) => pattern.test(line));
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${pattern} does not come in ${state.logFile}`);
}

describe("startBinary", () => {
  it("saves the state before anything exists, and again with pid and start time", async () => {
    const { started, states, last } = await start();
    const backend = await started;
    expect(states[0]).not.toHaveProperty("pid");
    expect(last().pid).toBe(backend.pid);
    if (linux) expect(states[1]).toMatchObject({ pid: backend.pid, startTime: linuxStartTime(backend.pid ?? 0) });
    expect((await stat(last().directory)).mode & 0o777).toBe(0o700);
    expect((await stat(last().logFile)).mode & 0o777).toBe(0o600);
  });

  it("passes the arguments of the binary, database last, and an environment without the job's secrets", async () => {
    const env = {
      ...process.env,
      GITHUB_TOKEN: "ghs_secret",
      INPUT_ENV: "SECRET=1",
      ACTIONS_RUNTIME_TOKEN: "runtime",
      CONVEX_DEPLOY_KEY: "prod:key",
      OPENAI_API_KEY: "sk-1",
      RUNNER_TRACKING_ID: "github_1",
    };
    const { started, last, owner, temp } = await start({ backendEnv: { KNOB: "7", DISABLE_BEACON: "" } }, env);
    const backend = await started;
    const { port } = new URL(backend.url);
    const args: unknown = JSON.parse((await logOf(last(), /^ARGS /)).slice(5));
    const data = join(temp, `convex-backend-${owner}`, "data");
    expect(args).toEqual([
      ...["--interface", "127.0.0.1", "--port", port, "--site-proxy-port", new URL(backend.siteUrl).port],
      ...["--instance-name", "lab", "--instance-secret", specOf().instanceSecret],
      ...["--convex-origin", backend.url, "--convex-site", backend.siteUrl],
      ...["--local-storage", join(data, "storage"), "--disable-beacon", join(data, "db.sqlite3")],
    ]);
    const seen = JSON.parse((await logOf(last(), /^ENV /)).slice(4)) as Record<string, string>;
    expect(seen).toMatchObject({
      KNOB: "7",
      NO_COLOR: "1",
      CONVEX_ACTION_OWNER: owner,
      RUNNER_TRACKING_ID: "github_1",
    });
    expect(existsSync(seen["TMPDIR"] ?? "")).toBe(true);
    expect(
      Object.keys(seen).filter((name) => /GITHUB_|INPUT_|ACTIONS_|DEPLOY_KEY|OPENAI|DISABLE_BEACON/.test(name)),
    ).toEqual([]);
  });

  it("names who holds a port", async () => {
    const url = await serve((_, response) => response.end());
    const { started } = await start({ port: Number(new URL(url).port) });
    await expect(started).rejects.toMatchObject({
      code: "port-taken",
      message: expect.stringContaining(`pid ${process.pid}`),
    });
  });

  it.runIf(linux)("names the step whose backend holds a port", async () => {
    const first = await (await start({}, { ...process.env, GITHUB_ACTION: "convex" })).started;
    const { started } = await start({ port: Number(new URL(first.url).port) });
    await expect(started).rejects.toThrow(/the backend that step "convex" of this job started/);
  });

  it("takes other ports when a chosen one is taken between the choice and the start", async () => {
    const { started, states, told, last } = await start({ backendEnv: { FAKE: "lose-port-once" } });
    const { pid, url } = await started;
    const pids = new Set(states.map((state) => state.pid));
    expect(pids.size).toBe(3);
    expect(last().pid).toBe(pid);
    expect((await machine().deps.http.request(`${url}/instance_name`)).text()).toBe("lab");
    expect(told.info.join()).toContain("trying others");
  });

  it.runIf(linux)("is not fooled by the answers of the one who took the port", async () => {
    // We take the first backend's port as soon as it runs; it notices only when it binds, past the watch of 300 ms.
    const taken: Promise<string>[] = [];
    const { started, states, told, last } = await start({ backendEnv: { FAKE: "late-bind" } }, process.env, (pid) => {
      const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (taken.length === 0) taken.push(serve((_, response) => response.end("lab"), flagOf(args, "--port")));
    });
    const { pid, url } = await started;
    expect(taken).toHaveLength(1);
    expect(url).not.toBe(await taken[0]);
    expect(new Set(states.map((state) => state.pid)).size).toBe(3);
    expect(last().pid).toBe(pid);
    expect(told.info.join()).toContain("trying others");
  });

  it("leaves the wait for readiness, and its time limit, to the caller also on chosen ports", async () => {
    const { started } = await start({ backendEnv: { FAKE: "never-ready" } }, process.env, undefined, systemClock);
    const backend = await started;
    const before = Date.now();
    expect(await lostPort(backend, portsOf(backend), machine().deps)).toBe(false);
    // It waits three seconds and more only where another process holds a port.
    expect(Date.now() - before).toBeLessThan(2900);
  });

  it("does not wait for answers of a deaf backend", async () => {
    const { started } = await start({ backendEnv: { FAKE: "deaf" } }, process.env, undefined, systemClock);
    const backend = await started;
    const before = Date.now();
    const { deps } = machine();
    const wish = { instanceName: "lab", adminKey: "lab|01current", timeoutMs: 600, secrets: [] };
    await expect(waitUntilReady(backend, wish, deps)).rejects.toMatchObject({ code: "backend-not-ready" });
    expect(Date.now() - before).toBeLessThan(10_000);
  });

  it("refuses what cannot be executed", async () => {
    const temp = await temporary();
    const { deps } = machine();
    const place = { executable: join(temp, "missing"), owner: "none", temp };
    const missing = startBinary(specOf(), place, () => undefined, deps);
    await expect(missing).rejects.toMatchObject({ code: "binary-unfit" });
    const shown = inspect(await missing.catch((error: unknown) => error), { depth: 9 });
    expect(shown).not.toContain(specOf().instanceSecret);
  });

  it.runIf(linux)("explains a file for another processor, which the system hands to its shell", async () => {
    const temp = await temporary();
    const { deps, told } = machine();
    const executable = join(temp, "foreign");
    await writeFile(executable, "\x7fELF\x02\x01\x01(;\n", { mode: 0o755 });
    const [port = 0, sitePort = 0] = await freePorts(2);
    const backend = await startBinary(
      specOf({ port, sitePort }),
      { executable, owner: "foreign", temp },
      () => undefined,
      deps,
    );
    const failure = bootFailure(await backend.ended, await backend.logs(50), { afterMs: 10, secrets: [] }, deps.log);
    expect(failure.message).toContain("no program for this kind of processor");
    expect(told.foreign.length).toBeGreaterThan(0);
  });

  it("tells how the process ended", async () => {
    const { started } = await start({
      port: (await freePorts(1))[0] ?? 0,
      sitePort: (await freePorts(1))[0] ?? 0,
      backendEnv: { FAKE: "exit-secret" },
    });
    const backend = await started;
    expect(await backend.ended).toEqual({ exitCode: 1, signal: null, outOfMemory: false });
    expect((await backend.logs(1))[0]).toBe("Error: Couldn't hexdecode key");
  });

  it.runIf(process.platform === "linux")("refuses a data directory that cannot be made", async () => {
    const { started } = await start({ data: "/proc/nothing/data" });
    await expect(started).rejects.toMatchObject({ code: "data-directory" });
  });

  it("refuses a data directory that a running backend uses, and takes that of a dead one", async () => {
    const data = join(await temporary(), "kept");
    const first = await start({ data });
    await first.started;
    await expect((await start({ data })).started).rejects.toMatchObject({ code: "data-in-use" });
    await stopBinary(first.last(), first.deps);
    expect(existsSync(data)).toBe(true);
    await (await start({ data })).started;
  });
});

describe("stopBinary", () => {
  it("interrupts the backend, and removes its directory", async () => {
    const { started, last, deps } = await start();
    const { pid = 0, ended } = await started;
    const steps = await stopBinary(last(), deps);
    expect(steps.map(({ what, error }) => [what.split(" ")[0], error])).toEqual([
      ["stop", undefined],
      ["remove", undefined],
    ]);
    expect(await ended).toMatchObject({ exitCode: 0, signal: null });
    expect(runs(pid)).toBe(false);
    expect(existsSync(last().directory)).toBe(false);
    expect(await stopBinary(last(), deps)).toEqual([]);
  });

  it("interrupts a second time after a second", async () => {
    const { started, last, deps } = await start({ backendEnv: { FAKE: "slow-stop" } });
    const { ended } = await started;
    const before = Date.now();
    await stopBinary(last(), deps);
    expect(await ended).toMatchObject({ exitCode: 0 });
    expect(Date.now() - before).toBeGreaterThanOrEqual(1000);
  });

  it("kills what does not heed interrupts", async () => {
    const { started, last, deps } = await start({ backendEnv: { FAKE: "ignore-sigint" } });
    const { ended } = await started;
    await stopBinary(last(), deps);
    expect(await ended).toMatchObject({ signal: "SIGKILL" });
  });

  it.runIf(linux)("ends the Node child that a killed backend leaves behind", async () => {
    const { started, last, deps } = await start({ backendEnv: { FAKE: "orphan" } });
    const { pid = 0, ended } = await started;
    const orphan = Number((await logOf(last(), /^ORPHAN /)).slice(7));
    process.kill(pid, "SIGKILL");
    await ended;
    expect(runs(orphan)).toBe(true);
    const steps = await stopBinary(last(), deps);
    expect(steps.map(({ what }) => what)).toContain("end what the backend started");
    await expect.poll(() => runs(orphan)).toBe(false);
  });

  it.runIf(linux)("finds the backend by our variable when main died before it knew the pid", async () => {
    const { started, states, deps } = await start();
    const { ended } = await started;
    await stopBinary(states[0] as BinaryState, deps);
    expect(await ended).toMatchObject({ exitCode: 0 });
  });

  it.runIf(linux)("never touches a process that only has the pid", async () => {
    const { deps } = machine();
    const child = spawn("sleep", ["60"], { stdio: "ignore", detached: true });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child, "spawn");
    const state: BinaryState = {
      runtime: "binary",
      pid: child.pid ?? 0,
      startTime: "another boot:1",
      owner: "reused",
      directory: "/nonexistent/reused",
      keepsData: false,
      logFile: "/nonexistent/reused/backend.log",
    };
    expect(await stopBinary(state, deps)).toEqual([]);
    expect(runs(child.pid ?? 0)).toBe(true);
  });

  it("removes no directory without our mark", async () => {
    const { deps } = machine();
    const directory = join(await temporary(), "theirs");
    await mkdir(directory);
    await writeFile(join(directory, "owner"), "somebody else");
    const state: BinaryState = {
      runtime: "binary",
      owner: "me",
      directory,
      keepsData: false,
      logFile: join(directory, "l"),
    };
    const [step] = await stopBinary(state, deps);
    expect(step?.error).toBeInstanceOf(Error);
    expect(existsSync(directory)).toBe(true);
  });
});

describe.runIf(linux)("leftovers", () => {
  it("are backends whose job is gone, and nothing else", async () => {
    const { started, owner, last, deps } = await start();
    const { pid = 0 } = await started;
    expect((await findLeftovers(deps)).map((leftover) => leftover.owner)).not.toContain(owner);

    // The same process as another job would have left it: its mark names a process that is gone.
    const directory = join(await temporary(), "convex-backend-dead");
    await mkdir(directory);
    await writeFile(join(directory, "owner"), "dead-job");
    const env = {
      CONVEX_ACTION_OWNER: "dead-job",
      CONVEX_ACTION_JOB: "1@another-boot:5",
      CONVEX_ACTION_DIRECTORY: directory,
    };
    const dead = spawn("sleep", ["60"], { env: { ...process.env, ...env }, detached: true, stdio: "ignore" });
    const gone = once(dead, "exit");
    await once(dead, "spawn");
    const [leftover] = (await findLeftovers(deps)).filter((found) => found.owner === "dead-job");
    if (leftover === undefined) throw new Error("the leftover was not found");
    expect(leftover).toMatchObject({ pid: dead.pid, directory });
    await endLeftover(leftover, deps);
    await gone;
    expect(existsSync(directory)).toBe(false);
    expect(runs(pid)).toBe(true);
    expect(existsSync(last().directory)).toBe(true);
  });
});

describe("the process table", () => {
  it.runIf(linux)("tells one life of a pid from the next, and no zombies", async () => {
    const { deps } = machine();
    const table = processTable(deps);
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    expect(await table.startTime(process.pid)).toMatch(new RegExp(`^${boot}:\\d+$`));
    expect(await table.startTime(4_194_304)).toBeUndefined();
    const job = await jobProcess(deps);
    expect(await jobIsAlive(job ?? "", deps)).toBe(true);
    expect(await jobIsAlive("12@elsewhere", deps)).toBe(false);
    expect(await jobIsAlive("", deps)).toBeUndefined();
  });

  it("asks ps on macOS", async () => {
    const asked: (readonly string[])[] = [];
    const answers = [
      "S    Mon Nov 23 12:00:01 2026\n",
      "Z    Mon Nov 23 12:00:01 2026\n",
      "",
      "  101   101 Ss   /x/convex-local-backend --port 1 CONVEX_ACTION_OWNER=me CONVEX_ACTION_JOB=7@Mon_Nov_23_12:00:01_2026 HOME=/Users/a\n  102   101 S    node local.cjs\n",
    ];
    const { deps } = machine({
      platform: "darwin",
      exec: {
        run: async (command, args) => {
          asked.push([command, ...args]);
          return { exitCode: 0, stdout: answers.shift() ?? "", stderr: "", timedOut: false };
        },
      },
    });
    const table = processTable(deps);
    expect(await table.startTime(7)).toBe("Mon Nov 23 12:00:01 2026");
    expect(await table.startTime(7)).toBeUndefined();
    expect(await table.startTime(7)).toBeUndefined();
    expect(await table.marked()).toEqual([{ pid: 101, group: 101, owner: "me", job: "7@Mon_Nov_23_12:00:01_2026" }]);
    expect(asked[0]).toEqual(["ps", "-o", "state=,lstart=", "-p", "7"]);
  });

  it("asks PowerShell on Windows, and ends the process tree there", async () => {
    const asked: string[] = [];
    let alive = true;
    const { deps } = machine({
      platform: "win32",
      exec: {
        run: async (command, args) => {
          asked.push([command, ...args].join(" "));
          if (command === "taskkill") alive = false;
          return { exitCode: 0, stdout: alive ? "638997\n" : "", stderr: "", timedOut: false };
        },
      },
    });
    const pid = 4_194_304;
    const state = {
      runtime: "binary",
      pid,
      startTime: "638997",
      owner: "me",
      directory: "/nonexistent/x",
      keepsData: false,
      logFile: "/nonexistent/l",
    } as const;
    const steps = await stopBinary(state, deps);
    expect(steps).toEqual([{ what: "stop the backend" }]);
    expect(asked.some((line) => line === `taskkill /PID ${pid} /T /F`)).toBe(true);
    const reused = await stopBinary({ ...state, startTime: "1" }, deps);
    expect(reused).toEqual([]);
  });
});

describe("tailOf", () => {
  it("reads the end of a large log, whole lines only", async () => {
    const file = join(await temporary(), "log");
    await writeFile(file, Array.from({ length: 100_000 }, (_, at) => `line ${at}\n`).join(""));
    expect(await tailOf(file, 2)).toEqual(["line 99998", "line 99999"]);
    const all = await tailOf(file, 1_000_000);
    expect(all[0]).toMatch(/^line \d+$/);
    expect(all.length).toBeLessThan(100_000);
    expect(await tailOf(join(file, "missing"), 5)).toEqual([]);
    expect(await readFile(file, "utf8")).toContain(all[0] ?? "?");
  });
});
