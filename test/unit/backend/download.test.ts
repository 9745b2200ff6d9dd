import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { BinaryChoice } from "../../../src/backend/binary-catalogue.ts";
import { cacheKey, checkBinaryPath, obtainBinary } from "../../../src/backend/download.ts";
import { DEFAULT_RELEASES_URL, directAsset } from "../../../src/backend/releases.ts";
import { jumpingClock, machine, serve, temporary, zipOf } from "./support.ts";

const ZIP = zipOf("convex-local-backend", Buffer.from("#!/bin/sh\necho backend\n"));
const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");
const TARGET = "x86_64-unknown-linux-gnu";
const ASSET = `convex-local-backend-${TARGET}.zip`;
const RELEASE = "2026-03-01-abcdef0";

const CHOICE: BinaryChoice = {
  release: RELEASE,
  target: TARGET,
  asset: ASSET,
  executable: "convex-local-backend",
  byDefault: false,
  warnings: [],
};

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const json =
  (value: unknown): Answer =>
  (_, response) =>
    void response.setHeader("content-type", "application/json").end(JSON.stringify(value));
const file =
  (data: Buffer): Answer =>
  (_, response) =>
    void response.setHeader("content-length", data.length).end(data);
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(code, headers).end("no");

/** A releases server; each path has its answers, the last of which stays. */
async function releases(paths: Record<string, Answer[]>) {
  const asked: { path: string; authorization: string | undefined }[] = [];
  const url = await serve((request, response) => {
    const path = request.url ?? "";
    asked.push({ path, authorization: request.headers.authorization });
    const answers = paths[path];
    const answer = answers !== undefined && answers.length > 1 ? answers.shift() : answers?.[0];
    if (answer === undefined) response.writeHead(404).end("{}");
    else answer(request, response);
  });
  return { url, asked };
}

function release(assets: unknown[], tag = `precompiled-${RELEASE}`) {
  return { tag_name: tag, assets };
}

const asset = (digest: string | null = `sha256:${sha256(ZIP)}`, url = "/zip") => ({
  name: ASSET,
  browser_download_url: url,
  digest,
});
const TAG = `/tags/precompiled-${RELEASE}`;

async function world() {
  const root = await temporary();
  const env = { ...process.env, RUNNER_TEMP: join(root, "temp"), RUNNER_TOOL_CACHE: join(root, "cache") };
  await mkdir(env.RUNNER_TEMP);
  await mkdir(env.RUNNER_TOOL_CACHE);
  // The tool cache's library reads the process's own environment.
  vi.stubEnv("RUNNER_TEMP", env.RUNNER_TEMP);
  vi.stubEnv("RUNNER_TOOL_CACHE", env.RUNNER_TOOL_CACHE);
  return { ...machine({ env, clock: jumpingClock(), arch: "x64", platform: "linux" }), env };
}

