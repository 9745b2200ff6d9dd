/**
 * The two ports (contract 1.5, 3.1, 8.1). The API port answers the registered routes; the site port answers
 * `/version` and `/metrics` itself and hands everything else to the API port's `/http/…`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { checkClient } from "./client-version.ts";
import type { Identities } from "./identity.ts";
import { accessLine, type Log } from "./log.ts";
import { Request } from "./request.ts";
import { allowed, type Match, Router } from "./router.ts";
import { ApiError, type ApiResponse, internalError } from "./types.ts";

const VARY = "origin, access-control-request-method, access-control-request-headers";
const PREFLIGHT = {
  "access-control-allow-methods": "GET,POST,OPTIONS,PATCH,DELETE,PUT",
  "access-control-max-age": "86400",
};
/** Requests that the site port hands on at a time (contract 1.7). */
const SITE_CONCURRENCY = 4;

export interface ServerOptions {
  readonly identities: Identities;
  readonly log: Log;
  /** 408 with an empty body after so long. */
  readonly requestTimeoutMs: number;
}

/** A port that could not be bound. */
export class BindError extends Error {
  readonly which: "api" | "site";
  readonly address: string;
  constructor(which: "api" | "site", address: string, cause: unknown) {
    super(`cannot listen on ${address}`, { cause });
    this.which = which;
    this.address = address;
  }
}

/** JSON text with its content type. */
export function jsonResponse(text: string, status = 200): ApiResponse {
  return { status, headers: { "content-type": "application/json" }, body: text };
}

export function textResponse(text: string, status = 200): ApiResponse {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: text };
}

export function errorResponse(error: ApiError): ApiResponse {
  return jsonResponse(JSON.stringify({ code: error.code, message: error.message }), error.status);
}

