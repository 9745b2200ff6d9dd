/**
 * The backend that a file of cases talks to. By default each file starts a stand-in of its own and drops it; with
 * CONVEX_TEST_URL all files use that one backend, one after another, and leave it empty.
 */
import { brotliCompressSync, constants } from "node:zlib";
import { afterAll, beforeAll } from "vitest";
import { type Answer, at, jsonHeaders, type Request, send, textAt } from "./http.ts";
import { type KeyFields, mintKey } from "./keys.ts";
import { binary, discard, type Launched, start } from "./process.ts";
import { type Module, pushEmptyApp } from "./push.ts";
import { writeZip } from "./zip.ts";

/** Set when the cases run against a backend that somebody else started. */
export const external = process.env["CONVEX_TEST_URL"] || undefined;
/** Cases that stop, restart or flag a process need to own one. */
export const ownsProcess = external === undefined || binary !== undefined;
/** True for the stand-in; facts that only it has (it says what it is) hang on this. */
export const isStandIn = external === undefined && binary === undefined;

export type Format = "json" | "convex_encoded_json";

export class Backend {
  url = "";
  siteUrl = "";
  name = "";
  secret = "";
  key = "";

  setTarget(target: { url: string; siteUrl: string; name: string; secret: string }): this {
    Object.assign(this, { url: target.url, siteUrl: target.siteUrl, name: target.name, secret: target.secret });
    this.key = this.mint();
    return this;
  }

  mint(fields: KeyFields = {}): string {
    return mintKey({ name: this.name, secret: this.secret, fields });
  }

  get systemKey(): string {
    return this.mint({ system: true });
  }

  get readOnlyKey(): string {
    return this.mint({ readOnly: true });
  }

  /** A key of this instance's name that was made with another secret. */
  get badKey(): string {
    return mintKey({ name: this.name, secret: "99".repeat(32) });
  }

  /** `key: null` sends no Authorization header. */
  send(path: string, request: Request & { key?: string | null } = {}): Promise<Answer> {
    const { key = this.key, ...rest } = request;
    const authorization = key === null ? {} : { authorization: `Convex ${key}` };
    return send(this.url, path, { ...rest, headers: { ...authorization, ...rest.headers } });
  }

  get(path: string, key?: string | null): Promise<Answer> {
    return this.send(path, key === undefined ? {} : { key });
  }

  post(path: string, body?: unknown, key?: string | null): Promise<Answer> {
    const sent: Request = body === undefined ? {} : { body: JSON.stringify(body), headers: jsonHeaders };
    return this.send(path, { method: "POST", ...sent, ...(key === undefined ? {} : { key }) });
  }

