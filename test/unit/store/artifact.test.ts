import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { listBackups } from "../../../src/backup/listing.ts";
import { parseDestination } from "../../../src/store/destination.ts";
import { openStore } from "../../../src/store/open.ts";
import type { Store } from "../../../src/store/store.ts";
import { FakeArtifacts } from "../../support/artifacts.ts";
import { conformance } from "./conformance.ts";
import { bytesOf, read, storeDeps } from "./support.ts";

const KEY = "2026-11-22T03-00-04Z-0123abcd/snapshot.zip";
const SETTINGS = {
  destination: parseDestination("destination", "artifact", "/"),
  endpoint: undefined,
  region: undefined,
  forcePathStyle: false,
};

interface World {
  readonly github: FakeArtifacts;
  readonly temporary: string;
  readonly deps: ReturnType<typeof storeDeps>;
  readonly store: Store;
}

const settingsOf = (destination: string): typeof SETTINGS => ({
  ...SETTINGS,
  destination: parseDestination("destination", destination, "/"),
});

/** One run of a workflow, as the runner shows it to an action; the library reads the process's own environment. */
async function world(env: Readonly<Record<string, string>> = {}): Promise<World> {
  const github = await new FakeArtifacts().listen();
  const temporary = await mkdtemp(join(tmpdir(), "runner-"));
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await github[Symbol.asyncDispose]();
    await rm(temporary, { recursive: true, force: true });
  });
  const all = { ...github.env("run-1"), RUNNER_TEMP: temporary, ...env };
  for (const [name, value] of Object.entries(all)) vi.stubEnv(name, value);
  const deps = { ...storeDeps(all) };
  return { github, temporary, deps, store: openStore(SETTINGS, deps, github.token) };
}

conformance("artifact", { boundary: 64 * 1024 }, async () => {
  const { deps, github } = await world();
  const open = (): Store => openStore(settingsOf("artifact:production"), deps, github.token);
  return { store: open(), other: open() };
});

describe("a name of one's own", () => {
  it("keeps the backups of deployments apart that share a repository", async () => {
    const { store, deps, github } = await world();
    const [a, b] = ["artifact:chat", "artifact:chat-eu"].map((text) => openStore(settingsOf(text), deps, github.token));
    if (a === undefined || b === undefined) throw new Error("not opened");
    await a.put(KEY, Buffer.from("of a"));
    await b.put(KEY, Buffer.from("of b"));
    await store.put(KEY, Buffer.from("of all"));
    expect(github.artifacts[0]?.name).toBe("convex-backup~chat~2026-11-22T03-00-04Z-0123abcd~snapshot.zip");
    expect([a.location, store.location]).toEqual(["artifact:chat", "artifact"]);
    for (const [one, content] of [
      [a, "of a"],
      [b, "of b"],
      [store, "of all"],
    ] as const) {
      expect((await read(one.get(KEY))).toString()).toBe(content);
      expect((await one.stat(KEY))?.bytes).toBe(content.length);
    }
    expect((await a.list()).map(({ key }) => key)).toEqual([KEY]);
    // As in a bucket: without a prefix all is listed, and what lies below one is no backup there.
    expect((await listBackups(store)).map(({ bytes }) => bytes)).toEqual([6]);
    await a.remove([KEY]);
    expect(await a.list()).toEqual([]);
    expect(github.artifacts.map(({ bytes }) => bytes.toString())).toEqual(["of b", "of all"]);
  });
});

describe("artifacts of other runs", () => {
  it("are listed and read, and not mistaken for ours when they are not", async () => {
    const { store, github } = await world();
    await store.put(KEY, bytesOf(100));
    const [one] = github.artifacts;
    if (one === undefined) throw new Error("nothing was kept");
    expect(one.name).toBe("convex-backup~2026-11-22T03-00-04Z-0123abcd~snapshot.zip");
    for (const name of ["coverage", "convex-backup~..~x", "convex-backup~", "my-convex-backup~a~b"]) {
      github.artifacts.push({ ...one, id: one.id + github.artifacts.length, name, run: "run-0" });
    }
    // A second one of the same name, by another run: the first stays the one.
    github.artifacts.push({ ...one, id: 5000, run: "run-2", bytes: Buffer.from("other"), digest: undefined });
    expect((await store.list()).map(({ key, bytes }) => [key, bytes])).toEqual([[KEY, 100]]);
    expect((await read(store.get(KEY))).equals(bytesOf(100))).toBe(true);
  });

  it("are listed over all pages, without those that have expired", async () => {
    const { store, github } = await world();
    await store.put(KEY, Buffer.from("x"));
    const [one] = github.artifacts;
    if (one === undefined) throw new Error("nothing was kept");
    for (let n = 0; n < 250; n += 1) {
      const id = `2026-10-01T03-00-04Z-${n.toString(16).padStart(8, "0")}`;
      github.artifacts.push({
        ...one,
        id: 2000 + n,
        run: `r${n}`,
        name: `convex-backup~${id}~manifest.json`,
        expired: n % 2 === 1,
      });
    }
    expect(await store.list()).toHaveLength(126);
    expect(await store.list("2026-11")).toHaveLength(1);
  });
});

