/** A backend as an own process: the stand-in, or the executable that CONVEX_TEST_BINARY names. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { send } from "./http.ts";

export const binary = process.env["CONVEX_TEST_BINARY"] || undefined;
const standIn = fileURLToPath(new URL("../../standin/main.ts", import.meta.url));
const command: readonly [string, ...string[]] = binary ? [binary] : [process.execPath, standIn];

export const testSecret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface LaunchOptions {
  readonly name?: string;
  readonly secret?: string;
  readonly dir?: string;
  readonly port?: number;
  readonly sitePort?: number;
  readonly storage?: string;
  /** Flags after the usual ones. */
  readonly flags?: readonly string[];
  /** Flags instead of the usual ones. */
  readonly onlyFlags?: readonly string[];
  readonly origins?: readonly [string, string] | null;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Launched {
  readonly url: string;
  readonly siteUrl: string;
  readonly name: string;
  readonly secret: string;
  readonly dir: string;
  readonly port: number;
  readonly sitePort: number;
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
  hasExited(): boolean;
}

/** Those that run, so that an interrupted suite leaves none behind. */
const running = new Set<ChildProcess>();
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === "win32") child.kill();
    else process.kill(-child.pid, signal);
  } catch {
    // Already gone.
  }
}
process.once("exit", () => {
  for (const child of running) killGroup(child, "SIGKILL");
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

/** Two loopback ports that were free a moment ago, held at once: asked for one after the other they may be the same. */
export async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()] as const;
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
  }
  const [port, sitePort] = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  if (port === undefined || sitePort === undefined) throw new Error("no port");
  return [port, sitePort];
}

export function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), "convex-contract-"));
}

/** Only what a backend needs, so that the caller's own settings decide nothing. */
function environment(dir: string, extra: LaunchOptions["env"]): NodeJS.ProcessEnv {
  const kept = ["PATH", "HOME", "SystemRoot", "USERPROFILE", "TEMP", "TMP", "LOCALAPPDATA"];
  const env: NodeJS.ProcessEnv = { TMPDIR: dir, NO_COLOR: "1" };
  // The stand-in is started some hundred times, and compiling it is most of its start.
  if (binary === undefined) env["NODE_COMPILE_CACHE"] = join(tmpdir(), "convex-contract-compile-cache");
  for (const name of kept) if (process.env[name] !== undefined) env[name] = process.env[name];
  for (const [name, value] of Object.entries(extra ?? {})) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  return env;
}

/** Starts and returns at once; ready or not is the caller's question. */
export async function launch(options: LaunchOptions = {}): Promise<Launched> {
  const { name = "contract", secret = testSecret, dir = newDirectory() } = options;
  const free = await freePorts();
  const { port = free[0], sitePort = free[1] } = options;
  const [url, siteUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${sitePort}`];
  const origins = options.origins === undefined ? ([url, siteUrl] as const) : options.origins;
  const flags = options.onlyFlags ?? [
    ...["--instance-name", name, "--instance-secret", secret, "--interface", "127.0.0.1"],
    ...["--port", String(port), "--site-proxy-port", String(sitePort)],
    ...(origins === null ? [] : ["--convex-origin", origins[0], "--convex-site", origins[1]]),
    ...["--disable-beacon", "--local-storage", options.storage ?? "storage", ...(options.flags ?? []), "db.sqlite3"],
  ];
  const [program, ...first] = command;
  const child = spawn(program, [...first, ...flags], {
    cwd: dir,
    env: environment(dir, options.env),
    stdio: ["ignore", "pipe", "pipe"],
    // An own group, because a Node child of the backend outlives SIGKILL (contract 1.6).
    detached: process.platform !== "win32",
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  running.add(child);
  let gone = false;
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      gone = true;
      running.delete(child);
      // What the process wrote last may still be in the pipes.
      setImmediate(() => resolve({ code, signal }));
    });
  });
  return {
    ...{ url, siteUrl, name, secret, dir, port, sitePort, child, exited },
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    hasExited: () => gone,
  };
}

async function answers(base: string): Promise<boolean> {
  try {
    return (await send(base, "/version", { timeoutMs: 2000 })).status === 200;
  } catch {
    return false;
  }
}

/** Waits until both ports answer; fails at once when the process has ended. */
export async function untilReady(backend: Launched, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await answers(backend.url)) || !(await answers(backend.siteUrl))) {
    if (backend.hasExited() || Date.now() > end) {
      throw new Error(`the backend is not ready\n${backend.stdout().slice(-3000)}\n${backend.stderr().slice(-3000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function start(options: LaunchOptions = {}): Promise<Launched> {
  const backend = await launch(options);
  try {
    await untilReady(backend);
  } catch (error) {
    await kill(backend);
    throw error;
  }
  return backend;
}

/** Ends the whole group; the directory stays, for the next start on it. */
export async function kill(backend: Launched, signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
  killGroup(backend.child, signal);
  return backend.exited;
}

export async function discard(backend: Launched): Promise<void> {
  await kill(backend);
  rmSync(backend.dir, { recursive: true, force: true, maxRetries: 5 });
}

/** Polls without fixed sleeps; the error shows the last value seen. */
export async function until<T>(
  what: string,
  read: () => Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
