import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** One request on its way to the store. */
export interface PassingRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly length: number;
}

/** An answer in the store's place: the code and the text of its error. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** A request whose head alone has come. */
export type ComingRequest = Omit<PassingRequest, "length">;

/** A refusal before the body has come, of which the store then reads the rest, or ends the connection. */
export interface HastyRefusal extends Refusal {
  readonly then: "reads on" | "closes";
}

/** How a store differs from the real one behind the proxy. */
export interface Temper {
  /** Called for each request in its turn. */
  readonly refuse?: (request: PassingRequest) => Refusal | undefined;
  /** Called for each request as soon as its head has come. */
  readonly refuseHead?: (request: ComingRequest) => HastyRefusal | undefined;
  /** Response headers that never arrive. */
  readonly drop?: RegExp;
  /** Bodies of GetObject come back changed. */
  readonly damage?: boolean;
}

export interface S3Proxy extends AsyncDisposable {
  readonly endpoint: string;
  /** What passed: `POST /bucket/key?uploads`. */
  readonly passed: readonly PassingRequest[];
}

const xml = ({ code, message }: Refusal): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;

/** Stands before a real S3 server and refuses what other stores refuse. Signatures stay good: the host name passes as it is. */
export async function startS3Proxy(target: string, temper: Temper): Promise<S3Proxy> {
  const to = new URL(target);
  const passed: PassingRequest[] = [];
  const server = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? "/", target);
    const chunks: Buffer[] = [];
    incoming.on("error", () => outgoing.destroy());
    outgoing.on("error", () => undefined);
    const { method = "GET", headers } = incoming;
    const coming: ComingRequest = { method, path: url.pathname, query: url.searchParams, headers };
    const hasty = temper.refuseHead?.(coming);
    if (hasty !== undefined) {
      const closes = hasty.then === "closes";
      outgoing.writeHead(hasty.status, { "content-type": "application/xml", ...(closes && { connection: "close" }) });
      // A part of the body is on its way by then.
      outgoing.end(xml(hasty), () => closes && incoming.socket.destroy());
      if (!closes) incoming.resume();
      return;
    }
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const body = Buffer.concat(chunks);
      const length = Number(headers["x-amz-decoded-content-length"] ?? body.length);
      const request: PassingRequest = { ...coming, length };
      passed.push(request);
      const refusal = temper.refuse?.(request);
      if (refusal !== undefined) {
        outgoing.writeHead(refusal.status, { "content-type": "application/xml" }).end(xml(refusal));
        return;
      }
      const options = { host: to.hostname, port: to.port, method, path: incoming.url };
      const upstream = httpRequest({ ...options, headers }, (answer) => {
        const headers = Object.entries(answer.headers).filter(([name]) => temper.drop?.test(name) !== true);
        outgoing.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers));
        answer.on("error", () => outgoing.destroy());
        const damages = temper.damage === true && request.method === "GET";
        answer.on("data", (chunk: Buffer) => outgoing.write(damages ? Buffer.alloc(chunk.length) : chunk));
        answer.on("end", () => outgoing.end());
      });
      upstream.on("error", () => outgoing.destroy());
      upstream.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** As Cloudflare R2: parts of one upload have equal lengths, but the last. */
export function demandEqualParts(): NonNullable<Temper["refuse"]> {
  const lengths = new Map<string, Map<number, number>>();
  return ({ method, query, length }) => {
    const id = query.get("uploadId");
    if (id === null) return undefined;
    const parts = lengths.get(id) ?? new Map<number, number>();
    lengths.set(id, parts);
    const part = query.get("partNumber");
    if (method === "PUT" && part !== null) parts.set(Number(part), length);
    if (method !== "POST") return undefined;
    const ordered = [...parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
    const equal = new Set(ordered.slice(0, -1)).size <= 1;
    return equal
      ? undefined
      : { status: 400, code: "InvalidPart", message: "All non-trailing parts must have the same length." };
  };
}

/** Refuses requests that carry a header. */
export function refuseHeader(name: string): NonNullable<Temper["refuse"]> {
  return ({ headers }) =>
    headers[name] === undefined
      ? undefined
      : {
          status: 501,
          code: "NotImplemented",
          message: `Header '${name}' with value '${headers[name]}' not implemented`,
        };
}
