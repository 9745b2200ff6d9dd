import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { jsonAnswer, type RelayOptions, refusal, startRelay } from "../../../src/deployment/relay.ts";

interface Seen {
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function upstream(): Promise<{ url: string; seen: Seen[]; server: Server }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.push({ url: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks) });
      if (request.url === "/cut") return request.socket.destroy();
      response.writeHead(request.url === "/missing" ? 404 : 200, { "x-kept": "yes" });
      return response.end(request.url === "/missing" ? "" : `{"got":${Buffer.concat(chunks).length}}`);
    });
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, server };
}

const pass: RelayOptions["answer"] = (_call, forward) => forward();

describe("the relay", () => {
  it("passes on what it does not look at, byte for byte", async () => {
    const { url, seen } = await upstream();
    await using relay = await startRelay({ target: url, answer: () => Promise.reject(new Error("looked at")) });
    expect(relay.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const body = Buffer.alloc(3_000_000, 7);
    const headers = { authorization: "Convex name|01", "x-other": "1" };
    const answer = await fetch(`${relay.url}/api/function?x=1`, { method: "POST", body, headers });
    expect([answer.status, answer.headers.get("x-kept"), await answer.json()]).toEqual([
      200,
      "yes",
      { got: 3_000_000 },
    ]);
    expect(seen[0]).toMatchObject({ url: "/api/function?x=1", headers: { ...headers, host: new URL(url).host } });
    expect(seen[0]?.body.equals(body)).toBe(true);
    const missing = await fetch(`${relay.url}/missing`);
    expect([missing.status, await missing.text()]).toEqual([404, ""]);
  });

  it("adds no credentials", async () => {
    const { url, seen } = await upstream();
    await using relay = await startRelay({ target: url, answer: pass });
    await fetch(`${relay.url}/api/deploy2/start_push`, { method: "POST", body: "{}" });
    expect(seen[0]?.headers).not.toHaveProperty("authorization");
  });

  it("shows calls of a push whatever their compression, and sends them on as they came", async () => {
    const { url, seen } = await upstream();
    const calls: unknown[] = [];
    await using relay = await startRelay({
      target: url,
      answer: async (call, forward) => {
        calls.push([call.endpoint, call.json()]);
        const other = await forward({ path: "/api/deploy2/evaluate_push" });
        await forward({ json: { adminKey: "other" } });
        expect(other.json()).toHaveProperty("got");
        return await forward();
      },
    });
    const body = brotliCompressSync(JSON.stringify({ adminKey: "k" }));
    const headers = { "content-encoding": "br", "content-type": "application/json" };
    const answer = await fetch(`${relay.url}/api/deploy2/start_push`, { method: "POST", body, headers });
    expect(await answer.json()).toEqual({ got: body.length });
    expect(calls).toEqual([["start_push", { adminKey: "k" }]]);
    expect(seen.map(({ url: path, body: sent }) => [path, sent.equals(body)])).toEqual([
      ["/api/deploy2/evaluate_push", true],
      ["/api/deploy2/start_push", false],
      ["/api/deploy2/start_push", true],
    ]);
    expect(seen[1]?.body.toString()).toBe('{"adminKey":"other"}');
    expect(seen[1]?.headers).not.toHaveProperty("content-encoding");
  });

  it("answers itself where it is told so", async () => {
    const { url, seen } = await upstream();
    await using relay = await startRelay({
      target: url,
      answer: async ({ endpoint }) =>
        endpoint === "start_push" ? refusal("Stopped", "no") : jsonAnswer({ own: true }),
    });
    const start = await fetch(`${relay.url}/api/deploy2/start_push`, { method: "POST", body: "{}" });
    expect([start.status, await start.json()]).toEqual([400, { code: "Stopped", message: "no" }]);
    const other = await fetch(`${relay.url}/api/deploy2/finish_push`, { method: "POST", body: "{}" });
    expect(await other.json()).toEqual({ own: true });
    expect(seen).toEqual([]);
  });

  it("cuts the connection where the deployment does, and remembers why", async () => {
    const { url } = await upstream();
    await using relay = await startRelay({ target: url, answer: pass });
    await expect(fetch(`${relay.url}/cut`)).rejects.toThrow("fetch failed");
    expect(relay.lastFault).toContain("hang up");
    await using nobody = await startRelay({ target: "http://127.0.0.1:1", answer: pass });
    await expect(fetch(`${nobody.url}/api/deploy2/start_push`, { method: "POST" })).rejects.toThrow("fetch failed");
    expect(nobody.lastFault).toContain("ECONNREFUSED");
  });

  it("passes websockets on, and their refusal", async () => {
    const { url, server } = await upstream();
    const sockets = new WebSocketServer({ noServer: true });
    server.on("upgrade", (request, socket, head) => {
      if (request.url === "/refused") return socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n");
      return sockets.handleUpgrade(request, socket, head, (client) => {
        client.on("message", (data) => client.send(`echo ${String(data)}`));
      });
    });
    await using relay = await startRelay({ target: url, answer: pass });
    const socket = new WebSocket(`${relay.url.replace("http", "ws")}/api/1.48.0/sync`);
    await once(socket, "open");
    socket.send("hello");
    const [message] = (await once(socket, "message")) as [Buffer];
    expect(message.toString()).toBe("echo hello");
    socket.close();
    await once(socket, "close");
    const refused = new WebSocket(`${relay.url.replace("http", "ws")}/refused`);
    const [error] = (await once(refused, "error")) as [Error];
    expect(error.message).toContain("403");
  });
});
