import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Deps } from "../../../../src/system/deps.ts";
import type { ExecResult } from "../../../../src/system/exec.ts";
import { systemHttp } from "../../../../src/system/http.ts";

/** A folder that is gone after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "docker-unit-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestDeps extends Deps {
  readonly lines: { readonly level: string; readonly message: string }[];
  readonly masked: string[];
  readonly slept: number[];
  readonly ran: { readonly command: string; readonly args: readonly string[]; readonly input: string | undefined }[];
}

type Run = (command: string, args: readonly string[]) => Partial<ExecResult>;

/** Real HTTP, a clock that jumps instead of waiting, a log that is collected, programs by `run` (none by default). */
export function testDeps(
  env: Readonly<Record<string, string>> = {},
  run?: Run,
  platform: NodeJS.Platform = "linux",
): TestDeps {
  const lines: TestDeps["lines"] = [];
  const [masked, slept, ran]: [string[], number[], TestDeps["ran"]] = [[], [], []];
  const tell = (level: string) => (message: string) => void lines.push({ level, message });
  let now = Date.parse("2026-11-23T12:00:00Z");
  return {
    lines,
    masked,
    slept,
    ran,
    env: { HOME: "/nonexistent", ...env },
    platform,
    arch: "x64",
    http: systemHttp,
    clock: {
      now: () => now,
      sleep: async (ms) => {
        slept.push(ms);
        now += ms;
      },
    },
    exec: {
      run: async (command, args, options) => {
        ran.push({ command, args, input: options?.input });
        if (run === undefined) throw Object.assign(new Error(`spawn ${command} ENOENT`), { code: "ENOENT" });
        return { exitCode: 0, stdout: "", stderr: "", timedOut: false, ...run(command, args) };
      },
    },
    log: {
      debug: tell("debug"),
      info: tell("info"),
      notice: tell("notice"),
      warning: tell("warning"),
      group: (_title, work) => work(),
      foreign: (foreign) => foreign.forEach(tell("foreign")),
      mask: (secret) => void masked.push(secret),
    },
  };
}

export interface Asked {
  readonly method: string;
  /** Without the version. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

/** What to answer: a status and a JSON body, or full control. Undefined: 404. */
export type Answer =
  | { readonly status?: number; readonly json?: unknown }
  | ((response: ServerResponse) => void)
  | undefined;

export interface FakeEngine {
  /** For `connectEngine`. */
  readonly address: string;
  readonly asked: Asked[];
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return String(Buffer.concat(chunks));
}

function send(response: ServerResponse, answer: Answer): void {
  if (typeof answer === "function") {
    answer(response);
    return;
  }
  const { status = answer === undefined ? 404 : 200, json = { message: "no such thing" } } = answer ?? {};
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
}

/** An engine on a socket of its own that answers as the test says. */
export async function fakeEngine(
  answer: (asked: Asked) => Answer,
  ping: Readonly<Record<string, string>> = { "api-version": "1.41", ostype: "linux" },
): Promise<FakeEngine> {
  const socket = join(scratch(), "engine.sock");
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://engine");
    if (url.pathname === "/_ping") return void response.writeHead(200, ping).end("OK");
    void textOf(request).then((text) => {
      const one: Asked = {
        method: request.method ?? "",
        path: decodeURIComponent(url.pathname.replace(/^\/v[\d.]+/, "")),
        query: url.searchParams,
        headers: request.headers,
        body: text === "" ? undefined : (JSON.parse(text) as unknown),
      };
      asked.push(one);
      send(response, answer(one));
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `unix://${socket}`, asked };
}
