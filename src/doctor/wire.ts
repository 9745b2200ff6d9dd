import { createHash, randomBytes, randomUUID } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from "node:tls";

export interface ProbeOptions {
  /** Trusted besides the usual authorities. */
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

const agentOf = ({ ca }: ProbeOptions, rejectUnauthorized: boolean): Agent =>
  new Agent({ proxyEnv: process.env, rejectUnauthorized, ...(ca === undefined ? {} : { ca }) });

/** A certificate as it was served. */
export interface ServedCertificate {
  readonly validTo: Date;
  readonly selfSigned: boolean;
  /** Names that it is for. */
  readonly names: string;
  readonly fitsName: boolean;
  /** Node's code of what is wrong with the chain; undefined when it is trusted. Only the first fault is told. */
  readonly fault: string | undefined;
}

/** Looks at the certificate of an https server without trusting it: nothing but `GET /version` is sent. */
export function inspectCertificate(url: string, options: ProbeOptions): Promise<ServedCertificate> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(`${url}/version`, {
      agent: agentOf(options, false),
      signal: AbortSignal.timeout(options.timeoutMs),
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const socket = response.socket as TLSSocket;
      const certificate = socket.getPeerCertificate(true);
      const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
      const fault = socket.authorized ? undefined : faultText(socket.authorizationError);
      resolve({
        validTo: new Date(certificate.valid_to),
        selfSigned: isSelfSigned(certificate),
        names: certificate.subjectaltname ?? String(certificate.subject?.CN ?? "no name"),
        fitsName: checkServerIdentity(host, certificate) === undefined,
        fault,
      });
      response.destroy();
    });
    request.end();
  });
}

/** Typed as an Error, and a plain code in fact. */
function faultText(fault: unknown): string {
  return fault instanceof Error && "code" in fault ? String(fault.code) : String(fault);
}

function isSelfSigned(certificate: DetailedPeerCertificate): boolean {
  return certificate.issuerCertificate?.fingerprint256 === certificate.fingerprint256;
}

/** How a sync websocket went. */
export type SyncOutcome =
  | { readonly kind: "works" }
  /** An ordinary answer came instead of the upgrade. */
  | { readonly kind: "refused"; readonly status: number }
  /** 101, and then nothing that goes both ways: `closed`, or `silent`. */
  | { readonly kind: "upgraded"; readonly after: "closed" | "silent" | "not-websocket" };

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3

/**
 * Opens the sync websocket as clients do and asks one query without a key, whose refusal comes as a Transition
 * (contract 6.1): only an answer proves that the connection carries messages both ways.
 * @param options `timeoutMs` is for the upgrade, and again for the answer
 * @throws the transport's error
 */
export function probeSync(url: string, version: string, options: ProbeOptions): Promise<SyncOutcome> {
  const secure = url.startsWith("https:");
  const nonce = randomBytes(16).toString("base64");
  return new Promise((resolve, reject) => {
    const common = {
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": nonce,
      },
    };
    const target = `${url}/api/${version}/sync`;
    const request = secure
      ? httpsRequest(target, { ...common, agent: agentOf(options, true) })
      : httpRequest(target, common);
    const timer = setTimeout(() => {
      request.destroy(new Error(`no answer within ${options.timeoutMs / 1000} s`));
    }, options.timeoutMs);
    request.on("error", (failure) => {
      clearTimeout(timer);
      reject(failure);
    });
    request.on("response", (response) => {
      clearTimeout(timer);
      resolve({ kind: "refused", status: response.statusCode ?? 0 });
      response.destroy();
    });
    request.on("upgrade", (response: IncomingMessage, socket: Duplex, head: Buffer) => {
      clearTimeout(timer);
      const accept = createHash("sha1").update(`${nonce}${MAGIC}`).digest("base64");
      if (response.headers["sec-websocket-accept"] !== accept) {
        socket.destroy();
        resolve({ kind: "upgraded", after: "not-websocket" });
        return;
      }
      converse(socket, head, options.timeoutMs).then(resolve, reject);
    });
    request.end();
  });
}

function converse(socket: Duplex, head: Buffer, timeoutMs: number): Promise<SyncOutcome> {
  return new Promise((resolve) => {
    let received = head;
    const end = (outcome: SyncOutcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      socket.destroy();
    };
    const timer = setTimeout(() => end({ kind: "upgraded", after: "silent" }), timeoutMs);
    const look = (): void => {
      const { texts, closed } = readFrames(received);
      if (texts.some((text) => text.includes('"Transition"'))) end({ kind: "works" });
      else if (closed) end({ kind: "upgraded", after: "closed" });
    };
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      look();
    });
    for (const event of ["end", "close", "error"]) socket.on(event, () => end({ kind: "upgraded", after: "closed" }));
    socket.write(textFrame(CONNECT()));
    socket.write(textFrame(ASK));
    look();
  });
}

const CONNECT = (): string =>
  JSON.stringify({
    type: "Connect",
    sessionId: randomUUID(),
    connectionCount: 0,
    lastCloseReason: "InitialConnect",
    clientTs: 0,
  });
const QUERY = { type: "Add", queryId: 0, udfPath: "_system/cli/tables:default", args: [{}] };
const ASK = JSON.stringify({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [QUERY] });

/** One masked text frame (RFC 6455, 5.2); `text` is shorter than 64 KiB. */
function textFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const mask = randomBytes(4);
  const head = Buffer.from([0x81, 0x80 | 126, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([head, mask, body.map((byte, at) => byte ^ (mask[at % 4] ?? 0))]);
}

/** The texts of all whole frames, and whether a close frame is among them. */
function readFrames(bytes: Buffer): { texts: string[]; closed: boolean } {
  const texts: string[] = [];
  let closed = false;
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = (bytes[at] ?? 0) & 0x0f;
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const from = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    if (from > bytes.length) break;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    if (from + length > bytes.length) break;
    if (opcode === 1) texts.push(bytes.toString("utf8", from, from + length));
    if (opcode === 8) closed = true;
    at = from + length;
  }
  return { texts, closed };
}