  postBrotli(path: string, body: unknown): Promise<Answer> {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 1 };
    const compressed = brotliCompressSync(JSON.stringify(body), { params });
    return this.send(path, {
      method: "POST",
      body: compressed,
      headers: { ...jsonHeaders, "content-encoding": "br" },
    });
  }

  site(path: string, request: Request = {}): Promise<Answer> {
    return send(this.siteUrl, path, request);
  }

  call(kind: "query" | "mutation" | "action" | "function", path: string, args: unknown = {}, format: Format = "json") {
    return this.post(`/api/${kind}`, { path, args, format });
  }

  /** The value of a successful call; the error text otherwise. */
  async value(kind: "query" | "mutation" | "action" | "function", path: string, args: unknown = {}, format?: Format) {
    const answer = await this.call(kind, path, args, format);
    if (at(answer.json, "status") !== "success") throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return at(answer.json, "value");
  }

  async tableSize(tableName: string): Promise<number> {
    return Number(await this.value("query", "_system/cli/tableSize", { tableName }));
  }

  setEnv(changes: Record<string, string | null>): Promise<Answer> {
    const list = Object.entries(changes).map(([name, value]) => ({ name, value }));
    return this.post("/api/update_environment_variables", { changes: list });
  }

  async env(): Promise<Record<string, string>> {
    const answer = await this.get("/api/v1/list_environment_variables");
    return at(answer.json, "environmentVariables") as Record<string, string>;
  }

  async clearEnv(): Promise<void> {
    const changes = Object.fromEntries(Object.keys(await this.env()).map((name) => [name, null]));
    const answer = await this.setEnv(changes);
    if (answer.status !== 200) throw new Error(`cannot clear the variables: ${answer.text}`);
  }

  /** One-call import (contract 7.3); `query` adds parameters. */
  importFile(format: string, body: Uint8Array | string, mode = "replaceAll", query = ""): Promise<Answer> {
    return this.send(`/api/import?format=${format}&mode=${mode}${query}`, { method: "POST", body });
  }

  async seed(table: string, documents: readonly unknown[], mode = "replace"): Promise<void> {
    const lines = documents.map((document) => `${JSON.stringify(document)}\n`).join("");
    const answer = await this.importFile("jsonLines", lines, mode, `&tableName=${table}`);
    if (answer.status !== 200) throw new Error(`seed ${table}: ${answer.status} ${answer.text}`);
  }

  /** No code, no tables, no files, no variables, running, origins as started. */
  async reset(): Promise<void> {
    await this.post("/api/v1/unpause_deployment", {});
    for (const requestDestination of ["convexCloud", "convexSite"]) {
      await this.post("/api/v1/update_canonical_url", { requestDestination, url: null });
    }
    await pushEmptyApp(this);
    await this.clearEnv();
    const empty = writeZip([
      { name: "README.md", data: "reset" },
      { name: "_storage/documents.jsonl", data: "" },
    ]);
    const answer = await this.importFile("zip", empty);
    if (answer.status !== 200) throw new Error(`reset: ${answer.text}`);
  }
}

/** A backend for the cases of this file, ready in `beforeAll`. */
export function useBackend(prepare?: (backend: Backend) => Promise<unknown>): Backend {
  const backend = new Backend();
  let launched: Launched | undefined;
  beforeAll(async () => {
    if (external === undefined) {
      launched = await start();
      backend.setTarget(launched);
    } else {
      const name = process.env["CONVEX_TEST_INSTANCE_NAME"] ?? (await send(external, "/instance_name")).text;
      const secret = process.env["CONVEX_TEST_INSTANCE_SECRET"];
      const siteUrl = process.env["CONVEX_TEST_SITE_URL"];
      if (secret === undefined || siteUrl === undefined) {
        throw new Error("CONVEX_TEST_URL needs CONVEX_TEST_SITE_URL and CONVEX_TEST_INSTANCE_SECRET beside it");
      }
      backend.setTarget({ url: external, siteUrl, name, secret });
      await backend.reset();
    }
    await prepare?.(backend);
  }, 60_000);
  afterAll(async () => {
    if (launched !== undefined) await discard(launched);
    else if (backend.url !== "") await backend.reset();
  }, 60_000);
  return backend;
}

/** A process of its own for one case, with the methods of a backend. */
export async function withProcess<T>(
  options: Parameters<typeof start>[0],
  run: (backend: Backend, launched: Launched) => Promise<T>,
): Promise<T> {
  const launched = await start(options);
  try {
    return await run(new Backend().setTarget(launched), launched);
  } finally {
    await discard(launched);
  }
}

/** What follows `[Request ID: <16 hex>] Server Error\n` in an error text; other texts are an error. */
export function afterRequestId(text: unknown): string {
  const match = /^\[Request ID: [0-9a-f]{16}\] Server Error\n([\s\S]*)$/.exec(String(text));
  if (match?.[1] === undefined) throw new Error(`no request id in ${String(text)}`);
  return match[1];
}

/** The error text of a function call that is HTTP 200 (contract 6.2). */
export function functionError(answer: Answer): string {
  if (answer.status !== 200 || at(answer.json, "status") !== "error")
    throw new Error(`no function error: ${answer.text}`);
  return afterRequestId(textAt(answer.json, "errorMessage"));
}

export type { Module };
