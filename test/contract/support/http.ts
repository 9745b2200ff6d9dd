/**
 * One HTTP request, sent exactly as written: no path normalisation, no redirects followed, no content type added.
 * `fetch` does all of that, and hides what the contract says about it.
 */
import { Agent, type IncomingHttpHeaders, request as nodeRequest } from "node:http";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body when it is JSON, else undefined. Numbers lose their point here: use `text` where that matters. */
  readonly json: unknown;
  /** The connection broke before the answer was complete. */
  readonly cut: boolean;
}

export interface Request {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  /** Sends the body in chunks without a length. */
  readonly chunked?: boolean;
  readonly timeoutMs?: number;
}

const agent = new Agent({ keepAlive: false, maxSockets: 200 });

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Resolves with whatever came back; rejects when no answer began (refused, reset, timed out). */
export function send(base: string, path: string, request: Request = {}): Promise<Answer> {
  const { hostname, port } = new URL(base);
  const { method = "GET", headers = {}, body, chunked = false, timeoutMs = 70_000 } = request;
  const length = body === undefined || chunked ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const sent: Record<string, string | string[]> = { ...length };
  for (const [name, value] of Object.entries(headers)) sent[name] = typeof value === "string" ? value : [...value];
  if (chunked) sent["transfer-encoding"] = "chunked";
  return new Promise((resolve, reject) => {
    const outgoing = nodeRequest({ agent, hostname, port, path, method, headers: sent }, (incoming) => {
      const chunks: Buffer[] = [];
      const done = (cut: boolean) => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString("utf8");
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, bytes, text, json: parse(text), cut });
      };
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => done(false));
      incoming.on("error", () => done(true));
    });
    outgoing.setTimeout(timeoutMs, () =>
      outgoing.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)),
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

export const jsonHeaders = { "content-type": "application/json" };

/** Follows keys into parsed JSON; undefined where the way ends. */
export function at(value: unknown, ...keys: (string | number)[]): unknown {
  let here: unknown = value;
  for (const key of keys) {
    if (typeof here !== "object" || here === null) return undefined;
    here = Reflect.get(here, key);
  }
  return here;
}

/** A string at that place, or an error that shows what was there. */
export function textAt(value: unknown, ...keys: (string | number)[]): string {
  const found = at(value, ...keys);
  if (typeof found !== "string")
    throw new Error(`no text at ${keys.join(".")} in ${JSON.stringify(value)?.slice(0, 500)}`);
  return found;
}

export function listAt(value: unknown, ...keys: (string | number)[]): unknown[] {
  const found = at(value, ...keys);
  if (!Array.isArray(found)) throw new Error(`no list at ${keys.join(".")} in ${JSON.stringify(value)?.slice(0, 500)}`);
  return found;
}
