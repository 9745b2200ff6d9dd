import type { IncomingHttpHeaders } from "node:http";
import { Agent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { messageOf, systemCode } from "../runner/errors.ts";

export interface HttpRequest {
  /** `GET` when absent. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Until the whole answer is there; 30 s when absent. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** A Unix socket or named pipe to use instead of the URL's host. */
  readonly socketPath?: string;
  /** More than this many bytes of answer is an error; 64 MiB when absent. */
  readonly maxBytes?: number;
  /** PEM: client certificate, key and CA for a TLS engine socket. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  text(): string;
  /** Throws a SyntaxError when the body is no JSON. */
  json(): unknown;
}

export interface HttpStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

export interface Http {
  /** Any status resolves; only a transport fault or the time limit rejects, with an `HttpFault`. Redirects are not followed. */
  request(url: string, options?: HttpRequest): Promise<HttpResponse>;
  /** Resolves with the head; `timeoutMs` is the longest silence then. */
  stream(url: string, options?: HttpRequest): Promise<HttpStream>;
}

/** A request that got no (whole) answer. The message names method, origin and path, never query or headers. */
export class HttpFault extends Error {
  /** Node's code (`ECONNREFUSED`, `CERT_HAS_EXPIRED`), `TIMEOUT`, `TOO_LARGE` or `UNKNOWN`. */
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "HttpFault";
    this.code = code;
  }
}

// Node's own `fetch` costs about 30 ms on first use; the start of a backend is measured in such amounts.
const agent = new Agent({ keepAlive: true });
// What may not be done twice gets a connection of its own: on a kept one that the server is closing nobody can tell
// whether it was done.
const freshAgent = new Agent({ keepAlive: false });
// The proxy variables count for https only: plain http goes to backends on this machine.
const secureAgent = new HttpsAgent({ keepAlive: true, proxyEnv: process.env });
const freshSecureAgent = new HttpsAgent({ keepAlive: false, proxyEnv: process.env });

function describe(url: URL, options: HttpRequest): string {
  const where = options.socketPath === undefined ? url.origin : options.socketPath;
  return `${options.method ?? "GET"} ${where}${url.pathname}`;
}

function faultOf(name: string, error: unknown): HttpFault {
  if (error instanceof HttpFault) return error;
  return new HttpFault(systemCode(error) ?? "UNKNOWN", `${name}: ${messageOf(error)}`, { cause: error });
}

function agentFor(repeatable: boolean, options: HttpRequest): HttpsAgent {
  if (options.tls !== undefined) return new HttpsAgent(options.tls);
  return repeatable ? secureAgent : freshSecureAgent;
}

function open(target: string, options: HttpRequest): Promise<HttpStream> {
  const url = new URL(target);
  const timeoutMs = options.timeoutMs ?? 30_000;
  const repeatable = ["GET", "HEAD"].includes(options.method ?? "GET");
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      // A kept connection that the server closed meanwhile.
      if (
        repeatable &&
        request.reusedSocket &&
        systemCode(error) === "ECONNRESET" &&
        options.signal?.aborted !== true
      ) {
        open(target, options).then(resolve, reject);
        return;
      }
      reject(options.signal?.aborted === true ? options.signal.reason : faultOf(describe(url, options), error));
    };
    const common = {
      method: options.method ?? "GET",
      headers: {
        ...options.headers,
        ...(options.body === undefined ? {} : { "content-length": String(Buffer.byteLength(options.body)) }),
      },
      timeout: timeoutMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.socketPath === undefined ? {} : { socketPath: options.socketPath }),
    };
    const request =
      url.protocol === "https:"
        ? httpsRequest(url, {
            ...common,
            ...options.tls,
            agent: agentFor(repeatable, options),
          })
        : httpRequest(url, { ...common, agent: repeatable ? agent : freshAgent });
    request.on("timeout", () => {
      request.destroy(new HttpFault("TIMEOUT", `${describe(url, options)}: no answer within ${timeoutMs / 1000} s`));
    });
    request.on("error", fail);
    request.on("response", (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response });
    });
    request.end(options.body);
  });
}

export const systemHttp: Http = {
  async request(url, options = {}) {
    const timeoutMs = options.timeoutMs ?? 30_000;
    const name = describe(new URL(url), options);
    const limit = AbortSignal.timeout(timeoutMs);
    const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
    const late = (): HttpFault => new HttpFault("TIMEOUT", `${name}: no whole answer within ${timeoutMs / 1000} s`);
    try {
      const { status, headers, body } = await open(url, { ...options, signal });
      const chunks: Buffer[] = [];
      let bytes = 0;
      const most = options.maxBytes ?? 64 * 1024 * 1024;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > most) throw new HttpFault("TOO_LARGE", `${name}: the answer is larger than ${most} bytes`);
        chunks.push(chunk);
      }
      const whole = Buffer.concat(chunks);
      return {
        status,
        headers,
        body: whole,
        text: () => whole.toString("utf8"),
        json: () => JSON.parse(whole.toString("utf8")) as unknown,
      };
    } catch (error) {
      if (options.signal?.aborted === true) throw options.signal.reason;
      if (limit.aborted) throw late();
      throw faultOf(name, error);
    }
  },
  stream: (url, options = {}) => open(url, options),
};
