import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readlink, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { makeBackup } from "../../../src/backup/make.ts";
import { fetchManifest } from "../../../src/backup/manifest-reader.ts";
import { compareVariables, parseSettings } from "../../../src/backup/settings.ts";
import { transferSnapshot } from "../../../src/backup/transfer.ts";
import { pickBackup } from "../../../src/restore/pick.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { exportSnapshot } from "../../../src/snapshot/export.ts";
import type { Store } from "../../../src/store/store.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { type Http, systemHttp } from "../../../src/system/http.ts";
import { filesOf } from "../../standin/files.ts";
import { readZip } from "../../standin/snapshots/zip-reader.ts";
import { FakeBackend } from "../deployment/support.ts";
import { all, failure, SECRET_VALUE, type World, world } from "./world.ts";

let here: World;
afterEach(() => here?.[Symbol.asyncDispose]());

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const DAY_MS = 86_400_000;

/** Nothing that looks like a backup, no private file, no export that costs the server anything. */
async function expectNothingLeft(): Promise<void> {
  expect(await here.ids()).toEqual([]);
  expect(await readdir(here.temp)).toEqual([]);
  for (const one of here.exports()) {
    const expired = Number(one["expiration_ts"] ?? 0) < (Date.now() - 31 * DAY_MS) * 1e6;
    expect(one["state"] === "canceled" || expired, JSON.stringify(one["state"])).toBe(true);
  }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await delay(5);
}