describe("obtainBinary", () => {
  it("downloads, checks by the release's own metadata, unpacks, and keeps it in the tool cache", async () => {
    const { deps, env, told } = await world();
    const { url } = await releases({ [TAG]: [json(release([asset()]))], "/zip": [file(ZIP)] });
    const got = await obtainBinary(CHOICE, { releasesUrl: `${url}/` }, deps);
    expect(got).toMatchObject({ source: "download", release: RELEASE, sha256: sha256(ZIP) });
    expect(got.path).toBe(
      join(env.RUNNER_TOOL_CACHE, "convex-local-backend", "2026.3.1-gabcdef0", "x64", "convex-local-backend"),
    );
    expect(await readFile(got.path, "utf8")).toContain("echo backend");
    expect((await stat(got.path)).mode & 0o111).toBe(0o111);
    expect(await readdir(env.RUNNER_TEMP)).toEqual([]);
    expect(told.info.join()).toMatch(/Downloaded .* MB\) in/);
  });

  it("takes it from the tool cache without a request, as long as it is unchanged", async () => {
    const { deps, told } = await world();
    const { url, asked } = await releases({ [TAG]: [json(release([asset()]))], "/zip": [file(ZIP)] });
    const first = await obtainBinary(CHOICE, { releasesUrl: url }, deps);
    const requests = asked.length;
    expect(await obtainBinary({ ...CHOICE, sha256: sha256(ZIP) }, { releasesUrl: url }, deps)).toMatchObject({
      source: "tool-cache",
      path: first.path,
    });
    expect(asked).toHaveLength(requests);

    await chmod(first.path, 0o755);
    await writeFile(first.path, "#!/bin/sh\necho somebody else's\n");
    expect(await obtainBinary(CHOICE, { releasesUrl: url }, deps)).toMatchObject({ source: "download" });
    expect(await readFile(first.path, "utf8")).toContain("echo backend");
    expect(told.warning.join()).toContain("discarded");
  });

  it("does not take from the tool cache what came from another zip than the catalogue's, or has no sums", async () => {
    const { deps, told } = await world();
    const other = zipOf("convex-local-backend", Buffer.from("#!/bin/sh\necho right\n"));
    const { url } = await releases({
      [TAG]: [json(release([asset()])), json(release([asset()])), json(release([asset()]))],
      "/zip": [file(ZIP), file(other)],
    });
    await obtainBinary(CHOICE, { releasesUrl: url }, deps);
    const got = await obtainBinary({ ...CHOICE, sha256: sha256(other) }, { releasesUrl: url }, deps);
    expect(got).toMatchObject({ source: "download", sha256: sha256(other) });
    await writeFile(join(dirname(got.path), "checksums.json"), "{}");
    await obtainBinary({ ...CHOICE, sha256: sha256(other) }, { releasesUrl: url }, deps);
    expect(told.warning).toHaveLength(2);
  });

  it.each([
    ["the catalogue", { ...CHOICE, sha256: "1".repeat(64) }, asset(), "the catalogue says"],
    ["the metadata", CHOICE, asset(`sha256:${"2".repeat(64)}`), "the release's metadata say"],
  ])("refuses a zip that is not the one of %s, and keeps nothing", async (_, choice, entry, by) => {
    const { deps, env } = await world();
    const { url } = await releases({ [TAG]: [json(release([entry]))], "/zip": [file(ZIP)] });
    await expect(obtainBinary(choice, { releasesUrl: url }, deps)).rejects.toMatchObject({
      code: "binary-checksum-mismatch",
      message: expect.stringContaining(by),
    });
    expect(await readdir(env.RUNNER_TEMP)).toEqual([]);
    expect(await readdir(env.RUNNER_TOOL_CACHE)).toEqual([]);
  });

  it("refuses a zip without any known checksum before it is downloaded", async () => {
    const { deps } = await world();
    const { url, asked } = await releases({ [TAG]: [json(release([asset(null)]))], "/zip": [file(ZIP)] });
    await expect(obtainBinary(CHOICE, { releasesUrl: url }, deps)).rejects.toMatchObject({
      code: "binary-checksum-unknown",
    });
    expect(asked.map(({ path }) => path)).not.toContain("/zip");
  });

  it("finds the asset under the build's other date", async () => {
    const { deps } = await world();
    const { url } = await releases({
      [TAG]: [json(release([]))],
      "/tags/precompiled-2026-03-02-abcdef0": [json(release([asset()], "precompiled-2026-03-02-abcdef0"))],
      "/zip": [file(ZIP)],
    });
    expect(await obtainBinary(CHOICE, { releasesUrl: url }, deps)).toMatchObject({ source: "download" });
  });

  it("names the nearest release that has a binary for this platform", async () => {
    const { deps } = await world();
    const { url } = await releases({
      [TAG]: [json(release([{ name: "dashboard.zip", browser_download_url: "/d", digest: null }]))],
    });
    const choice = {
      ...CHOICE,
      target: "x86_64-pc-windows-msvc",
      asset: "convex-local-backend-x86_64-pc-windows-msvc.zip",
    };
    await expect(obtainBinary(choice, { releasesUrl: url }, deps)).rejects.toMatchObject({
      code: "release-without-binary",
      hint: expect.stringContaining("2026-09-11-157eb19"),
    });
  });

  it("names near releases when none has that name", async () => {
    const { deps } = await world();
    const tags = ["2026-02-20-1111111", "2026-03-03-2222222", "2025-01-01-3333333", "2026-03-01-4444444"];
    const list = [...tags.map((tag) => release([], `precompiled-${tag}`)), release([], "self-hosted-release-1")];
    const listed = await releases({ "/releases?per_page=100": [json(list)] });
    await expect(obtainBinary(CHOICE, { releasesUrl: `${listed.url}/releases` }, deps)).rejects.toMatchObject({
      hint: expect.stringContaining("2026-03-01-4444444, 2026-03-03-2222222, 2026-02-20-1111111"),
    });
  });

  it("tries again what can pass: 5xx, cut connections, short answers", async () => {
    const { deps, told } = await world();
    const cut: Answer = (request) => void request.socket.destroy();
    const short: Answer = (request, response) => {
      response.setHeader("content-length", ZIP.length);
      response.write(ZIP.subarray(0, 20), () => request.socket.destroy());
    };
    const { url } = await releases({ [TAG]: [status(502), cut, json(release([asset()]))], "/zip": [short, file(ZIP)] });
    expect(await obtainBinary(CHOICE, { releasesUrl: url }, deps)).toMatchObject({ source: "download" });
    expect(told.info.filter((line) => line.includes("Trying again"))).toHaveLength(3);
  });

  it.each([
    ["500", status(500), "releases-unreachable", 4],
    ["429 without a time", status(429), "releases-rate-limited", 1],
    ["429 with a short time", status(429, { "retry-after": "2" }), "releases-rate-limited", 4],
    [
      "403 for the hour's limit",
      status(403, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000000" }),
      "releases-rate-limited",
      1,
    ],
    ["401", status(401), "releases-forbidden", 1],
    ["403", status(403), "releases-forbidden", 1],
    ["418", status(418), "releases-unreachable", 1],
    ["a page", ((_, response) => void response.end("<html>")) as Answer, "releases-answer-unreadable", 1],
    ["foreign JSON", json({ tag: "x" }), "releases-answer-unreadable", 1],
    ["a malformed asset", json(release([{ name: 7 }])), "releases-answer-unreadable", 1],
    ["endless redirects", status(302, { location: TAG }), "releases-unreachable", 6],
    [
      "an endless answer",
      ((_, response) => void response.write(Buffer.alloc(17 * 1024 * 1024))) as Answer,
      "releases-unreachable",
      1,
    ],
  ])("ends in a clear error for %s", async (_, answer, code, requests) => {
    const { deps } = await world();
    const { url, asked } = await releases({ [TAG]: [answer] });
    await expect(obtainBinary(CHOICE, { releasesUrl: url }, deps)).rejects.toMatchObject({ code });
    expect(asked).toHaveLength(requests);
  });

  it("says when the download is gone", async () => {
    const { deps } = await world();
    const { url } = await releases({ [TAG]: [json(release([asset()]))] });
    await expect(obtainBinary(CHOICE, { releasesUrl: url }, deps)).rejects.toThrow(/404/);
  });

  it("says when nothing listens", async () => {
    const { deps } = await world();
    await expect(obtainBinary(CHOICE, { releasesUrl: "http://127.0.0.1:9/releases" }, deps)).rejects.toMatchObject({
      code: "releases-unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    await expect(obtainBinary(CHOICE, { releasesUrl: "https://user:pw@x/releases" }, deps)).rejects.toMatchObject({
      code: "input-invalid",
    });
  });

  it("says that a certificate is not trusted, at once", async () => {
    const { deps, told } = await world();
    const directory = await temporary();
    const [key, cert] = [join(directory, "key"), join(directory, "cert")];
    const make = [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      key,
      "-out",
      cert,
      "-subj",
      "/CN=localhost",
    ];
    await promisify(execFile)("openssl", make);
    const server = createServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) =>
      response.end(),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    const releasesUrl = `https://localhost:${typeof address === "object" ? address?.port : 0}/releases`;
    await expect(obtainBinary(CHOICE, { releasesUrl }, deps)).rejects.toMatchObject({ code: "releases-tls" });
    expect(told.info).toEqual([]);
  });

  it("sends the token to the origin of releases-url alone, and never along a redirect", async () => {
    const { deps } = await world();
    const files = await releases({ "/stored": [file(ZIP)] });
    const moved = status(302, { location: `${files.url}/stored` });
    const entry = { ...asset(undefined, "http://nowhere.invalid/"), url: "/assets/1" };
    const api = await releases({ [TAG]: [json(release([entry]))], "/assets/1": [moved] });
    await obtainBinary(CHOICE, { releasesUrl: api.url, releasesToken: "t0ken" }, deps);
    expect(api.asked.map(({ authorization }) => authorization)).toEqual(["Bearer t0ken", "Bearer t0ken"]);
    expect(files.asked).toEqual([{ path: "/stored", authorization: undefined }]);
  });

  it("says that an archive cannot be unpacked", async () => {
    const { deps, env } = await world();
    const foreign = zipOf("readme.txt", Buffer.from("no backend"));
    const { url } = await releases({
      [TAG]: [json(release([asset(`sha256:${sha256(foreign)}`)]))],
      "/zip": [file(foreign)],
    });
    await expect(obtainBinary(CHOICE, { releasesUrl: url }, deps)).rejects.toMatchObject({
      code: "binary-unpack-failed",
    });
    expect(await readdir(env.RUNNER_TEMP)).toEqual([]);
  });
});

