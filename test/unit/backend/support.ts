import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { onTestFinished } from "vitest";
import type { BackendSpec } from "../../../src/backend/backend.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";

export interface Told {
  readonly info: string[];
  readonly notice: string[];
  readonly warning: string[];
  readonly foreign: string[];
  readonly masked: string[];
}

/** The real machine, with a log that collects. */
export function machine(overrides: Partial<Deps> = {}): { deps: Deps; told: Told } {
  const told: Told = { info: [], notice: [], warning: [], foreign: [], masked: [] };
  const deps: Deps = {
    exec: systemExec,
    http: systemHttp,
    clock: systemClock,
    env: process.env,
    platform: process.platform,
    arch: process.arch,
    log: {
      debug: () => undefined,
      info: (message) => told.info.push(message),
      notice: (message) => told.notice.push(message),
      warning: (message) => told.warning.push(message),
      group: (_title, work) => work(),
      foreign: (lines) => told.foreign.push(...lines),
      mask: (secret) => told.masked.push(secret),
    },
    ...overrides,
  };
  return { deps, told };
}

/** A clock that never waits, but whose time passes. */
export function jumpingClock(): Deps["clock"] {
  let now = 0;
  return {
    now: () => now,
    sleep: async (ms) => {
      now += ms;
    },
  };
}

export async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "backend-test-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A server on loopback; returns its origin. */
export async function serve(listener: RequestListener, port = 0): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A ZIP archive with one deflated file. */
export function zipOf(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(20, 4);
  head.writeUInt16LE(8, 8);
  head.writeUInt32LE(crc32(content), 14);
  head.writeUInt32LE(packed.length, 18);
  head.writeUInt32LE(content.length, 22);
  head.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(20, 4);
  head.copy(entry, 6, 4, 28);
  const local = Buffer.concat([head, Buffer.from(name), packed]);
  const central = Buffer.concat([entry, Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

export const SECRET = "c0ffee".padEnd(64, "0123456789abcdef");

export function specOf(overrides: Partial<BackendSpec> = {}): BackendSpec {
  return {
    instanceName: "lab",
    instanceSecret: SECRET,
    bind: "127.0.0.1",
    port: 0,
    sitePort: 0,
    backendEnv: {},
    ...overrides,
  };
}

/**
 * A process with the backend's command line that knows nothing but its start and its end. `FAKE` in its environment
 * chooses what goes wrong, as a comma-separated list.
 */
const FAKE_BACKEND = `
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
const args = process.argv.slice(2);
const flag = (name) => args[args.indexOf(name) + 1];
const fake = (process.env.FAKE ?? "").split(",");
const has = (name) => fake.includes(name);
const end = (code, ...lines) => { for (const line of lines) console.error(line); process.exit(code); };
console.log("INFO convex_local_backend: Starting a Convex backend");
console.log("ENV " + JSON.stringify(process.env));
console.log("ARGS " + JSON.stringify(args));
if (has("exit-secret")) end(1, "Error: Couldn't hexdecode key");
if (has("lose-port-once") && !existsSync(process.env.TMPDIR + "/lost")) {
  writeFileSync(process.env.TMPDIR + "/lost", "");
  end(1, "Error: Could not start backend on 127.0.0.1:" + flag("--port"));
}
if (has("deaf")) { createTcpServer((socket) => socket.on("error", () => {})).listen(Number(flag("--port")), flag("--interface")); }
if (has("disk-full")) { console.log("ERROR: database or disk is full"); console.log("Received a fatal error. Shutting down immediately"); process.exit(0); }
if (has("orphan")) {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" });
  console.log("ORPHAN " + child.pid);
}
let interrupts = 0;
process.on("SIGINT", () => {
  interrupts += 1;
  console.log("Received Ctrl-C signal! " + interrupts);
  if (has("ignore-sigint")) return;
  if (has("slow-stop") && interrupts < 2) return;
  console.log("Server successfully shut down.");
  process.exit(0);
});
const answer = (request, response) => {
  const url = new URL(request.url, "http://x");
  console.log("INFO convex-cloud-http: " + request.method + " " + request.url);
  if (url.pathname === "/version") return response.end("unknown");
  if (url.pathname === "/instance_name") return response.end(has("other-name") ? "other" : flag("--instance-name"));
  if (url.pathname === "/api/check_admin_key") {
    const accepted = has("legacy") ? "Convex lab|0102legacy" : "Convex lab|01current";
    if (request.headers.authorization === accepted) return response.end(JSON.stringify({ success: true }));
    response.statusCode = 401;
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify({ code: "BadAdminKey", message: "The provided admin key was invalid for this instance" }));
  }
  response.statusCode = 404;
  response.end();
};
const listen = (name, port) => createServer(answer).on("error", () => end(1, "Error: Could not start " + name + " on 127.0.0.1:" + port)).listen(Number(port), flag("--interface"));
if (!has("never-ready") && !has("deaf")) {
  if (has("late-bind")) await new Promise((resolve) => setTimeout(resolve, 600));
  listen("backend", flag("--port"));
  listen("backend_http_proxy", flag("--site-proxy-port"));
}
setInterval(() => {}, 1000);
`;

/** Writes the fake backend and returns its path. */
export async function fakeBackend(directory: string): Promise<string> {
  const path = join(directory, "convex-local-backend.mjs");
  await writeFile(path, `#!${process.execPath}\n${FAKE_BACKEND}`, { mode: 0o755 });
  return path;
}
