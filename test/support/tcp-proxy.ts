import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What is done with bytes on their way: passed on (changed, perhaps), swallowed, or the connection ends. */
export type Verdict = Buffer | "pass" | "swallow" | "cut";

export interface Passing {
  readonly direction: "up" | "down";
  /** Counts connections from 1. */
  readonly connection: number;
  /** Bytes that went this way on this connection before. */
  readonly before: number;
  /** Bytes that went this way on all connections before. */
  readonly beforeAll: number;
  /** The last request line that went up on this connection: `PUT /bucket/key?partNumber=1 HTTP/1.1`. */
  readonly request: string;
  /** Whether nothing of the answer to that request has come down yet. */
  readonly first: boolean;
}

export type Meddle = (chunk: Buffer, passing: Passing) => Verdict | Promise<Verdict>;

const REQUEST_LINE = /(?:^|\r\n)((?:GET|HEAD|PUT|POST|DELETE|PATCH|OPTIONS) \S+ HTTP\/1\.1)\r\n/g;

/**
 * A TCP proxy on the loopback that cuts, delays, corrupts or swallows what passes, as `meddle` says; without one it is
 * just a proxy. For HTTP without TLS it knows which request a chunk belongs to.
 */
export class TcpProxy implements AsyncDisposable {
  meddle: Meddle = () => "pass";
  readonly #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  readonly #totals = { up: 0, down: 0 };
  #connections = 0;
  readonly #server = createServer((client) => this.#accept(client));

  constructor(port: number, host = "127.0.0.1") {
    this.#target = { host, port };
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#connections;
  }

  #accept(client: Socket): void {
    const connection = ++this.#connections;
    const server = connect(this.#target);
    const state = { request: "", first: true };
    const cut = (): void => {
      client.resetAndDestroy();
      server.destroy();
    };
    const pump = (from: Socket, to: Socket, direction: "up" | "down"): void => {
      let before = 0;
      let queue = Promise.resolve();
      from.on("data", (chunk: Buffer) => {
        from.pause();
        queue = queue.then(async () => {
          if (direction === "up") {
            for (const [, line = ""] of chunk.toString("latin1").matchAll(REQUEST_LINE)) {
              state.request = line;
              state.first = true;
            }
          }
          const beforeAll = this.#totals[direction];
          const verdict = await this.meddle(chunk, { direction, connection, before, beforeAll, ...state });
          before += chunk.length;
          this.#totals[direction] += chunk.length;
          if (direction === "down") state.first = false;
          if (verdict === "cut") return cut();
          if (verdict !== "swallow" && !to.destroyed) to.write(verdict === "pass" ? chunk : verdict);
          from.resume();
        });
      });
      from.on("end", () => void queue.then(() => to.end()));
      from.on("error", cut);
      from.on("close", () => {
        this.#sockets.delete(from);
        // One that ended goes when all that it sent has been taken: to end it now would cut what is still on its way.
        void queue.then(() => {
          if (!from.readableEnded) to.destroy();
        });
      });
      this.#sockets.add(from);
    };
    pump(client, server, "up");
    pump(server, client, "down");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Turns one bit of a chunk round. */
export function flipped(chunk: Buffer, at: number): Buffer {
  const copy = Buffer.from(chunk);
  copy[at] = (copy[at] ?? 0) ^ 0x10;
  return copy;
}
