import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createContainer, execIn, inspectContainer, readLogs } from "../../../../src/backend/docker/containers.ts";
import { canRunLinux, connectEngine } from "../../../../src/backend/docker/engine.ts";
import { HttpFault, systemHttp } from "../../../../src/system/http.ts";
import { fakeEngine, scratch, testDeps } from "./support.ts";

function frame(stream: number, text: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(stream, 0);
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe("connectEngine", () => {
  it.each([
    ["1.41", "1.41"],
    ["1.47", "1.47"],
    ["1.56", "1.56"],
    ["1.60", "1.56"],
    ["2.0", "1.56"],
  ])("speaks to an engine of API %s in %s", async (theirs, spoken) => {
    const { address } = await fakeEngine(() => undefined, { "api-version": theirs, ostype: "linux" });
    expect((await connectEngine(testDeps(), address)).apiVersion).toBe(spoken);
  });

  it.each([
    [{ "api-version": "1.40", ostype: "linux" }, "engine-too-old"],
    [{ "api-version": "1.47", ostype: "windows" }, "engine-windows-containers"],
  ])("refuses %j", async (ping, code) => {
    const { address } = await fakeEngine(() => undefined, ping);
    await expect(connectEngine(testDeps(), address)).rejects.toMatchObject({ code });
    expect(await canRunLinux(testDeps({ DOCKER_HOST: address }))).toBe(false);
  });

  it("names the socket and the runtime that needs no engine when there is none", async () => {
    const address = `unix://${join(scratch(), "none.sock")}`;
    await expect(connectEngine(testDeps(), address)).rejects.toMatchObject({
      code: "engine-not-running",
      message: `No Docker engine answers at ${address}: there is no such socket.`,
      hint: expect.stringContaining("runtime: binary"),
    });
  });

  it.each([
    ["EACCES", "engine-not-permitted"],
    ["ECONNREFUSED", "engine-not-running"],
    ["TIMEOUT", "engine-not-running"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "engine-tls"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "engine-tls"],
  ])("makes %s an error of its own kind", async (fault, code) => {
    const http = { ...systemHttp, request: () => Promise.reject(new HttpFault(fault, `GET /_ping: ${fault}`)) };
    await expect(connectEngine({ ...testDeps(), http })).rejects.toMatchObject({ code });
  });

  it("says so when something else answers", async () => {
    const server = createServer((_request, response) => response.writeHead(502).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    await expect(connectEngine(testDeps(), `tcp://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: "engine-not-running",
      message: expect.stringContaining("status 502"),
    });
  });
});

describe("Engine", () => {
  it("makes an error that says what was asked for and what the engine said", async () => {
    const { address } = await fakeEngine(() => ({ status: 409, json: { message: "Conflict. The name is in use." } }));
    const engine = await connectEngine(testDeps(), address);
    await expect(createContainer(engine, "convex-1", {})).rejects.toMatchObject({
      code: "engine-refused",
      status: 409,
      message: `The Docker engine at ${address} could not create the container convex-1: Conflict. The name is in use (status 409).`,
    });
  });

  it("says so when the connection breaks", async () => {
    const { address } = await fakeEngine(() => (response) => void response.destroy());
    const engine = await connectEngine(testDeps(), address);
    await expect(inspectContainer(engine, "x")).rejects.toMatchObject({ code: "engine-lost" });
  });

  it("takes a missing container for what it is", async () => {
    const { address } = await fakeEngine(() => undefined);
    expect(await readLogs(await connectEngine(testDeps(), address), "x", 5)).toEqual([]);
    expect(await inspectContainer(await connectEngine(testDeps(), address), "x")).toBeUndefined();
  });

  it("puts both streams of a log together, oldest first, newest only", async () => {
    const bytes = Buffer.concat([frame(1, "one\ntw"), frame(2, "o\r\n"), frame(1, "three\n")]);
    const { address, asked } = await fakeEngine(() => (response) => void response.end(bytes));
    const engine = await connectEngine(testDeps(), address);
    expect(await readLogs(engine, "x", 2)).toEqual(["two", "three"]);
    expect(asked[0]?.query.get("tail")).toBe("2");
  });

  it("reads the log of a container with a terminal, which has no frames", async () => {
    const { address } = await fakeEngine(() => (response) => void response.end("plain\r\nlines\r\n"));
    expect(await readLogs(await connectEngine(testDeps(), address), "x", 9)).toEqual(["plain", "lines"]);
  });

  it("keeps the two streams of a program apart", async () => {
    const { address, asked } = await fakeEngine(({ path }) => {
      if (path === "/containers/x/exec") return { status: 201, json: { Id: "e1" } };
      if (path === "/exec/e1/json") return { json: { ExitCode: 3 } };
      return (response) => void response.end(Buffer.concat([frame(2, "Admin key:\n"), frame(1, "key\n")]));
    });
    const result = await execIn(await connectEngine(testDeps(), address), "x", ["./a.sh"], { workingDirectory: "/w" });
    expect(result).toMatchObject({ exitCode: 3, stdout: "key\n", stderr: "Admin key:\n" });
    expect(asked[0]?.body).toMatchObject({ Cmd: ["./a.sh"], WorkingDir: "/w" });
    expect(asked[0]?.body).not.toHaveProperty("Env");
  });
});
