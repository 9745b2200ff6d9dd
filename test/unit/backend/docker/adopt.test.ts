import { describe, expect, it } from "vitest";
import { adoptContainer } from "../../../../src/backend/docker/adopt.ts";
import { connectEngine } from "../../../../src/backend/docker/engine.ts";
import type { WantedImage } from "../../../../src/backend/docker/image.ts";
import { type Answer, fakeEngine, testDeps } from "./support.ts";

const digest = `sha256:${"a".repeat(64)}`;
const commit = "5c7cb5bc7db457290f1769f95f1d1340912f7fd7";
const published = { "3210/tcp": [{ HostPort: "3210" }], "3211/tcp": [{ HostPort: "3211" }] };

interface Service {
  env?: string[];
  ports?: object;
  running?: boolean;
  image?: Answer;
  key?: string;
  exitCode?: number;
}

async function adopt(service: Service, choice?: WantedImage, network?: string) {
  const image = {
    json: {
      Id: "sha256:1",
      RepoDigests: [`r/a@${digest}`],
      Config: { Labels: { "org.opencontainers.image.revision": commit } },
    },
  };
  const { address, asked } = await fakeEngine(({ path }): Answer => {
    if (path === "/images/sha256:1/json") return service.image ?? image;
    if (path === "/containers/s1/exec") return { status: 201, json: { Id: "e" } };
    if (path === "/exec/e/start") return (response) => void response.end(service.key);
    if (path === "/exec/e/json") return { json: { ExitCode: service.exitCode ?? 0 } };
    if (path.endsWith("/logs")) return (response) => void response.end("Error: broken\n");
    if (path !== "/containers/s1/json") return undefined;
    const state = { Running: service.running ?? true, ExitCode: 1 };
    const settings = { Ports: service.ports ?? published, Networks: { net: { Aliases: ["s1", "convex"] } } };
    return {
      json: {
        Id: "s1",
        Name: "/svc",
        Image: "sha256:1",
        State: state,
        Config: { Env: service.env ?? [] },
        NetworkSettings: settings,
      },
    };
  });
  const deps = testDeps();
  const adopted = adoptContainer(
    await connectEngine(deps, address),
    "s1",
    { ...(choice === undefined ? {} : { choice }), ...(network === undefined ? {} : { network }) },
    deps,
  );
  await adopted.then(({ backend }) => backend.detach()).catch(() => undefined);
  return { adopted, asked, deps };
}

const origins = ["CONVEX_CLOUD_ORIGIN=http://127.0.0.1:3210", "CONVEX_SITE_ORIGIN=http://127.0.0.1:3211"];

describe("adoptContainer", () => {
  it("reads everything from the container and changes nothing", async () => {
    const { adopted, asked } = await adopt({ env: ["INSTANCE_NAME=chat", "INSTANCE_SECRET=ab=cd", ...origins] });
    expect(await adopted).toMatchObject({
      backend: {
        url: "http://127.0.0.1:3210",
        siteUrl: "http://127.0.0.1:3211",
        containerId: "s1",
        imageDigest: digest,
        revision: commit,
      },
      instanceName: "chat",
      instanceSecret: "ab=cd",
      findings: [],
    });
    expect(asked.filter(({ method, path }) => method !== "GET" && !path.endsWith("/wait"))).toEqual([]);
  });

  it("asks the container's own script for a key, without variables and in the image's directory", async () => {
    const { adopted, asked } = await adopt({ env: ["INSTANCE_NAME=chat"], key: "chat|01ab\n" });
    const result = await adopted;
    expect(result).not.toHaveProperty("instanceSecret");
    expect(await result.key()).toEqual({ adminKey: "chat|01ab", instanceName: "chat" });
    expect(asked.find(({ path }) => path === "/containers/s1/exec")?.body).toEqual({
      AttachStdout: true,
      AttachStderr: true,
      Cmd: ["./generate_admin_key.sh"],
      WorkingDir: "/convex",
    });
  });

  it.each([
    ["nothing\n", 0],
    ["chat|01ab\nmore\n", 0],
    ["chat|01ab\n", 1],
  ])("refuses %j with exit code %i as a key", async (key, exitCode) => {
    const { key: ask } = await (await adopt({ key, exitCode })).adopted;
    await expect(ask()).rejects.toMatchObject({ code: "service-container-key" });
  });

  it("says which lines are missing", async () => {
    const { findings } = await (await adopt({})).adopted;
    expect(findings).toHaveLength(1);
  });

  it.each([
    [{ reference: `r/a@${digest}`, digest }, undefined, undefined],
    [{ reference: "r/a:x", commit: commit.slice(0, 7) }, undefined, undefined],
    [{ reference: "r/a:x", digest: `sha256:${"b".repeat(64)}` }, undefined, "image-digest-mismatch"],
    [{ reference: "r/a:x", digest }, { json: { Id: "sha256:1", RepoDigests: [] } }, "image-digest-unknown"],
    [{ reference: "r/a:x", commit: "0123456" }, undefined, "image-revision-mismatch"],
    [{ reference: "r/a:x", commit }, { json: { Id: "sha256:1" } }, "image-revision-mismatch"],
    [{ reference: "r/a:x", digest, commit: "0123456" }, undefined, "image-revision-mismatch"],
  ] as const)("checks the pin %j", async (choice, image, code) => {
    const { adopted } = await adopt(image === undefined ? {} : { image }, choice);
    if (code === undefined) expect(await adopted).toMatchObject({ backend: { imageDigest: digest } });
    else await expect(adopted).rejects.toMatchObject({ code });
  });

  it("names the port that is not published, with the line to add", async () => {
    const { adopted } = await adopt({ ports: { "3210/tcp": [{ HostPort: "3210" }], "3211/tcp": null } });
    await expect(adopted).rejects.toMatchObject({
      code: "service-container-port",
      message: expect.stringContaining("3211"),
    });
  });

  it("is reached on the job's network by its alias, and on no other", async () => {
    const { adopted } = await adopt({ env: origins }, undefined, "net");
    expect((await adopted).backend.url).toBe("http://convex:3210");
    await expect((await adopt({}, undefined, "other")).adopted).rejects.toMatchObject({
      code: "service-container-network",
      message: expect.stringContaining("other"),
    });
  });

  it("shows the last lines of a service that has ended, its secret masked", async () => {
    const { adopted, deps } = await adopt({ running: false, env: ["INSTANCE_SECRET=abcdefgh"] });
    await expect(adopted).rejects.toMatchObject({ code: "service-container-ended" });
    expect(deps.lines).toContainEqual({ level: "foreign", message: "Error: broken" });
    expect(deps.masked).toEqual(["abcdefgh"]);
  });

  it("refuses an id that the engine does not know", async () => {
    const { address } = await fakeEngine(() => undefined);
    const deps = testDeps();
    const adopted = adoptContainer(await connectEngine(deps, address), "", {}, deps);
    await expect(adopted).rejects.toMatchObject({ code: "service-container-missing" });
  });
});
