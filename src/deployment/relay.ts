import { type ClientRequest, createServer, request as httpRequest, type IncomingMessage, type Server } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { messageOf } from "../runner/errors.ts";

/** A call of the CLI that is looked at: those of `watched`, with their whole bodies. */
export interface RelayedCall {
  /** Last part of the path: `start_push`. */
  readonly endpoint: string;
  readonly path: string;
  /** The body as JSON, whatever its compression; undefined when it is none. */
  json(): unknown;
}

export interface RelayedAnswer {
  readonly status: number;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  json(): unknown;
}

/** Sends the call on; or the same body to another path, or another body. */
export type Forward = (other?: { readonly path?: string; readonly json?: unknown }) => Promise<RelayedAnswer>;

export interface RelayOptions {
  /** Origin of the API. */
  readonly target: string;
  /** Decides what the CLI gets for a call below `/api/deploy2/` (and for what a push begins with). */
  readonly answer: (call: RelayedCall, forward: Forward) => Promise<RelayedAnswer>;
}

export interface Relay extends AsyncDisposable {
  /** Where the CLI is sent; a port of this machine's loopback. */
  readonly url: string;
  /** Why the last call did not reach the deployment. */
  readonly lastFault: string | undefined;
}

const WATCHED = /^\/api\/(deploy2\/\w+|get_config_hashes|prepare_schema|push_config)$/;
/** RFC 9110 7.6.1: these belong to one connection. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

// Behind a proxy of the company's the CLI would use these variables too (contract 5.5).
const secureAgent = new HttpsAgent({ keepAlive: true, proxyEnv: process.env });

/** An answer of the relay's own, in the form of the backend's errors (contract 3.1). */
export function refusal(code: string, message: string): RelayedAnswer {
  return jsonAnswer({ code, message }, 400);
}

export function jsonAnswer(value: unknown, status = 200): RelayedAnswer {
  return answerOf(status, { "content-type": "application/json" }, Buffer.from(JSON.stringify(value)));
}

function answerOf(status: number, headers: Readonly<Record<string, string>>, body: Buffer): RelayedAnswer {
  return { status, headers, body, json: () => parse(body) };
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

function decoded(body: Buffer, encoding: string | undefined): Buffer {
  if (encoding === "br") return brotliDecompressSync(body);
  if (encoding === "gzip") return gunzipSync(body);
  return body;
}

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function endToEnd(headers: IncomingMessage["headers"], leave: readonly string[] = []): Record<string, string> {
  const dropped = new Set([...HOP_BY_HOP, ...leave]);
  const kept = Object.entries(headers).filter(([name, value]) => value !== undefined && !dropped.has(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : `${value}`]));
}

function open(target: URL, path: string, incoming: IncomingMessage, headers: Record<string, string>): ClientRequest {
  const method = incoming.method ?? "GET";
  const options = { method, headers: { ...headers, host: target.host } };
  const url = new URL(path, target);
  return url.protocol === "https:" ? httpsRequest(url, { ...options, agent: secureAgent }) : httpRequest(url, options);
}

/** One call with its whole body and its whole answer. */
async function ask(
  target: URL,
  path: string,
  incoming: IncomingMessage,
  sent: { readonly body: Buffer } | { readonly json: unknown },
): Promise<RelayedAnswer> {
  // The answer is read here, so it has to come as it is.
  const dropped = ["host", "content-length", "accept-encoding", ...("json" in sent ? ["content-encoding"] : [])];
  const headers = endToEnd(incoming.headers, dropped);
  const body = "json" in sent ? Buffer.from(JSON.stringify(sent.json)) : sent.body;
  const outgoing = open(target, path, incoming, { ...headers, "content-length": String(body.length) });
  const message = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve).once("error", reject);
    outgoing.end(body);
  });
  const whole = await bytesOf(message as AsyncIterable<Buffer>);
  return answerOf(message.statusCode ?? 502, endToEnd(message.headers, ["content-length"]), whole);
}

/**
 * Stands between the CLI and the deployment, on the loopback: what the CLI tells only to the backend (contract 5.2) can
 * be seen, compared and stopped there. Everything else passes through as it comes, websockets too. It adds no
 * credentials: who finds the port reaches no more than who knows the deployment's URL.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const target = new URL(options.target);
  let lastFault: string | undefined;
  const fail = (socket: Duplex, error: unknown): void => {
    lastFault = messageOf(error);
    // The CLI takes a cut connection for what it is and tries again (contract 5.2, retry rule).
    socket.destroy();
  };
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? "/";
    if (!WATCHED.test(path)) {
      const upstream = open(target, path, incoming, endToEnd(incoming.headers, ["host"]));
      upstream.on("error", (error) => fail(incoming.socket, error));
      upstream.on("response", (message) => {
        outgoing.writeHead(message.statusCode ?? 502, endToEnd(message.headers));
        message.on("error", (error) => fail(incoming.socket, error)).pipe(outgoing);
      });
      incoming.pipe(upstream);
      return;
    }
    const watch = async (): Promise<void> => {
      const body = await bytesOf(incoming as AsyncIterable<Buffer>);
      const call: RelayedCall = {
        endpoint: path.slice(path.lastIndexOf("/") + 1),
        path,
        json: () => parse(decoded(body, incoming.headers["content-encoding"])),
      };
      const reply = await options.answer(call, (other = {}) =>
        ask(target, other.path ?? path, incoming, other.json === undefined ? { body } : { json: other.json }),
      );
      outgoing.writeHead(reply.status, { ...reply.headers, "content-length": reply.body.length });
      outgoing.end(reply.body);
    };
    watch().catch((error: unknown) => fail(incoming.socket, error));
  });
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) =>
    upgrade(target, incoming, socket, head, (error) => fail(socket, error)),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get lastFault() {
      return lastFault;
    },
    [Symbol.asyncDispose]: () => close(server),
  };
}

function upgrade(
  target: URL,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  fail: (error: unknown) => void,
): void {
  const headers = endToEnd(incoming.headers, ["host"]);
  const upstream = open(target, incoming.url ?? "/", incoming, {
    ...headers,
    connection: "Upgrade",
    upgrade: "websocket",
  });
  socket.on("error", () => upstream.destroy());
  upstream.on("error", fail);
  upstream.on("upgrade", (message, far, farHead) => {
    const lines = Object.entries(endToEnd(message.headers)).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n${lines.join("")}\r\n`,
    );
    socket.write(farHead);
    far.write(head);
    far.on("error", fail).on("close", () => socket.destroy());
    socket.on("close", () => far.destroy());
    far.pipe(socket).pipe(far);
  });
  // A proxy that refuses the upgrade answers as to any other call.
  upstream.on("response", (message) => {
    socket.write(`HTTP/1.1 ${message.statusCode ?? 502} ${message.statusMessage ?? ""}\r\nconnection: close\r\n\r\n`);
    message.pipe(socket);
  });
  upstream.end();
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
