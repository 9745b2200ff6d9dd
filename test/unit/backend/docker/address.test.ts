import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findEngine, transportOf } from "../../../../src/backend/docker/address.ts";
import { scratch } from "./support.ts";

/** A Docker configuration folder with one context. */
function configuration(config: object, context?: { name: string; host: string; tls?: boolean }): string {
  const folder = scratch();
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  if (context !== undefined) {
    const id = createHash("sha256").update(context.name).digest("hex");
    mkdirSync(join(folder, "contexts", "meta", id), { recursive: true });
    const meta = { Name: context.name, Endpoints: { docker: { Host: context.host } } };
    writeFileSync(join(folder, "contexts", "meta", id, "meta.json"), JSON.stringify(meta));
    if (context.tls) mkdirSync(join(folder, "contexts", "tls", id, "docker"), { recursive: true });
  }
  return folder;
}

describe("findEngine", () => {
  it("takes the platform's default", () => {
    expect(findEngine({ HOME: "/nonexistent" }, "linux")).toBe("unix:///var/run/docker.sock");
    expect(findEngine({ USERPROFILE: "C:\\nonexistent" }, "win32")).toBe("npipe:////./pipe/docker_engine");
  });

  it("takes DOCKER_HOST before any context, as the docker command does", () => {
    const folder = configuration({ currentContext: "lab" }, { name: "lab", host: "unix:///lab.sock" });
    const env = { DOCKER_CONFIG: folder, DOCKER_CONTEXT: "lab", DOCKER_HOST: "tcp://docker:2375" };
    expect(findEngine(env, "linux")).toBe("tcp://docker:2375");
  });

  it("adds the folder of the certificates when DOCKER_TLS_VERIFY is set", () => {
    const env = { DOCKER_HOST: "tcp://docker:2376", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs/client" };
    expect(findEngine(env, "linux")).toBe("tcp://docker:2376#/certs/client");
  });

  it("follows the chosen context, with its TLS folder", () => {
    const folder = configuration({ currentContext: "lab" }, { name: "lab", host: "tcp://lab:2376", tls: true });
    expect(findEngine({ DOCKER_CONFIG: folder }, "linux")).toMatch(
      /^tcp:\/\/lab:2376#.*\/contexts\/tls\/[0-9a-f]{64}\/docker$/,
    );
    expect(findEngine({ DOCKER_CONFIG: folder, DOCKER_CONTEXT: "default" }, "linux")).toBe(
      "unix:///var/run/docker.sock",
    );
  });

  it("refuses a context that does not exist", () => {
    const env = { DOCKER_CONFIG: configuration({}), DOCKER_CONTEXT: "gone" };
    expect(() => findEngine(env, "linux")).toThrow(expect.objectContaining({ code: "engine-context" }));
  });
});

describe("transportOf", () => {
  it("reads sockets, pipes and TCP", () => {
    expect(transportOf("unix:///run/user/1000/docker.sock").socketPath).toBe("/run/user/1000/docker.sock");
    expect(transportOf("npipe:////./pipe/docker_engine").socketPath).toBe("\\\\.\\pipe\\docker_engine");
    expect(transportOf("tcp://docker")).toEqual({ base: "http://docker:2375", host: "docker" });
    expect(transportOf("tcp://[::1]:4000").base).toBe("http://[::1]:4000");
  });

  it("reads the certificates of a TLS engine", () => {
    const folder = scratch();
    for (const name of ["ca", "cert", "key"]) writeFileSync(join(folder, `${name}.pem`), `PEM ${name}`);
    expect(transportOf(`tcp://docker#${folder}`)).toEqual({
      base: "https://docker:2376",
      host: "docker",
      tls: { ca: "PEM ca", cert: "PEM cert", key: "PEM key" },
    });
  });

  it.each(["ssh://ada@host", "nonsense", "tcp://", ""])("refuses %j", (address) => {
    expect(() => transportOf(address)).toThrow(expect.objectContaining({ code: "engine-address" }));
  });
});