describe("a backup", () => {
  it("holds everything, encrypted, and describes it", async () => {
    here = await world();
    await here.backUp({ "include-env": "true", "backend-version": "2026-09-28-5c7cb5b" });
    const [id = ""] = await here.ids();
    const keys = (await here.store().list()).map(({ key }) => key);
    expect(keys).toEqual(["env.json.age", "manifest.json", "snapshot.zip.age"].map((name) => `${id}/${name}`));

    const manifest = await fetchManifest(here.store(), id);
    const zip = await here.open(`${id}/snapshot.zip.age`);
    const entries = new Map(readZip(zip).map((entry) => [entry.name, entry.read().toString()]));
    expect(entries.get("messages/documents.jsonl")?.split("\n")).toHaveLength(41);
    expect(manifest).toMatchObject({
      id,
      instance: { name: "standin" },
      backend: { version: "2026-09-28-5c7cb5b" },
      code: { commit: "9fceb02d0ae598e95dc970b74767f19372d61af8", assumed: true },
      encryption: { method: "age", recipients: [here.recipient] },
      snapshot: { documents: 41, files: 1, bytes: zip.length, sha256: sha256(zip), encoding: "uniform" },
      env: { values: true, variables: [{ name: "OPENAI_API_KEY" }] },
    });
    expect(manifest.snapshot.timestamp).toBe(String(here.exports()[0]?.["start_ts"]));
    expect(manifest.snapshot.tables.map(({ name, documents }) => [name, documents])).toEqual([
      ["messages", 40],
      ["users", 1],
    ]);
    for (const { name, bytes, sha256: sum } of manifest.objects) {
      const stored = await all(here.store().get(`${id}/${name}`));
      expect([bytes, sum]).toEqual([stored.length, sha256(stored)]);
    }

    const settings = parseSettings(await here.open(`${id}/env.json.age`), id);
    expect(settings.variables).toEqual(new Map([["OPENAI_API_KEY", SECRET_VALUE]]));
    expect(settings.origins).toEqual({ cloud: here.standin.url, site: here.standin.siteUrl });
    const now = new Map([["OPENAI_API_KEY", "another"]]);
    expect(compareVariables(manifest, settings.fingerprintKey, now).changed).toEqual(["OPENAI_API_KEY"]);
    expect(compareVariables(manifest, settings.fingerprintKey, settings.variables ?? new Map()).changed).toEqual([]);
  });

  it("leaves no private file behind, and an export that goes with the next cleaning", async () => {
    here = await world();
    await here.backUp();
    const [id = ""] = await here.ids();
    // The copy of the manifest, for later steps; it is for this user alone.
    expect(await readdir(here.temp)).toEqual([`backup-${id}.json`]);
    expect((await stat(join(here.temp, `backup-${id}.json`))).mode & 0o077).toBe(0);
    expect(Number(here.exports()[0]?.["expiration_ts"])).toBeLessThan((Date.now() - 31 * DAY_MS) * 1e6);
  });

  it("without include-env holds no value, and what tells whether values differ", async () => {
    here = await world();
    await here.backUp();
    const [id = ""] = await here.ids();
    const settings = parseSettings(await here.open(`${id}/env.json.age`), id);
    expect(settings.variables).toBeUndefined();
    const manifest = await fetchManifest(here.store(), id);
    expect(manifest.env.values).toBe(false);
    const same = new Map([["OPENAI_API_KEY", SECRET_VALUE]]);
    expect(compareVariables(manifest, settings.fingerprintKey, same)).toMatchObject({
      changed: [],
      valuesUnknown: false,
    });
  });

  it("without encryption holds names of variables, and warns", async () => {
    here = await world();
    await here.backUp({ encryption: "none", recipients: "", "include-file-storage": "false" });
    const [id = ""] = await here.ids();
    expect((await here.store().list()).map(({ key }) => key)).toEqual([`${id}/manifest.json`, `${id}/snapshot.zip`]);
    const manifest = await fetchManifest(here.store(), id);
    expect(manifest).toMatchObject({ encryption: { method: "none" }, env: { values: false } });
    expect(manifest.env.variables).toEqual([{ name: "OPENAI_API_KEY" }]);
    expect(manifest.snapshot.storage).toBeNull();
    expect(readZip(await all(here.store().get(`${id}/snapshot.zip`))).length).toBeGreaterThan(3);
    expect(here.lines.all.filter((line) => line.startsWith("warning: "))).toEqual([
      expect.stringContaining("The backup is not encrypted"),
      expect.stringContaining("stored files are not in this backup"),
    ]);
  });

  it("goes on over downloads that are cut", async () => {
    here = await world({ STANDIN_DOWNLOAD_CUTS: "2" });
    await here.backUp();
    const [id = ""] = await here.ids();
    const { snapshot } = await fetchManifest(here.store(), id);
    expect(sha256(await here.open(`${id}/snapshot.zip.age`))).toBe(snapshot.sha256);
    expect(here.lines.all.filter((line) => line.includes("The download broke off"))).toHaveLength(2);
  });

  it("is not hurt by another one at the same time", async () => {
    here = await world({ STANDIN_EXPORT_DELAY_MS: "20" });
    await Promise.all([here.backUp({ "keep-last": "5" }), here.backUp({ "keep-last": "5" })]);
    const ids = await here.ids();
    expect(ids).toHaveLength(2);
    for (const id of ids) {
      const { snapshot } = await fetchManifest(here.store(), id);
      expect(sha256(await here.open(`${id}/snapshot.zip.age`))).toBe(snapshot.sha256);
    }
  });

  it("is told to a monitor: its start, and that it is complete", async () => {
    here = await world();
    await using monitor = await new FakeBackend(() => ({})).listen();
    await here.backUp({ "heartbeat-url": `${monitor.url}/ping/0123456789` });
    expect(monitor.seen.map(({ url }) => url)).toEqual(["/ping/0123456789/start", "/ping/0123456789"]);
    expect(monitor.seen[1]?.body.toString()).toMatch(/: 41 documents, 1 file, /);
  });

  it("removes the older ones that no rule covers, once it is made", async () => {
    here = await world();
    const ago = (hours: number) => ({ clock: { ...systemClock, now: () => Date.now() - hours * 3_600_000 } });
    await here.backUp({}, ago(2));
    const [first = ""] = await here.ids();
    await writeFile(join(here.destination, "somebody-elses.txt"), "x");
    await here.backUp({ "keep-last": "1", prune: "dry-run" }, ago(1));
    expect(await here.ids()).toHaveLength(3);
    await here.backUp({ "keep-last": "1" });
    const left = await here.ids();
    expect(left).toHaveLength(2);
    expect(left).not.toContain(first);
    expect(left).toContain("somebody-elses.txt");
  });
});