describe("what GitHub refuses", () => {
  it.each([
    ["none", "list", "actions: read"],
    ["read", "remove", "actions: write"],
  ] as const)("names the permission that is missing (%s, %s)", async (permission, call, needed) => {
    const { store, github } = await world();
    await store.put(KEY, Buffer.from("x"));
    github.permission = permission;
    const asked = call === "list" ? store.list() : store.remove([KEY]);
    await expect(asked).rejects.toMatchObject({ code: "store-refused", hint: expect.stringContaining(needed) });
  });

  it("tells a wrong token from a missing permission", async () => {
    const { deps } = await world();
    await expect(openStore(SETTINGS, deps, "ghs_another").list()).rejects.toMatchObject({
      code: "store-refused",
      message: expect.stringContaining("Bad credentials"),
    });
  });

  it("calls a used up quota a full store", async () => {
    const { store, github } = await world();
    const msg = "insufficient usage to create artifact: Artifact storage quota has been hit.";
    github.faults.push({ on: /CreateArtifact/, answer: { status: 403, body: { msg } } });
    await expect(store.put(KEY, Buffer.from("x"))).rejects.toMatchObject({ code: "store-full" });
  });

  it("says so in a job that has no access to artifacts", async () => {
    const { store } = await world({ ACTIONS_RUNTIME_TOKEN: "" });
    await expect(store.put(KEY, Buffer.from("x"))).rejects.toMatchObject({
      code: "store-refused",
      message: expect.stringContaining("ACTIONS_RUNTIME_TOKEN is not set"),
    });
  });

  it.each([
    ["https://github.example.com", "store-unsupported"],
    ["https://evil-ghe.com", "store-unsupported"],
  ])("is not asked on a server of one's own (%s)", async (server, code) => {
    const deps = storeDeps({ GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: "acme/chat" });
    expect(() => openStore(SETTINGS, deps, "ghs_x")).toThrow(expect.objectContaining({ code }));
  });

  it("is not asked without a token", () => {
    const deps = storeDeps({ GITHUB_REPOSITORY: "acme/chat" });
    expect(() => openStore(SETTINGS, deps)).toThrow(expect.objectContaining({ code: "input-missing" }));
  });
});

describe("faults that pass", () => {
  it("are tried again while listing, and are lines of the log", async () => {
    const { store, github, deps } = await world();
    await store.put(KEY, Buffer.from("x"));
    github.faults.push(
      { on: /GET .*artifacts\?/, answer: { status: 502 } },
      // Two, since a kept connection that is cut is opened anew without a word.
      { on: /GET .*artifacts\?/, answer: "cut" },
      { on: /GET .*artifacts\?/, answer: "cut" },
      {
        on: /GET .*artifacts\?/,
        answer: { status: 403, body: { message: "rate limit" }, headers: { "retry-after": "0" } },
      },
    );
    expect(await store.list()).toHaveLength(1);
    expect(deps.log.lines.filter((line) => line.includes("attempt"))).toHaveLength(3);
  });

  it("are given up after a few attempts", async () => {
    const { store, github } = await world();
    for (let n = 0; n < 10; n += 1) github.faults.push({ on: /GET .*artifacts\?/, answer: { status: 503 } });
    await expect(store.list()).rejects.toMatchObject({ code: "store-unreachable" });
    expect(github.requests).toHaveLength(4);
  });

  it("take a download up where it was cut", async () => {
    const { store, github, deps } = await world();
    const bytes = bytesOf(300_000);
    await store.put(KEY, bytes);
    github.cuts.push(100_000, 50_000, 0);
    expect((await read(store.get(KEY))).equals(bytes)).toBe(true);
    expect(deps.log.lines.filter((line) => line.includes("goes on after byte")).length).toBeGreaterThan(1);
  });

  it("end an upload that the storage cuts for ever, and leave nothing that is listed", async () => {
    const { store, github, temporary } = await world();
    github.faults.push({ on: /comp=blocklist/, answer: { status: 400, body: { message: "InvalidBlockList" } } });
    await expect(store.put(KEY, bytesOf(1000))).rejects.toMatchObject({ code: "store-unreachable" });
    expect(await store.list()).toEqual([]);
    expect(await readdir(temporary)).toEqual([]);
  });
});

it("finds a corrupted download", async () => {
  const { store, github } = await world();
  await store.put(KEY, bytesOf(5000));
  github.corrupts = true;
  await expect(read(store.get(KEY))).rejects.toMatchObject({ code: "store-damaged" });
});

it("leaves no file behind in the runner's folder", async () => {
  const { store, temporary } = await world();
  await store.put(KEY, bytesOf(5000));
  expect(await readdir(temporary)).toEqual([]);
});

it("sends the token to GitHub alone, and shows no signed address", async () => {
  const { store, deps, github } = await world();
  const written = vi.spyOn(process.stdout, "write");
  onTestFinished(() => written.mockRestore());
  await store.put(KEY, bytesOf(5000));
  await read(store.get(KEY));
  const said = [...written.mock.calls.map(([text]) => String(text)), ...deps.log.lines].filter(
    (line) => !line.startsWith("::add-mask::"),
  );
  expect(said.join("\n")).not.toMatch(/secret-of-the-download|ghs_|sig\+of|sig%2Bof/);
  expect(github.requests.join("\n")).toContain("GET /download/");
});
