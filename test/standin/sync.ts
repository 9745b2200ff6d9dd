/** The sync websocket's server (contract 6.1): one session a connection. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { checkClient } from "./client-version.ts";
import { errorResponse } from "./server.ts";
import { type SessionDeps, SyncSession } from "./sync-session.ts";
import { ApiError } from "./types.ts";

const PATH = /^\/api\/(?:([^/]+)\/)?sync$/;
const UPGRADE_HEADERS = [
  "vary: origin, access-control-request-method, access-control-request-headers",
  "access-control-allow-credentials: true",
];
/** Arguments of mutations may be large. */
const MAX_MESSAGE = 64 * 1024 * 1024;

export class SyncServer {
  #sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE });
  #sessions = new Set<SyncSession>();
  #deps: SessionDeps;
  #unsubscribe: () => void;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#sockets.on("headers", (headers) => headers.push(...UPGRADE_HEADERS));
    this.#unsubscribe = deps.store.onCommit((_ts, keys) => {
      for (const session of this.#sessions) session.invalidate(keys);
    });
  }

  /** Takes the connection when the path is a sync path; an old or odd version is refused before the upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const match = PATH.exec((request.url ?? "").split("?")[0] ?? "");
    if (match === null) return false;
    const refusal = refusalOf(match[1]);
    if (refusal !== undefined) {
      refuse(socket, refusal);
      return true;
    }
    this.#sockets.handleUpgrade(request, socket, head, (websocket) => {
      const session = new SyncSession(websocket, this.#deps);
      this.#sessions.add(session);
      websocket.on("close", () => this.#sessions.delete(session));
    });
    return true;
  }

  /** Cuts all connections without a close frame: clients see 1006. */
  destroy(): void {
    this.#unsubscribe();
    for (const session of this.#sessions) session.cut();
  }
}

/** Also of a plain GET on a sync path. */
export const notAnUpgrade = () =>
  new ApiError(400, "InvalidConnectionHeader", "Connection header did not include upgrade");

function refusalOf(version: string | undefined): ApiError | undefined {
  if (version === undefined) return undefined;
  const odd = /^[^0-9]/.exec(version)?.[0];
  if (odd !== undefined) {
    const cause = `unexpected character '${odd}' while parsing major version number`;
    return new ApiError(400, "InvalidClientVersion", `Failed to parse client version: ${cause}`);
  }
  return checkClient(`npm-${version}`).error;
}

function refuse(socket: Duplex, error: ApiError): void {
  const { body = "" } = errorResponse(error);
  const text = String(body);
  const head = [
    "HTTP/1.1 400 Bad Request",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(text)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
}
