import { createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { HttpFault, systemHttp } from "../../../src/system/http.ts";

interface Raw {
  readonly url: string;
  /** The first line of every request, with the number of its connection. */
  readonly seen: string[];
}

/** A server that keeps connections, and resets one where `resets` says so: as a server does whose patience ended. */
async function raw(resets: (line: string, connection: number, nth: number) => boolean): Promise<Raw> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    let nth = 0;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      const [line = ""] = data.toString("latin1").split("\r\n");
      // The body may come by itself.
      if (!/ HTTP\/1\.1$/.test(line)) return;
      nth += 1;
      seen.push(`${connection}: ${line.replace(" HTTP/1.1", "")}`);
      if (resets(line, connection, nth)) socket.resetAndDestroy();
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `http://127.0.0.1:${address.port}`, seen };
}

const onKept = (_: string, connection: number, nth: number): boolean => connection === 1 && nth > 1;

/** Node hands a connection back to its agent in a later turn of the loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a kept connection that the server closed meanwhile", () => {
  it.each(["GET", "HEAD"])("is opened anew for %s, which changes nothing", async (method) => {
    const { url, seen } = await raw(onKept);
    expect((await systemHttp.request(`${url}/first`)).text()).toBe("ok");
    await turn();
    expect((await systemHttp.request(`${url}/second`, { method })).status).toBe(200);
    expect(seen).toEqual(["1: GET /first", `1: ${method} /second`, `2: ${method} /second`]);
  });

  it.each(["POST", "PUT", "DELETE"])(
    "is no reason to send a %s twice: it may have been carried out",
    async (method) => {
      // Whatever connection it comes by, it is received and its answer lost.
      const { url, seen } = await raw((line) => line.startsWith(method));
      await systemHttp.request(`${url}/first`);
      await turn();
      const sent = systemHttp.request(`${url}/change`, { method, body: "{}" });
      await expect(sent).rejects.toMatchObject({ name: "HttpFault", code: "ECONNRESET" });
      expect(seen.filter((line) => line.includes(`${method} /change`))).toHaveLength(1);
    },
  );

  it("does not fail a POST either: it goes by a connection of its own", async () => {
    const { url, seen } = await raw(onKept);
    await systemHttp.request(`${url}/first`);
    await turn();
    expect((await systemHttp.request(`${url}/change`, { method: "POST", body: "{}" })).status).toBe(200);
    expect(seen).toEqual(["1: GET /first", "2: POST /change"]);
  });
});

it("repeats no request whose fresh connection is reset: the caller decides that", async () => {
  const { url, seen } = await raw(() => true);
  await expect(systemHttp.request(`${url}/version`)).rejects.toBeInstanceOf(HttpFault);
  expect(seen).toEqual(["1: GET /version"]);
});

it("names method, origin and path of what failed, never its query", async () => {
  const { url } = await raw(() => true);
  const failure = await systemHttp.request(`${url}/upload?token=abc`).catch((error: unknown) => error);
  expect(String(failure)).toContain(`GET ${url}/upload`);
  expect(String(failure)).not.toContain("abc");
});

describe("an answer that does not end", () => {
  async function endless(write: (socket: Socket) => void): Promise<string> {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        write(socket);
      });
      onTestFinished(() => void socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `http://127.0.0.1:${address.port}`;
  }

  it("is given up at the size that was agreed", async () => {
    const url = await endless((socket) => {
      const block = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(0x10000), Buffer.from("\r\n")]);
      const more = (): void => {
        while (!socket.destroyed && socket.write(block));
      };
      socket.on("drain", more);
      more();
    });
    await expect(systemHttp.request(url, { maxBytes: 1024 * 1024 })).rejects.toMatchObject({ code: "TOO_LARGE" });
  });

  it("is given up at the time that was agreed, although a byte comes now and then", async () => {
    const url = await endless((socket) => {
      const drip = setInterval(() => socket.write("1\r\nx\r\n"), 20);
      onTestFinished(() => clearInterval(drip));
    });
    await expect(systemHttp.request(url, { timeoutMs: 300 })).rejects.toMatchObject({ code: "TIMEOUT" });
  });
});
