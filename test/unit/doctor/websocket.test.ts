import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { probeSync } from "../../../src/doctor/wire.ts";
import { startStandin } from "../../standin/standin.ts";

/** A server that upgrades and then does as told. */
async function upgrading(
  then: (socket: Duplex) => void,
  accept?: string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const sockets = new Set<Duplex>();
  const server = createServer((_, response) => response.writeHead(503).end());
  server.on("upgrade", (request, socket) => {
    sockets.add(socket.on("error", () => {}));
    const nonce = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const answer = accept ?? createHash("sha1").update(nonce).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${answer}\r\n\r\n`,
      () => then(socket),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const probe = (url: string, timeoutMs = 5000) => probeSync(url, "1.48.0", { ca: undefined, timeoutMs });

describe("the sync websocket", () => {
  it("works with a backend", async () => {
    await using standin = await startStandin();
    expect(await probe(standin.url)).toEqual({ kind: "works" });
  });
  it("is cut right after the upgrade", async () => {
    await using server = await upgrading((socket) => socket.destroy());
    expect(await probe(server.url)).toEqual({ kind: "upgraded", after: "closed" });
  });
  it("is closed with a frame", async () => {
    await using server = await upgrading((socket) => socket.write(Buffer.from([0x88, 0x02, 0x03, 0xe8])));
    expect(await probe(server.url)).toEqual({ kind: "upgraded", after: "closed" });
  });
  it("opens, and no message comes back", async () => {
    await using server = await upgrading(() => {});
    expect(await probe(server.url, 200)).toEqual({ kind: "upgraded", after: "silent" });
  });
  it("gets its answer in pieces and in a long frame", async () => {
    const text = Buffer.from(JSON.stringify({ type: "Transition", filler: "x".repeat(70_000) }));
    const head = Buffer.alloc(10);
    head.writeUInt8(0x81, 0);
    head.writeUInt8(127, 1);
    head.writeBigUInt64BE(BigInt(text.length), 2);
    await using server = await upgrading((socket) => {
      socket.write(Buffer.from([0x89, 0x00])); // A ping before it.
      socket.write(head.subarray(0, 5), () => socket.write(Buffer.concat([head.subarray(5), text])));
    });
    expect(await probe(server.url)).toEqual({ kind: "works" });
  });
  it("is answered by something else", async () => {
    await using server = await upgrading(() => {}, "nonsense");
    expect(await probe(server.url)).toEqual({ kind: "upgraded", after: "not-websocket" });
  });
  it("is at a path that is none of its own", async () => {
    await using standin = await startStandin();
    expect(await probeSync(standin.url, "0.19.0", { ca: undefined, timeoutMs: 5000 })).toEqual({
      kind: "refused",
      status: 400,
    });
  });
});
