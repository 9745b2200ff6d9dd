/** What a user or a machine can get wrong, with either runtime; deploys have a file of their own. */
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { systemExec } from "../../src/system/exec.ts";
import type { Baseline } from "./harness/leftovers.ts";
import { world } from "./harness/world.ts";
import { expectFailure, expectNoLeaks, runtimes, sentinels, start, test } from "./support.ts";

type Case = [string, () => Record<string, string>, string];
/** About 320 kB. */
const manyValues = Array.from({ length: 40 }, (_, n) => `BIG_${n}=${"x".repeat(8000)}`).join("\n");
async function run(command: string, ...args: string[]): Promise<void> {
  const result = await systemExec.run(command, args);
  if (result.exitCode !== 0) throw new Error(`${command}: ${result.stderr}`);
}

const noDeploy = { DEPLOY: "false" };

/** Cases that wait before they try again, at once: they start nothing that could meet. */
async function together(cases: readonly Case[], runtime: string, before: Baseline): Promise<void> {
  const runs = await Promise.all(cases.map(([, vars]) => start({ ...noDeploy, RUNTIME: runtime, ...vars() })));
  for (const [index, [name, , code]] of cases.entries()) {
    const run = runs[index];
    if (run === undefined) throw new Error(`${name} did not run`);
    await expectFailure(run, code, before);
  }
}

describe("docker", () => {
  const faulty = (kind: string): Record<string, string> => ({
    IMAGE: `${world().faultyRegistry}/fault-${kind}/convex-backend`,
    VERSION: world().image.commit,
  });
  const cases: Case[] = [
    ["version: latest", () => ({ VERSION: "latest" }), "version-latest"],
    ["a malformed digest", () => ({ VERSION: "sha256:4711" }), "digest-malformed"],
    ["a release that the catalogue does not know", () => ({ VERSION: "2026-11-01-0123456" }), "release-unknown"],
    [
      "a commit without a digest, where one is required",
      () => ({ VERSION: world().image.other.commit, REQUIRE_DIGEST: "true" }),
      "digest-required",
    ],
    ["a digest that the registry does not have", () => ({ VERSION: `sha256:${"ab".repeat(32)}` }), "image-not-found"],
    [
      "another image under the tag",
      () => ({ IMAGE: world().image.moved, VERSION: "2026-09-28-5c7cb5b" }),
      "image-digest-mismatch",
    ],
    [
      "an image of another commit",
      () => ({ IMAGE: `${world().image.repository}@${world().image.digest}`, VERSION: world().image.other.commit }),
      "image-revision-mismatch",
    ],
    [
      "an image that is not there and must not be pulled",
      () => ({ IMAGE: "nowhere.test/convex-backend", PULL: "never" }),
      "image-missing",
    ],
    ["a registry that wants a login", () => faulty("401"), "registry-unauthorized"],
    ["a registry that refuses", () => faulty("403"), "registry-denied"],
    ["a tag that is not there", () => faulty("404"), "image-not-found"],
    [
      "a registry with a certificate that nobody trusts",
      () => ({ IMAGE: world().untrusted, VERSION: world().image.commit }),
      "registry-tls",
    ],
    ["no engine", () => ({ DOCKER_HOST: "unix:///run/nothing.sock" }), "engine-not-running"],
  ];
  test.for(cases)("%s", async ([, vars, code], { before }) => {
    const run = await start({ ...noDeploy, RUNTIME: "docker", ...vars() });
    await expectFailure(run, code, before);
  });

  test("a registry that limits pulls, fails, or cuts the connection", async ({ before }) => {
    const retried: Case[] = [
      ["limits", () => faulty("429"), "registry-rate-limit"],
      ["fails", () => faulty("500"), "registry-failed"],
      ["cuts", () => faulty("cut"), "registry-unreachable"],
    ];
    await together(retried, "docker", before);
  });
});

describe("binary", () => {
  const releases = (fault: string): Record<string, string> => {
    const { origin, path, tag } = world().releases;
    return { RELEASES: `${origin}${fault === "" ? "" : `/fault-${fault}`}${path}`, VERSION: tag };
  };
  const cases: Case[] = [
    ["a release that nobody knows", () => ({ ...releases(""), VERSION: "2026-11-02-7654321" }), "release-unknown"],
    ["a releases API that knows nothing", () => releases("404"), "release-unknown"],
    ["a releases API that wants a token", () => releases("401"), "releases-forbidden"],
    ["a releases API that limits requests", () => releases("429"), "releases-rate-limited"],
    ["something else in its place", () => releases("rubbish"), "releases-answer-unreadable"],
    ["a download with another checksum", () => releases("digest"), "binary-checksum-mismatch"],
    ["an executable that is not there", () => ({ BINARY_PATH: "/nowhere/backend" }), "binary-path-unfit"],
    ["an executable that is none", () => ({ BINARY_PATH: "/etc/passwd" }), "binary-path-unfit"],
  ];
  test.for(cases)("%s", async ([, vars, code], { before }) => {
    const run = await start({ ...noDeploy, RUNTIME: "binary", ...vars() });
    await expectFailure(run, code, before);
  });

  test("a releases API that fails or cuts the connection, and a download that is cut", async ({ before }) => {
    const retried: Case[] = [
      ["fails", () => releases("500"), "releases-unreachable"],
      ["cuts", () => releases("cut"), "releases-unreachable"],
      ["download", () => releases("short"), "releases-unreachable"],
    ];
    await together(retried, "binary", before);
  });
});

