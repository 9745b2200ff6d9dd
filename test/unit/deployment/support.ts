import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import type { Clock } from "../../../src/system/clock.ts";
import type { Deps, Log } from "../../../src/system/deps.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";

export interface Lines {
  readonly all: string[];
  readonly log: Log;
}

/** Collects what is told, `level: text`. */
export function collectLog(): Lines {
  const all: string[] = [];
  const add =
    (level: string) =>
    (message: string): void => {
      all.push(`${level}: ${message}`);
    };
  return {
    all,
    log: {
      debug: add("debug"),
      info: add("info"),
      notice: add("notice"),
      warning: add("warning"),
      group: (_title, work) => work(),
      foreign: (lines) => all.push(...lines.map((line) => `foreign: ${line}`)),
      mask: add("mask"),
    },
  };
}

/** A clock that jumps: a wait of any length is over at once. */
export function jumpingClock(): Clock & { slept: number[] } {
  const slept: number[] = [];
  let now = 1_000_000;
  return {
    slept,
    now: () => now,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
      // Lets the loop turn, as a real wait does.
      await new Promise<void>((resolve) => setImmediate(resolve));
    },
  };
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  json(): unknown;
}

export interface Answer {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  /** Cuts the connection instead. */
  readonly cut?: boolean;
}

/** A real HTTP server on a free port that answers as told and remembers what came. */
export class FakeBackend {
  readonly seen: Seen[] = [];
  readonly #server: Server;
  #answer: (seen: Seen) => Answer;

  constructor(answer: (seen: Seen) => Answer) {
    this.#answer = answer;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks);
        const seen: Seen = {
          method: request.method ?? "",
          url: request.url ?? "",
          headers: request.headers,
          body,
          json: () => JSON.parse(body.toString("utf8")) as unknown,
        };
        this.seen.push(seen);
        const { status = 200, json, text, cut } = this.#answer(seen);
        if (cut === true) return request.socket.destroy();
        const isJson = json !== undefined;
        response.writeHead(status, isJson ? { "content-type": "application/json" } : {});
        return response.end(isJson ? JSON.stringify(json) : (text ?? ""));
      });
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  answer(answer: (seen: Seen) => Answer): void {
    this.#answer = answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** The query that tells whether a backend knows its tables, which comes before each import. */
export const isTableSize = (body: Buffer): boolean => body.includes("_system/cli/tableSize");

export const KEY = "convex-self-hosted|0102030405060708090a0b0c0d0e0f10111213141516171819";

export function clientFor(url: string, lines: Lines = collectLog(), clock: Clock = jumpingClock()): DeploymentClient {
  return new DeploymentClient({ url, adminKey: KEY, http: systemHttp, clock, log: lines.log });
}

export function fakeDeps(more: Partial<Deps> = {}): Deps {
  return {
    exec: systemExec,
    http: systemHttp,
    clock: jumpingClock(),
    log: collectLog().log,
    env: process.env,
    platform: process.platform,
    arch: process.arch,
    ...more,
  };
}

/** A real directory with these files, removed when it goes out of scope. */
export async function directoryWith(files: Record<string, string>): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "deployment-"));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text);
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