describe("a clock that is wrong", () => {
  const by = (hours: number) => ({ clock: { ...systemClock, now: () => Date.now() + hours * 3_600_000 } });

  it.each([-72, 72])(
    "by %i hours neither stops a backup nor lets retention take the newest good one",
    async (hours) => {
      here = await world();
      await here.backUp({ "keep-last": "1" });
      const [right = ""] = await here.ids();
      await here.backUp({ "keep-last": "1" }, by(hours));
      const wrong = (await here.ids()).find((id) => id !== right) ?? "";
      // Both are whole; the one of the wrong clock never pushes out the other unless it is the newer one by its name.
      expect(await here.ids()).toContain(hours < 0 ? right : wrong);
      await here.backUp({ "keep-last": "1" });
      const ids = await here.ids();
      for (const id of ids) expect((await fetchManifest(here.store(), id)).snapshot.documents).toBe(41);
      const last = ids.find((id) => id !== right && id !== wrong);
      expect(last).toBeDefined();
      expect((await pickBackup(here.store(), "latest", here.deps.log)).id).toBe(last);
    },
  );
});

/** How often this process, all its threads taken together, has a file open. */
async function handlesOf(path: string): Promise<number> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).filter((link) => link === path).length;
}

describe.skipIf(process.getuid?.() !== 0 || process.platform !== "linux")(
  "a disk (a small tmpfs, which takes root)",
  () => {
    it("that fills up during the download is named, and nothing is left", async () => {
      here = await world();
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", here.temp]);
      try {
        await filesOf(here.standin.backend).store("", randomBytes(300_000), "application/octet-stream");
        const run = here.run();
        // As when the space goes only after it was looked at.
        const completed = await exportSnapshot(run.client, here.deps, { includeStorage: true, timeoutMs: 60_000 });
        const carrier = { ...run, recipients: [here.recipient], lockDays: undefined };
        const error = await failure(
          transferSnapshot(carrier, completed, run.client, here.temp, run.timeline, here.deps),
        );
        expect(error.code).toBe("disk-full");
        expect(await readdir(here.temp)).toEqual([]);
        expect(await here.ids()).toEqual([]);
      } finally {
        execFileSync("umount", [here.temp]);
      }
    });

    it("that fills up while the thread of the inspection reads is named, and nothing is left", async () => {
      here = await world();
      const disk = dirname(here.temp);
      const path = join(here.temp, "snapshot.zip");
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=5m", "tmpfs", disk]);
      try {
        await mkdir(here.temp);
        // More than is inspected without a thread; once it fits, and not twice.
        await filesOf(here.standin.backend).store("", randomBytes(3_000_000), "application/octet-stream");
        const run = here.run();
        const completed = await exportSnapshot(run.client, here.deps, { includeStorage: true, timeoutMs: 60_000 });
        const store: Store = Object.assign(Object.create(run.store) as Store, {
          location: run.store.location,
          put: async (...args: Parameters<Store["put"]>) => {
            await until(async () => (await handlesOf(path)) === 2);
            return await run.store.put(...args);
          },
        });
        const carrier = { ...run, store, recipients: [here.recipient], lockDays: undefined };
        const error = await failure(
          transferSnapshot(carrier, completed, run.client, here.temp, run.timeline, here.deps),
        );
        expect(error.text).toMatch(/store-full\] .* are free now/);
        expect(await handlesOf(path)).toBe(0);
        expect(await readdir(here.temp)).toEqual([]);
        expect(await here.ids()).toEqual([]);
      } finally {
        execFileSync("umount", [disk]);
      }
    });

    it("that is too small is found before the download", async () => {
      here = await world();
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", here.temp]);
      try {
        const error = await failure(here.backUp());
        expect(error.text).toMatch(/disk-full\] .*temp-.* has .* free, and this backup needs/);
        expect(await here.ids()).toEqual([]);
      } finally {
        execFileSync("umount", [here.temp]);
      }
    });
  },
);