export class HttpServer {
  readonly routes = new Router();
  /** What the site port answers itself. */
  readonly siteRoutes = new Router();
  /** Takes websocket upgrades of the API port; false when the path is none of its. */
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean = () => false;
  /** Causes of 500 answers, for the log. */
  onError: (error: unknown) => void = () => {};
  #options: ServerOptions;
  #api: Server;
  #site: Server;
  #draining = new AbortController();
  #siteWaiting: (() => void)[] = [];
  #siteBusy = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#api = this.#make((raw, response) => this.#handle(raw, response, raw.url ?? "/"));
    this.#site = this.#make((raw, response) => this.#handleSite(raw, response));
    this.#api.on("upgrade", (request, socket, head) => {
      if (!this.onUpgrade(request, socket, head)) socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    });
  }

  get port(): number {
    return portOf(this.#api);
  }

  get sitePort(): number {
    return portOf(this.#site);
  }

  /** Binds the API port, then the site port; throws BindError. */
  async listen(host: string, port: number, sitePort: number): Promise<void> {
    await bind(this.#api, "api", host, port);
    await bind(this.#site, "site", host, sitePort);
  }

  /** Refuses new connections, ends long polls, waits for open requests. */
  async drain(): Promise<void> {
    this.#draining.abort();
    const closed = [this.#api, this.#site].map((server) => new Promise((resolve) => server.close(resolve)));
    for (const server of [this.#api, this.#site]) server.closeIdleConnections();
    await Promise.all(closed);
  }

  destroy(): void {
    this.#draining.abort();
    for (const server of [this.#api, this.#site]) {
      server.close();
      server.closeAllConnections();
    }
  }

  #make(listener: (raw: IncomingMessage, response: ServerResponse) => Promise<void>): Server {
    const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 90_000 });
    server.on("request", (raw, response) => {
      // A connection that becomes idle during a shutdown would otherwise be waited for.
      response.once("finish", () => {
        if (this.#draining.signal.aborted) raw.socket.end();
      });
      listener(raw, response).catch(() => response.destroy());
    });
    server.on("checkContinue", (raw, response) => {
      response.writeContinue();
      server.emit("request", raw, response);
    });
    server.on("clientError", (error: Error & { rawPacket?: Buffer }, socket) => {
      socket.end(this.#refuseUnknownMethod(error.rawPacket));
    });
    return server;
  }

  /** Node's parser does not know every word; the backend does, and answers 405 or 404. */
  #refuseUnknownMethod(packet: Buffer | undefined): string {
    const path = /^[A-Z]+ (\S+) HTTP/.exec(packet?.toString("latin1") ?? "")?.[1];
    if (path === undefined) return "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const match = this.routes.find(pathOf(path));
    const head = match === undefined ? "404 Not Found" : `405 Method Not Allowed\r\nallow: ${allowed(match.route)}`;
    return `HTTP/1.1 ${head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
  }

  async #handleSite(raw: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = raw.url ?? "/";
    if (this.siteRoutes.find(pathOf(url)) !== undefined) return this.#handle(raw, response, url, this.siteRoutes);
    if (this.#siteBusy >= SITE_CONCURRENCY) await new Promise<void>((resolve) => this.#siteWaiting.push(resolve));
    this.#siteBusy += 1;
    try {
      await this.#handle(raw, response, `/http${url}`);
    } finally {
      this.#siteBusy -= 1;
      this.#siteWaiting.shift()?.();
    }
  }

  async #handle(raw: IncomingMessage, response: ServerResponse, url: string, routes = this.routes): Promise<void> {
    const started = performance.now();
    const match = routes.find(pathOf(url));
    if (match === undefined) {
      response.writeHead(404, { "content-length": 0 }).end();
      raw.resume();
      return;
    }
    const { plain, silent } = match.route.options;
    if (plain !== true && silent !== true) {
      response.once("close", () => this.#logAccess(raw, response, performance.now() - started));
    }
    const timeout = setTimeout(() => timeOut(response), this.#options.requestTimeoutMs);
    try {
      await this.#answer(raw, response, url, match);
    } finally {
      clearTimeout(timeout);
      // An unread body would keep the connection from its next request.
      raw.resume();
    }
  }

  async #answer(raw: IncomingMessage, response: ServerResponse, url: string, match: Match): Promise<void> {
    const method = raw.method ?? "GET";
    const { plain, ownCors } = match.route.options;
    const handler = match.route.methods.get(method);
    const cors = plain === true || ownCors === true ? {} : corsHeaders(raw);
    if (handler === undefined) {
      const preflight = method === "OPTIONS" && plain !== true;
      const headers = { ...cors, ...(preflight ? preflightHeaders(raw) : {}), allow: allowed(match.route) };
      return send(response, method, { status: preflight ? 200 : 405, headers }, {});
    }
    const client = plain === true ? { headers: {} } : checkClient(header(raw, "convex-client"));
    if (client.error !== undefined) return send(response, method, errorResponse(client.error), client.headers);
    const { identities } = this.#options;
    const draining = this.#draining.signal;
    const request = new Request({ raw, response, url, params: match.params, identities, draining });
    let answer: ApiResponse;
    try {
      answer = await handler(request);
    } catch (error) {
      if (!(error instanceof ApiError)) this.onError(error);
      answer = errorResponse(error instanceof ApiError ? error : internalError());
    }
    const last = draining.aborted ? { connection: "close" } : {};
    await send(response, method, answer, { ...cors, ...client.headers, ...last });
  }

  #logAccess(raw: IncomingMessage, response: ServerResponse, ms: number): void {
    const { "content-type": type, "content-length": length } = answers.get(response)?.headers ?? {};
    const line = accessLine({
      peer: `${raw.socket.remoteAddress ?? "-"}:${raw.socket.remotePort ?? 0}`,
      method: raw.method ?? "-",
      url: raw.url ?? "-",
      status: response.statusCode,
      referer: header(raw, "referer"),
      userAgent: header(raw, "user-agent"),
      contentType: type === undefined ? undefined : String(type),
      // Only where a handler has set one itself, as the backend logs it.
      contentLength: length === undefined ? undefined : Number(length),
      ms,
    });
    this.#options.log.write("INFO", "convex-cloud-http", line);
  }
}

const pathOf = (url: string) => url.split("?")[0] ?? url;

/** What was answered, for the access log. */
const answers = new WeakMap<ServerResponse, ApiResponse>();

async function send(
  response: ServerResponse,
  method: string,
  answer: ApiResponse,
  extra: Record<string, string>,
): Promise<void> {
  if (response.headersSent || response.destroyed) return;
  answers.set(response, answer);
  const { status = 200, headers = {}, body } = answer;
  const fixed = body instanceof Readable ? undefined : Buffer.from(body ?? "");
  const length = fixed === undefined ? {} : { "content-length": fixed.length };
  response.writeHead(status, { ...extra, ...length, ...headers });
  if (fixed !== undefined || method === "HEAD") {
    response.end(method === "HEAD" ? undefined : fixed);
    if (body instanceof Readable) body.destroy();
    return;
  }
  // A stream that fails half-way cuts the connection; there is nobody left to tell.
  if (body instanceof Readable) await pipeline(body, response).catch(() => response.destroy());
}

/** An answer that has begun is not cut, however long it takes. */
function timeOut(response: ServerResponse): void {
  if (!response.headersSent) response.writeHead(408, { "content-length": 0 }).end();
}

function corsHeaders(raw: IncomingMessage): Record<string, string> {
  const { origin } = raw.headers;
  const headers = { vary: VARY, "access-control-allow-credentials": "true" };
  return origin === undefined ? headers : { ...headers, "access-control-allow-origin": origin };
}

function preflightHeaders(raw: IncomingMessage): Record<string, string> {
  const wanted = header(raw, "access-control-request-headers");
  return wanted === undefined ? PREFLIGHT : { ...PREFLIGHT, "access-control-allow-headers": wanted };
}

function header(raw: IncomingMessage, name: string): string | undefined {
  const value = raw.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function bind(server: Server, which: "api" | "site", host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) => reject(new BindError(which, `${host}:${port}`, error));
    server.once("error", refuse);
    server.listen(port, host, () => {
      server.off("error", refuse);
      resolve();
    });
  });
}
