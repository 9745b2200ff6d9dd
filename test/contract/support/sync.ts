/** The sync websocket, frame by frame (contract 6.1). */
import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";
import { at } from "./http.ts";
import { until } from "./process.ts";

export interface Frame {
  readonly type: string;
  readonly [key: string]: unknown;
}

export class SyncClient {
  readonly frames: Frame[] = [];
  /** As text, for what parsing would lose. */
  readonly texts: string[] = [];
  closed: { code: number; reason: string } | undefined;
  private readonly socket: WebSocket;
  private querySet = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => {
      const text = String(data);
      this.texts.push(text);
      this.frames.push(JSON.parse(text) as Frame);
    });
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: String(reason) };
    });
    socket.on("error", () => undefined);
  }

  static async open(url: string, path = "/api/1.48.0/sync"): Promise<SyncClient> {
    const socket = new WebSocket(`${url.replace("http", "ws")}${path}`);
    const client = new SyncClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => resolve());
      socket.once("error", reject);
    });
    return client;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  connect(): this {
    const base = { connectionCount: 0, lastCloseReason: "InitialConnect", clientTs: Date.now() };
    this.send({ type: "Connect", sessionId: randomUUID(), ...base });
    return this;
  }

  authenticate(value: string, tokenType = "Admin", baseVersion = 0): this {
    this.send({ type: "Authenticate", tokenType, value, baseVersion });
    return this;
  }

  /** Adds one query set version with these queries; ids count up from `firstId`. */
  add(queries: readonly { path: string; args?: unknown; componentPath?: string }[], firstId = 0): this {
    const modifications = queries.map((query, index) => ({
      type: "Add",
      queryId: firstId + index,
      udfPath: query.path,
      args: [query.args ?? {}],
      ...(query.componentPath === undefined ? {} : { componentPath: query.componentPath }),
    }));
    this.modify(modifications);
    return this;
  }

  modify(modifications: readonly unknown[]): void {
    this.send({ type: "ModifyQuerySet", baseVersion: this.querySet, newVersion: this.querySet + 1, modifications });
    this.querySet += 1;
  }

  /** Waits for a frame, also among those that came already. */
  frame(what: string, matches: (frame: Frame) => boolean, timeoutMs?: number): Promise<Frame> {
    return until(
      `${what} among ${JSON.stringify(this.frames)?.slice(0, 2000)}`,
      async () => this.frames.find(matches),
      timeoutMs,
    );
  }

  /** The newest result of a query: QueryUpdated or QueryFailed. */
  result(queryId: number, matches: (modification: unknown) => boolean = () => true): Promise<unknown> {
    const all = () =>
      this.frames
        .filter((frame) => frame.type === "Transition")
        .flatMap((frame) => frame["modifications"] as unknown[])
        .filter((modification) => at(modification, "queryId") === queryId);
    return until(`a result of query ${queryId}`, async () => all().findLast(matches));
  }

  transitions(): Frame[] {
    return this.frames.filter((frame) => frame.type === "Transition");
  }

  whenClosed(): Promise<{ code: number; reason: string }> {
    return until("a close", async () => this.closed);
  }

  close(code = 1000): void {
    this.socket.close(code);
  }
}

/** Opens, runs, closes. */
export async function withSync<T>(url: string, run: (client: SyncClient) => Promise<T>, path?: string): Promise<T> {
  const client = await SyncClient.open(url, path);
  try {
    return await run(client);
  } finally {
    client.close();
  }
}