describe("a backup that fails leaves nothing, and says why", () => {
  it("when the snapshot is damaged", async () => {
    here = await world();
    const flip = (): Transform => {
      let at = 0;
      return new Transform({
        transform(chunk: Buffer, _, done) {
          const bytes = Buffer.from(chunk);
          // Within the first entry's data.
          if (at <= 120 && at + bytes.length > 120) bytes[120 - at] = (bytes[120 - at] ?? 0) ^ 1;
          at += bytes.length;
          done(null, bytes);
        },
      });
    };
    const http: Http = {
      request: systemHttp.request,
      stream: async (url, options) => {
        const answer = await systemHttp.stream(url, options);
        return { ...answer, body: answer.body.pipe(flip()) };
      },
    };
    await using monitor = await new FakeBackend(() => ({})).listen();
    const error = await failure(here.backUp({ "heartbeat-url": `${monitor.url}/ping/0123456789` }, { http }));
    expect(error.code).toBe("snapshot-defective");
    expect(error.message).toContain("README.md");
    await expectNothingLeft();
    expect(monitor.seen.map(({ url }) => url)).toEqual(["/ping/0123456789/start", "/ping/0123456789/fail"]);
    expect(monitor.seen[1]?.body.toString()).toContain("snapshot-defective");
  });

  it("when the backend keeps no time, and its export is canceled", async () => {
    here = await world({ STANDIN_EXPORT_DELAY_MS: "60000" });
    const error = await failure(here.backUp({ "export-timeout": "1s" }));
    expect(error.code).toBe("export-timeout");
    await expectNothingLeft();
    expect(here.exports().map((one) => one["state"])).toEqual(["canceled"]);
  });

  it("when the job is cancelled during the export", async () => {
    here = await world({ STANDIN_EXPORT_DELAY_MS: "60000" });
    const cancelled = new AbortController();
    const work = failure(here.backUp({}, {}, cancelled.signal));
    await until(() => here.exports()[0]?.["state"] === "in_progress");
    cancelled.abort(new ActionError("job-cancelled", "The job was cancelled.", ""));
    expect((await work).code).toBe("job-cancelled");
    await expectNothingLeft();
  });

  it("when the job is cancelled during the upload", async () => {
    here = await world();
    const cancelled = new AbortController();
    const http: Http = {
      request: systemHttp.request,
      stream: async (url, options) => {
        const answer = await systemHttp.stream(url, options);
        const body = Readable.from(
          (async function* () {
            for await (const chunk of answer.body as AsyncIterable<Buffer>) {
              yield chunk.subarray(0, 100);
              await until(async () => (await readdir(here.destination).catch(() => [])).length > 0);
              cancelled.abort(new ActionError("job-cancelled", "The job was cancelled.", ""));
              yield chunk.subarray(100);
            }
          })(),
        );
        return { ...answer, body };
      },
    };
    expect((await failure(here.backUp({}, { http }, cancelled.signal))).code).toBe("job-cancelled");
    await expectNothingLeft();
  });

  it("when the key is wrong, before anything was made", async () => {
    here = await world();
    const error = await failure(here.backUp({ "admin-key": `standin|${"00".repeat(40)}` }));
    expect(error.code).toBe("admin-key-rejected");
    expect(here.exports()).toEqual([]);
    expect(await here.ids()).toEqual([]);
  });

  it("when inputs do not go together, and the monitor hears of it", async () => {
    here = await world();
    await using monitor = await new FakeBackend(() => ({})).listen();
    const heartbeat = { "heartbeat-url": `${monitor.url}/ping/0123456789` };
    expect((await failure(here.backUp({ recipients: "", ...heartbeat }))).code).toBe("input-missing");
    expect((await failure(here.backUp({ destination: "nowhere", ...heartbeat }))).code).toBe("input-invalid");
    expect(monitor.seen.map(({ url }) => url.split("/").at(-1))).toEqual(["start", "fail", "start", "fail"]);
    expect(here.exports()).toEqual([]);
  });

  it("when there is no room for the snapshot", async () => {
    here = await world();
    const { checkSpace } = await import("../../../src/backup/space.ts");
    const error = await failure(checkSpace([{ path: here.destination, bytes: 1e18 }]));
    expect(error.text).toMatch(/disk-full.* free, and this backup needs 1000000000\.0 GB there/);
    await expect(checkSpace([{ path: here.temp, bytes: 1 }])).resolves.toBeUndefined();
  });
});

