import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canRunLinux, connectEngine } from "../../../src/backend/docker/engine.ts";
import { probeOrigins } from "../../../src/backend/docker/probe.ts";
import { stopContainer } from "../../../src/backend/docker/teardown.ts";
import { docker, engineSocket } from "../harness/engine.ts";
import { makeCertificate } from "../harness/registry.ts";
import { folder, ready, realDeps, start } from "./support.ts";

/** The engine behind TLS that wants a client's certificate, as `dockerd --tlsverify` does. */
const server = createServer({ requestCert: true, rejectUnauthorized: true });
let certificates = "";
let host = "";

beforeAll(async () => {
  const at = folder();
  const [own, client] = await Promise.all([makeCertificate(at, "localhost"), makeCertificate(at, "client")]);
  certificates = join(at, "certs");
  mkdirSync(certificates);
  writeFileSync(join(certificates, "ca.pem"), own.pem);
  writeFileSync(join(certificates, "cert.pem"), client.pem);
  writeFileSync(join(certificates, "key.pem"), readFileSync(client.keyFile));
  server.setSecureContext({ cert: own.pem, key: readFileSync(own.keyFile), ca: client.pem });
  server.on("request", (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const inner = request({ socketPath: engineSocket, method, path: url, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    outgoing.on("close", () => inner.destroy());
    inner.on("error", () => outgoing.destroy());
    // In one piece: this engine closes some connections whose body comes later than their head.
    const body: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => body.push(chunk));
    incoming.on("end", () => inner.end(Buffer.concat(body)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `tcp://localhost:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe("the engine", () => {
  it("is found where the docker command finds it, and runs Linux containers", async () => {
    const deps = realDeps();
    const engine = await connectEngine(deps);
    expect(engine).toMatchObject({ where: "unix:///var/run/docker.sock" });
    expect(`${await docker("version", "-f", "{{.Server.APIVersion}}")}`).toContain(engine.apiVersion);
    expect(await canRunLinux(deps)).toBe(true);
  });

  it("is used over TCP with TLS from start to end", async () => {
    const env = { DOCKER_HOST: host, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: certificates };
    const { backend, state, engine } = await start({ port: 0, sitePort: 0 }, env);
    await ready(backend);
    expect(await probeOrigins(engine, backend.containerId ?? "", { ...backend, instanceName: "chat" })).toEqual([]);
    expect(await backend.logs(5)).toHaveLength(5);
    // The post step has nothing but the state.
    const steps = await stopContainer(state, realDeps());
    expect(steps.map(({ error }) => error)).toEqual([undefined]);
    expect(await backend.ended).toMatchObject({ exitCode: 0 });
    expect(await docker("ps", "-aq")).toBe("");
  });

  it("is not used when its certificate is not the expected one, or ours is missing", async () => {
    const wrong = join(folder(), "certs");
    mkdirSync(wrong);
    for (const name of ["cert.pem", "key.pem"])
      writeFileSync(join(wrong, name), readFileSync(join(certificates, name)));
    const untrusted = realDeps({ DOCKER_HOST: host, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: wrong });
    await expect(connectEngine(untrusted)).rejects.toMatchObject({ code: "engine-tls" });
    const plain = realDeps({ DOCKER_HOST: host });
    await expect(connectEngine(plain)).rejects.toMatchObject({ code: "engine-not-running" });
  });

  it("is missed with the runtime that needs none", async () => {
    const deps = realDeps({ DOCKER_HOST: `unix://${folder()}/none.sock` });
    await expect(connectEngine(deps)).rejects.toMatchObject({
      code: "engine-not-running",
      hint: expect.stringContaining("runtime: binary"),
    });
    expect(await canRunLinux(deps)).toBe(false);
  });
});