test("a real disk that is full", async ({ before }) => {
  const data = join(world().scratch, "small");
  mkdirSync(data);
  await run("mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", data);
  const vars = { ...noDeploy, ...runtimes.binary(), DATA: data, ENV_FILE: "many.env" };
  const full = await start(vars, { files: { "many.env": manyValues } });
  await run("umount", data);
  await expectFailure(full, "backend-exited", before);
});

describe.each(["docker", "binary"] as const)("with %s", (runtime) => {
  const cases: Case[] = [
    ["a backend that ends at boot", () => ({ BACKEND_ENV: "STANDIN_EXIT_CODE=1" }), "backend-exited"],
    ["a backend that dies of a signal", () => ({ BACKEND_ENV: "STANDIN_EXIT_CODE=134" }), "backend-exited"],
    [
      "a backend that never binds its ports",
      () => ({ BACKEND_ENV: "STANDIN_NEVER_READY=1", READY_TIMEOUT: "2" }),
      "backend-not-ready",
    ],
    [
      "a backend that never answers",
      () => ({ BACKEND_ENV: "STANDIN_HANG=1", READY_TIMEOUT: "2" }),
      "backend-not-ready",
    ],
    [
      "a secret in the backend's log at boot",
      () => ({ BACKEND_ENV: `STANDIN_PRINT=${"5e".repeat(32)}\nSTANDIN_EXIT_CODE=1` }),
      "backend-exited",
    ],
    ["a value that is too long", () => ({ ENV: `CERT=${"x".repeat(8193)}` }), "env-value-too-long"],
    ["a reserved name", () => ({ ENV: "A=1\nCONVEX_CLOUD_URL=http://x" }), "env-name-reserved"],
    ["an unterminated quote", () => ({ ENV: 'A="never' }), "env-unreadable"],
    [
      "origins that cross the inner ports",
      () => ({ PORT: "3211", SITE_PORT: "3212" }),
      runtime === "docker" ? "origin-port-crossed" : "",
    ],
  ];
  test.for(cases.filter(([, , code]) => code !== ""))("%s", async ([, vars, code], { before }) => {
    const run = await start({ ...noDeploy, ...runtimes[runtime](), ...vars() });
    await expectFailure(run, code, before);
  });

  test("a disk that fills while the variables are pushed", async ({ before }) => {
    const vars = { ...noDeploy, ...runtimes[runtime](), BACKEND_ENV: "STANDIN_MAX_PAGES=60", ENV_FILE: "many.env" };
    await expectFailure(await start(vars, { files: { "many.env": manyValues } }), "backend-exited", before);
  });

  test("a Postgres server that is not there", async ({ before }) => {
    const host = runtime === "docker" ? "host.docker.internal" : "127.0.0.1";
    const secrets = { ...sentinels, POSTGRES_URL: `postgresql://ada:sentinel-password-4711@${host}:9` };
    const run = await start({ ...noDeploy, ...runtimes[runtime]() }, { secrets });
    expectNoLeaks(run, "convex", { password: "sentinel-password-4711" });
    // Only the container can tell what it reaches.
    await expectFailure(run, runtime === "docker" ? "backend-exited" : "database-unreachable", before);
    expect(run.error).toContain("reached");
  });

  test("a port that something else holds", async ({ before }) => {
    const server = createServer((socket) => void socket.on("error", () => undefined));
    await new Promise<void>((done) => server.listen(3210, "127.0.0.1", done));
    try {
      await expectFailure(await start({ ...noDeploy, ...runtimes[runtime]() }), "port-taken", before);
    } finally {
      server.close();
    }
  });

  test("another instance that answers on the port keeps running", async ({ before }) => {
    const { createServer: createHttp } = await import("node:http");
    const other = createHttp((request, response) =>
      response.end(request.url === "/instance_name" ? "other" : "unknown"),
    );
    await new Promise<void>((done) => other.listen(3210, "127.0.0.1", done));
    try {
      const run = await start({ ...noDeploy, ...runtimes[runtime]() });
      expect(["port-taken", "other-instance"]).toContain(run.errorCode);
      expect((await fetch("http://127.0.0.1:3210/instance_name")).status).toBe(200);
      expect(await before.leftovers()).toEqual([]);
    } finally {
      other.close();
    }
  });
});
