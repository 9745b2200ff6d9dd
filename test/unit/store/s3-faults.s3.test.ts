import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CreateMultipartUploadCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { S3Store } from "../../../src/store/s3.ts";
import type { WriterSettings } from "../../support/store-writer.ts";
import { flipped, type Meddle, TcpProxy } from "../../support/tcp-proxy.ts";
import { type Bucket, bucketOf, SMALL, s3 } from "./s3-bucket.ts";
import { bytesOf, read, storeDeps, streamOf } from "./support.ts";

const MIB = 1024 * 1024;
const ID = "2026-11-22T03-00-04Z-0123abcd";
const KEY = `${ID}/snapshot.zip.age`;
const NO_REPEATS = { attempts: 1 };

/** A store behind a proxy that meddles. */
async function behind(bucket: Bucket, meddle: Meddle, changes: object = {}) {
  const proxy = await new TcpProxy(s3().port).listen();
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  proxy.meddle = meddle;
  const deps = storeDeps();
  return { proxy, deps, store: bucket.open({ endpoint: proxy.url, ...changes }, deps) };
}

/** What must hold after whatever happened: no object, or the whole of it; and nothing unfinished after a cleaning. */
async function isClean(bucket: Bucket, bytes: Buffer): Promise<"there" | "absent"> {
  const store = bucket.open();
  const listed = await store.list();
  if (listed.length > 0) {
    expect(listed.map(({ key }) => key)).toEqual([KEY]);
    expect((await read(store.get(KEY))).equals(bytes)).toBe(true);
  }
  await store.removeUnfinished(-60_000);
  expect(await bucket.unfinished()).toEqual([]);
  return listed.length > 0 ? "there" : "absent";
}

describe("a store that refuses", () => {
  const calls: readonly [string, (store: S3Store) => Promise<unknown>][] = [
    ["put", (store) => store.put(KEY, Buffer.from("x"))],
    ["list", (store) => store.list()],
    ["removeUnfinished", (store) => store.removeUnfinished(0)],
    ["get", (store) => read(store.get(KEY))],
    ["stat", (store) => store.stat(KEY)],
    ["remove", (store) => store.remove([KEY])],
  ];

  it.each(calls)("is told by what is wrong: no such bucket (%s)", async (_, call) => {
    const bucket = await bucketOf();
    const store = bucket.open({ bucket: "no-such-bucket" });
    await expect(call(store)).rejects.toMatchObject({
      code: "store-refused",
      message: expect.stringContaining("no bucket no-such-bucket"),
    });
  });

  it.each(calls)("is told by what is wrong: the secret key (%s)", async (_, call) => {
    const bucket = await bucketOf();
    const credentials = { accessKeyId: s3().accessKeyId, secretAccessKey: "not-the-secret-0123456789" };
    const failure = await call(bucket.open({ credentials })).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "store-refused", message: expect.stringMatching(/secret key/) });
    expect(String((failure as Error).message)).not.toContain("not-the-secret");
  });

  it.each(calls.slice(0, 4))("is told by what is wrong: the access key (%s)", async (_, call) => {
    const bucket = await bucketOf();
    const credentials = { accessKeyId: "AKIANOBODYKNOWSTHIS0", secretAccessKey: "not-the-secret-0123456789" };
    await expect(call(bucket.open({ credentials }))).rejects.toMatchObject({
      code: "store-refused",
      message: expect.stringContaining("does not know the access key"),
    });
  });

  it("is told by what is wrong: the region", async () => {
    const bucket = await bucketOf();
    await expect(bucket.open({ region: "eu-west-9" }).list()).rejects.toMatchObject({
      code: "store-refused",
      message: expect.stringContaining("is not in region eu-west-9"),
    });
  });

  describe("because of the clock", () => {
    afterEach(() => {
      vi.useRealTimers();
    });

    it("says so", async () => {
      const bucket = await bucketOf();
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3 * 3_600_000 });
      await expect(bucket.open(NO_REPEATS).list()).rejects.toMatchObject({
        code: "store-refused",
        message: expect.stringContaining("clock differs from the store's"),
      });
    });
  });

  it("is told by what is wrong: no credentials at all", async () => {
    const bucket = await bucketOf();
    vi.stubEnv("AWS_ACCESS_KEY_ID", undefined);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", undefined);
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    vi.stubEnv("AWS_CONFIG_FILE", "/nowhere");
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    onTestFinished(() => void vi.unstubAllEnvs());
    const { credentials: _, ...settings } = bucket.settings;
    await expect(new S3Store(settings, storeDeps()).list()).rejects.toMatchObject({
      code: "store-refused",
      message: expect.stringContaining("There are no credentials for s3://"),
    });
  });
});