it("needs no API where the catalogue knows the checksum", () => {
  const source = { url: DEFAULT_RELEASES_URL };
  expect(directAsset(CHOICE, source)).toBeUndefined();
  expect(
    directAsset({ ...CHOICE, sha256: "1".repeat(64) }, { url: "https://mirror.example/releases" }),
  ).toBeUndefined();
  expect(directAsset({ ...CHOICE, sha256: "1".repeat(64) }, source)?.url).toBe(
    `https://github.com/get-convex/convex-backend/releases/download/precompiled-${RELEASE}/${ASSET}`,
  );
});

it("makes a version number of a release name", () => {
  expect(cacheKey("2026-09-28-5c7cb5b")).toBe("2026.9.28-g5c7cb5b");
});

describe("checkBinaryPath", () => {
  it.each([
    ["missing", /does not exist/],
    ["plain", /cannot be executed/],
    ["", /is a directory/],
  ])("refuses %j", async (name, text) => {
    const directory = await temporary();
    await writeFile(join(directory, "plain"), "", { mode: 0o644 });
    const failure = checkBinaryPath(join(directory, name), { platform: "linux" });
    await expect(failure).rejects.toMatchObject({ code: "binary-path-unfit", message: expect.stringMatching(text) });
  });

  it("takes an executable", async () => {
    const path = join(await temporary(), "backend");
    await writeFile(path, "", { mode: 0o755 });
    expect(await checkBinaryPath(path, { platform: "linux" })).toEqual({ path, source: "binary-path" });
    expect(existsSync(path)).toBe(true);
  });
});
