import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePorts } from "../../../src/system/ports.ts";
import { issueKey } from "../../standin/generate-key.ts";

const main = fileURLToPath(new URL("../../standin/main.ts", import.meta.url));
const secret = "01".repeat(32);

interface Run {
  readonly child: ChildProcess;
  readonly url: string;
  readonly output: () => string;
  readonly errors: () => string;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
}

let directory: string;
let runs: Run[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "process-"));
  runs = [];
});
afterEach(async () => {
  for (const { child, exited } of runs) {
    if (child.exitCode === null) child.kill("SIGKILL");
    await exited;
  }
  rmSync(directory, { recursive: true, force: true });
});

async function start(env: Record<string, string> = {}, flags: string[] = []): Promise<Run> {
  const [port = 0, sitePort = 0] = await freePorts(2);
  const usual = ["--instance-name", "lab", "--instance-secret", secret, "--interface", "127.0.0.1"];
  const ports = ["--port", `${port}`, "--site-proxy-port", `${sitePort}`, "--disable-beacon", "--local-storage", "s"];
  const child = spawn(process.execPath, [main, ...usual, ...ports, ...flags, "db.sqlite3"], {
    cwd: directory,
    env: { PATH: process.env["PATH"], NO_COLOR: "", TMPDIR: directory, ...env },
  });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (bytes) => {
    output += bytes;
  });
  child.stderr.on("data", (bytes) => {
    errors += bytes;
  });
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const run = { child, url: `http://127.0.0.1:${port}`, output: () => output, errors: () => errors, exited };
  runs.push(run);
  return run;
}

/** Resolves with the output as soon as it has the text. */
function printed({ child, output, errors, exited }: Run, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => output().includes(text) && resolve();
    child.stdout?.on("data", look);
    look();
    void exited.then(() => reject(new Error(`ended without "${text}":\n${output()}${errors()}`)));
  });
}

const READY = "Migration complete";

describe("what a test can make a start do (knobs.ts)", { timeout: 60_000 }, () => {
  it("says in its log that it is a test double", async () => {
    const run = await start();
    await printed(run, READY);
    expect(run.output()).toContain("test double");
  });

  it("STANDIN_EXIT_CODE ends it before the ports are bound, with what STANDIN_PRINT says", async () => {
    const run = await start({ STANDIN_EXIT_CODE: "3", STANDIN_PRINT: "secret-value" });
    expect(await run.exited).toEqual({ code: 3, signal: null });
    expect(run.output()).toContain("secret-value");
    expect(run.output()).not.toContain("backend listening");
  });

  it("STANDIN_EXIT_CODE=134 is an abort", async () => {
    expect(await (await start({ STANDIN_EXIT_CODE: "134" })).exited).toEqual({ code: null, signal: "SIGABRT" });
  });

  it("STANDIN_NEVER_READY goes on without ports until it is told to stop", async () => {
    const run = await start({ STANDIN_NEVER_READY: "1" });
    await printed(run, "No exports requested or in progress.");
    await expect(fetch(`${run.url}/version`)).rejects.toThrow();
    run.child.kill("SIGINT");
    expect((await run.exited).code).toBe(0);
  });

  it("STANDIN_HANG accepts connections and never answers", async () => {
    const run = await start({ STANDIN_HANG: "1" });
    await printed(run, READY);
    const socket = connect(Number(new URL(run.url).port), "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.destroy();
  });

  it("STANDIN_EXIT_AFTER_MS ends it while it serves", async () => {
    const run = await start({ STANDIN_EXIT_AFTER_MS: "20" });
    expect((await run.exited).code).toBe(1);
    expect(run.output()).toContain(READY);
  });

  it("STANDIN_MIGRATE_FROM shows the steps of an upgrade, and the abort of one that is too old", async () => {
    const run = await start({ STANDIN_MIGRATE_FROM: "122" });
    await printed(run, READY);
    const steps = run.output().match(/Migrating to \d+|Migrated \d+\n|Executing Migration \S+/g);
    expect(steps?.map((step) => step.trim())).toEqual([
      "Migrating to 123",
      "Executing Migration 123/124.",
      "Migrated 123",
      "Migrating to 124",
      "Executing Migration 124/124.",
      "Migrated 124",
    ]);
    const old = await start({ STANDIN_MIGRATE_FROM: "115" });
    expect((await old.exited).signal).toBe("SIGABRT");
    expect(old.errors()).toContain("Transition too old!");
  });

  it("a database of a newer release is told apart (contract 9)", async () => {
    const head = await start({ STANDIN_LIKE: "head" });
    await printed(head, READY);
    head.child.kill("SIGINT");
    await head.exited;
    const older = await start();
    await printed(older, READY);
    expect(older.output()).toContain("persisted db metadata version is ahead at 128, this binary is at 124");
  });
});

describe("a disk that is full (contract 1.6)", { timeout: 60_000 }, () => {
  it("answers 500, ends with 0, and starts again with everything that was acknowledged", async () => {
    const env = { STANDIN_MAX_PAGES: "60" };
    const run = await start(env);
    await printed(run, READY);
    const headers = { authorization: `Convex ${issueKey("lab", secret)}`, "content-type": "application/json" };
    const set = (name: string) => {
      const changes = [{ name, value: "x".repeat(8000) }];
      const body = JSON.stringify({ changes });
      return fetch(`${run.url}/api/update_environment_variables`, { method: "POST", headers, body });
    };
    let stored = 0;
    let answer = await set("V0");
    while (answer.status === 200) answer = await set(`V${++stored}`);
    expect(answer.status).toBe(500);
    expect(await run.exited).toEqual({ code: 0, signal: null });
    expect(run.output()).toContain("database or disk is full");
    expect(run.output()).toContain("Received a fatal error. Shutting down immediately");
    expect(run.errors()).toBe("");

    const again = await start();
    await printed(again, READY);
    const list = await fetch(`${again.url}/api/v1/list_environment_variables`, { headers });
    const { environmentVariables } = (await list.json()) as { environmentVariables: object };
    expect(Object.keys(environmentVariables)).toHaveLength(stored);
  });
});

describe("signals (contract 1.6)", { timeout: 60_000 }, () => {
  it("STANDIN_ABORT_AT_SIGINT aborts after everything was shut down", async () => {
    const run = await start({ STANDIN_ABORT_AT_SIGINT: "1" });
    await printed(run, READY);
    run.child.kill("SIGINT");
    expect((await run.exited).signal).toBe("SIGABRT");
    expect(run.output()).toContain("Server successfully shut down.");
    expect(run.errors()).toContain("A Tokio 1.x context was found, but it is being shutdown.");
  });
});