it("takes the credentials of the environment, as actions for OIDC set them", async () => {
  const bucket = await bucketOf();
  for (const [name, value] of Object.entries(s3().env)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const { credentials: _, ...settings } = bucket.settings;
  expect(await new S3Store(settings, storeDeps()).list()).toEqual([]);
});

it("logs what failed, and never what was sent", async () => {
  const bucket = await bucketOf();
  const deps = storeDeps();
  const store = bucket.open({}, deps);
  const secret = "document of a user";
  await store.put(KEY, Buffer.from("first"));
  await expect(store.put(KEY, Buffer.from(secret))).rejects.toMatchObject({ code: "store-exists" });
  const said = deps.log.lines.join("\n");
  expect(said).toContain("debug: PutObjectCommand: an attempt failed: 412 PreconditionFailed");
  for (const form of [
    secret,
    [...Buffer.from(secret)].join(","),
    Buffer.from(secret).toString("base64"),
    s3().secretAccessKey,
  ]) {
    expect(said).not.toContain(form);
  }
});

describe("object lock", () => {
  it("keeps what it locks, and says until when", async () => {
    const bucket = await bucketOf({ lock: true });
    const store = bucket.open();
    const before = Date.now();
    for (const [key, size] of [
      [KEY, 6 * MIB],
      [`${ID}/manifest.json`, 2],
    ] as const) {
      const put = await store.put(key, bytesOf(size), { lockDays: 3 });
      expect(Math.abs((put.lockedUntil?.getTime() ?? 0) - before - 3 * 86_400_000)).toBeLessThan(120_000);
      expect((await store.stat(key))?.lockedUntil?.toISOString().slice(0, 10)).toBe(
        new Date(before + 3 * 86_400_000).toISOString().slice(0, 10),
      );
    }
    // Nothing of it goes, not even what stands first in the order.
    await store.put(`${ID}/env.json.age`, Buffer.from("x"));
    const removal = store.remove([`${ID}/env.json.age`, `${ID}/manifest.json`, KEY]);
    await expect(removal).rejects.toMatchObject({ code: "store-locked", message: expect.stringContaining("until 20") });
    expect(await store.list()).toHaveLength(3);
  });

  it.each([10, 6 * MIB])("is refused by a bucket without it, which then has no object (%i bytes)", async (size) => {
    const bucket = await bucketOf();
    const put = bucket.open().put(KEY, bytesOf(size), { lockDays: 1 });
    await expect(put).rejects.toMatchObject({
      code: "store-unsupported",
      message: expect.stringContaining("made without object lock"),
    });
    expect(await isClean(bucket, Buffer.of())).toBe("absent");
  });
});

describe("a store without conditional writes", () => {
  /** As old stores are: it overwrites, or knows no such header. */
  async function oldStore(status: 200 | 501): Promise<{ endpoint: string; puts: string[] }> {
    const puts: string[] = [];
    const server = createServer((request, response) => {
      request.resume().on("end", () => {
        if (request.method === "PUT") puts.push(request.url ?? "");
        response.writeHead(status, { "content-type": "application/xml", etag: '"0"' });
        response.end(
          status === 200
            ? ""
            : "<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>",
        );
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, puts };
  }

  it.each([200, 501] as const)("is refused before the first object (it answers %i)", async (status) => {
    const { endpoint, puts } = await oldStore(status);
    const bucket = await bucketOf();
    await expect(bucket.open({ endpoint }).put(KEY, Buffer.from("x"))).rejects.toMatchObject({
      code: "store-unsupported",
    });
    expect(puts.filter((url) => !url.includes(".convex-selfhost-backups"))).toEqual([]);
  });
});

describe("the network", () => {
  it("may lose the answer: the object is ours, not another writer's", async () => {
    const bucket = await bucketOf();
    for (const [key, size] of [
      [KEY, 12 * MIB],
      [`${ID}/manifest.json`, 20],
    ] as const) {
      let lost = 0;
      const { store } = await behind(bucket, (_, { direction, request, first }) => {
        // The single request of a small object, or the last one of a large one.
        const final = new RegExp(`^(PUT|POST) \\S*${key}(\\?uploadId=|\\?x-id=PutObject)`).test(request);
        if (direction !== "down" || !first || !final || lost > 0) return "pass";
        lost += 1;
        return "cut";
      });
      await store.put(key, streamOf(bytesOf(size), 65_536));
      expect(lost).toBe(1);
      expect((await read(bucket.open().get(key))).equals(bytesOf(size))).toBe(true);
    }
  });

  it("may cut an upload at any byte: the object is whole or absent", async () => {
    const bytes = bytesOf(17 * MIB);
    const outcomes: string[] = [];
    for (let run = 0; run < 9; run += 1) {
      const bucket = await bucketOf();
      const at = Math.floor((run / 8) * 17.2 * MIB) + Math.floor(Math.random() * 1000);
      let cuts = run % 3 === 0 ? Number.POSITIVE_INFINITY : 1;
      const { store, deps } = await behind(
        bucket,
        (_, { direction, beforeAll }) => {
          if (direction !== "up" || beforeAll < at || cuts === 0) return "pass";
          cuts -= 1;
          return "cut";
        },
        { attempts: 3 },
      );
      const result = await store.put(KEY, streamOf(bytes, 65_536)).then(
        () => "done",
        (failure: { code?: string }) => String(failure.code),
      );
      expect(["done", "store-unreachable"]).toContain(result);
      const state = await isClean(bucket, bytes);
      if (result === "done") expect(state).toBe("there");
      if (cuts === 0) expect(deps.log.lines.some((line) => line.includes("attempt failed"))).toBe(true);
      outcomes.push(result);
    }
    expect(new Set(outcomes).size).toBe(2);
  });

  it("may corrupt an upload: the store finds it, and the part is sent again", async () => {
    const bucket = await bucketOf();
    const bytes = bytesOf(12 * MIB);
    for (const [key, size, at] of [
      [`${ID}/manifest.json`, 50_000, 20_000],
      [KEY, 12 * MIB, 3 * MIB],
    ] as const) {
      let flips = 0;
      let sent = 0;
      const { store } = await behind(bucket, (chunk, { direction, request }) => {
        if (direction !== "up" || !request.includes(key)) return "pass";
        sent += chunk.length;
        if (flips > 0 || sent < at || chunk.length < 1000) return "pass";
        flips += 1;
        return flipped(chunk, chunk.length - 1);
      });
      const result = await store.put(key, streamOf(bytes.subarray(0, size), 65_536)).then(
        () => "done",
        (failure: { code?: string }) => String(failure.code),
      );
      expect(flips).toBe(1);
      expect(result).toBe("done");
      expect((await read(bucket.open().get(key))).equals(bytes.subarray(0, size))).toBe(true);
    }
  });

  it("may cut a download: it is taken up where it was", async () => {
    const bucket = await bucketOf();
    const bytes = bytesOf(12 * MIB);
    await bucket.open().put(KEY, bytes);
    let cuts = 3;
    const { store, deps } = await behind(bucket, (_, { direction, request, before }) => {
      if (direction !== "down" || !request.startsWith("GET") || before < 2 * MIB || cuts === 0) return "pass";
      cuts -= 1;
      return "cut";
    });
    expect((await read(store.get(KEY))).equals(bytes)).toBe(true);
    expect(cuts).toBe(0);
    expect(deps.log.lines.filter((line) => line.includes("goes on after byte"))).toHaveLength(3);
  });

  it("may corrupt a download: it is found", async () => {
    const bucket = await bucketOf();
    for (const [key, size] of [
      [KEY, 12 * MIB],
      [`${ID}/manifest.json`, 50_000],
    ] as const) {
      await bucket.open().put(key, bytesOf(size));
      let flips = 0;
      const { store } = await behind(bucket, (chunk, { direction, request, first }) => {
        // The head of the answer is left alone.
        if (direction !== "down" || !request.includes(key) || first || flips > 0) return "pass";
        flips += 1;
        return flipped(chunk, chunk.length - 1);
      });
      const failure = await read(store.get(key)).catch((error: unknown) => error);
      if (flips === 0) continue; // A small answer that came with its head.
      expect(failure).toMatchObject({ code: "store-damaged" });
    }
  });

  it.each(["put", "list", "get"] as const)("may be silent: %s ends by its limit", async (call) => {
    const server = createTcpServer((socket) => void socket.on("error", () => undefined).resume());
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    onTestFinished(() => void server.close());
    const bucket = await bucketOf();
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const store = bucket.open({ endpoint, idleMs: 300, attempts: 2 });
    const asked = { put: () => store.put(KEY, bytesOf(10)), list: () => store.list(), get: () => read(store.get(KEY)) };
    await expect(asked[call]()).rejects.toMatchObject({ code: "store-unreachable" });
  });

  it("may fall silent in the middle of a download", async () => {
    const bucket = await bucketOf();
    await bucket.open().put(KEY, bytesOf(12 * MIB));
    const { store } = await behind(
      bucket,
      (_, { direction, request, before }) =>
        direction === "down" && request.startsWith("GET") && before > MIB ? "swallow" : "pass",
      { idleMs: 300, attempts: 1 },
    );
    await expect(read(store.get(KEY))).rejects.toMatchObject({ code: "store-unreachable" });
  });

  it("may not lead to a server at all", async () => {
    const bucket = await bucketOf();
    const store = bucket.open({ endpoint: "http://127.0.0.1:1", attempts: 2 });
    await expect(store.list()).rejects.toMatchObject({
      code: "store-unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});

it("finds an object that was damaged where it lies", async () => {
  const bucket = await bucketOf();
  for (const size of [50_000, 12 * MIB]) {
    const key = `${ID}/object-${size}`;
    await bucket.open().put(key, streamOf(bytesOf(size), 65_536));
    const path = join(s3().data, bucket.name, "prod", key);
    const content = await readFile(path);
    await writeFile(path, flipped(content, Math.floor(size / 2)));
    await expect(read(bucket.open().get(key))).rejects.toMatchObject({
      code: "store-damaged",
      message: expect.stringContaining(key),
    });
  }
});

describe("what killed jobs left", () => {
  it("is removed when it is ours and old, and only then", async () => {
    const bucket = await bucketOf();
    for (const Key of [`prod/${KEY}`, `other/${KEY}`, "prod/video.mp4", `prodigy/${KEY}`]) {
      await s3().client.send(new CreateMultipartUploadCommand({ Bucket: bucket.name, Key }));
    }
    expect(await bucket.open().removeUnfinished(3_600_000)).toBe(0);
    expect(await bucket.open().removeUnfinished(-60_000)).toBe(1);
    expect((await bucket.unfinished()).sort()).toEqual([`other/${KEY}`, `prodigy/${KEY}`, "prod/video.mp4"].sort());
  });

  it("is nothing that looks whole, at whatever moment they were killed", async () => {
    const bytes = Buffer.alloc(17 * MIB, 7);
    const states: string[] = [];
    for (let run = 0; run < 6; run += 1) {
      const bucket = await bucketOf();
      const settings: WriterSettings = { s3: bucket.settings, key: KEY, bytes: bytes.length, pauseMs: 1 };
      const writer = resolve(import.meta.dirname, "../../support/store-writer.ts");
      const child = spawn(process.execPath, [writer, JSON.stringify(settings)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(child, "exit");
      await Promise.race([once(child.stdout, "data"), ended]);
      await delay((run / 5) * 900 + Math.random() * 50);
      child.kill("SIGKILL");
      await ended;
      states.push(await isClean(bucket, bytes));
    }
    expect(states).toContain("absent");
  });
});

it("lists all pages, and nothing that is not below its prefix", async () => {
  const bucket = await bucketOf();
  const keys = Array.from(
    { length: 11 },
    (_, n) => `prod/2026-01-01T00-00-00Z-${n.toString(16).padStart(8, "0")}/manifest.json`,
  );
  for (const Key of [...keys, "prodigy/x", "x", "prod/folder/", "prod/odd name"]) {
    await s3().client.send(new PutObjectCommand({ Bucket: bucket.name, Key, Body: Buffer.alloc(0) }));
  }
  for (const Key of keys) await s3().client.send(new CreateMultipartUploadCommand({ Bucket: bucket.name, Key }));
  const store = new S3Store(bucket.settings, storeDeps(), { ...SMALL, pageSize: 3 });
  expect((await store.list()).map(({ key }) => `prod/${key}`)).toEqual(keys);
  expect(await store.removeUnfinished(-60_000)).toBe(11);
  expect(await bucket.unfinished()).toEqual([]);
});

describe.skipIf(process.getuid?.() !== 0)("a full disk (a small tmpfs, which takes root)", () => {
  it("is a full store; what was there stays", async () => {
    const { execFileSync } = await import("node:child_process");
    const data = await mkdtemp(join(tmpdir(), "s3-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", data]);
    onTestFinished(async () => {
      execFileSync("umount", ["-l", data]);
      await rm(data, { recursive: true, force: true });
    });
    const { startS3 } = await import("../../support/s3.ts");
    await using server = await startS3({ data });
    const bucket = await bucketOf({ server });
    const store = bucket.open(NO_REPEATS);
    await store.put(`${ID}/manifest.json`, bytesOf(1000));
    const failure = await store.put(KEY, streamOf(bytesOf(40 * MIB), 65_536)).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "store-full" });
    expect(await bucket.unfinished()).toEqual([]);
    expect((await store.list()).map(({ key }) => key)).toEqual([`${ID}/manifest.json`]);
  });
});