/** A directory store of which single calls are others. */
function storeWith(own: Store, other: Partial<Store>): Store {
  return {
    location: own.location,
    put: (...args) => own.put(...args),
    get: (...args) => own.get(...args),
    list: (...args) => own.list(...args),
    stat: (...args) => own.stat(...args),
    remove: (...args) => own.remove(...args),
    removeUnfinished: (...args) => own.removeUnfinished(...args),
    ...other,
  };
}

describe("the store", () => {
  it("gets the manifest last, after all else was seen there", async () => {
    here = await world();
    const calls: string[] = [];
    const own = here.store();
    const store = storeWith(own, {
      put: async (key, ...rest) => {
        calls.push(`put ${key.split("/")[1]}`);
        const result = await own.put(key, ...rest);
        calls.push(`has ${key.split("/")[1]}`);
        return result;
      },
      list: async (...args) => {
        calls.push("list");
        return await own.list(...args);
      },
    });
    await makeBackup(here.run({ store }));
    expect(calls.slice(-3)).toEqual(["list", "put manifest.json", "has manifest.json"]);
    expect(calls.filter((call) => call.startsWith("has "))).toHaveLength(3);
  });

  it.each<[string, (own: Store) => Partial<Store>, string]>([
    [
      "loses an object",
      (own) => ({
        list: async (prefix) => (await own.list(prefix)).filter(({ key }) => !key.endsWith("env.json.age")),
      }),
      "env.json.age is missing",
    ],
    [
      "has fewer bytes than were sent",
      (own) => ({ list: async (prefix) => (await own.list(prefix)).map((one) => ({ ...one, bytes: one.bytes - 1 })) }),
      "were written",
    ],
  ])("that %s gets no manifest", async (_, change, text) => {
    here = await world();
    const own = here.store();
    const puts: string[] = [];
    const put: Store["put"] = (key, ...rest) => {
      puts.push(key);
      return own.put(key, ...rest);
    };
    const error = await failure(makeBackup(here.run({ store: storeWith(own, { put, ...change(own) }) })));
    expect(error.code).toBe("store-damaged");
    expect(error.message).toContain(text);
    expect(puts.filter((key) => key.endsWith("manifest.json"))).toEqual([]);
  });

  it("that gives back another manifest is not trusted", async () => {
    here = await world();
    const own = here.store();
    const get: Store["get"] = async function* (key, options) {
      for await (const bytes of own.get(key, options))
        yield Buffer.from(Buffer.from(bytes).toString().replace("41", "14"));
    };
    const error = await failure(makeBackup(here.run({ store: storeWith(own, { get }) })));
    expect(["store-damaged", "manifest-invalid"]).toContain(error.code);
  });

  it("that fails ends download and export at once, with its own error", async () => {
    here = await world();
    const own = here.store();
    const put: Store["put"] = async (key, ...rest) => {
      if (key.endsWith("snapshot.zip.age")) throw new ActionError("store-full", "full", "");
      return await own.put(key, ...rest);
    };
    const error = await failure(makeBackup(here.run({ store: storeWith(own, { put }) })));
    expect(error.code).toBe("store-full");
    expect(await readdir(here.temp)).toEqual([]);
    expect(Number(here.exports()[0]?.["expiration_ts"])).toBeLessThan((Date.now() - 31 * DAY_MS) * 1e6);
  });
});
