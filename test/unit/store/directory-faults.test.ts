import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { DirectoryStore } from "../../../src/store/directory.ts";
import type { WriterSettings } from "../../support/store-writer.ts";
import { bytesOf, read, storeDeps, streamOf } from "./support.ts";

const ID = "2026-11-22T03-00-04Z-0123abcd";
const KEY = `${ID}/snapshot.zip`;
const MIB = 1024 * 1024;
const isRoot = process.getuid?.() === 0;

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "store-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

describe("the files", () => {
  it("can be read by this user alone", async () => {
    const root = join(await folder(), "backups");
    const deps = storeDeps();
    await new DirectoryStore(root, deps).put(KEY, Buffer.from("x"));
    expect(await Promise.all([modeOf(root), modeOf(join(root, ID)), modeOf(join(root, KEY))])).toEqual([
      "700",
      "700",
      "600",
    ]);
    expect(deps.log.lines).toEqual([`info: Made the folder ${root} for backups.`]);
  });

  it("are not made below a parent that is not there: a disk that is not mounted", async () => {
    const root = join(await folder(), "mnt", "backups");
    const put = new DirectoryStore(root, storeDeps()).put(KEY, Buffer.from("x"));
    await expect(put).rejects.toMatchObject({ code: "store-missing", hint: expect.stringContaining("mounted") });
  });

  it("are no empty list when the folder is not there", async () => {
    const store = new DirectoryStore(join(await folder(), "backups"), storeDeps());
    await expect(store.list()).rejects.toMatchObject({ code: "store-missing" });
    expect(await store.removeUnfinished(0)).toBe(0);
  });

  it.skipIf(isRoot)("are refused where this user may not write", async () => {
    await expect(new DirectoryStore("/proc/backups", storeDeps()).put(KEY, Buffer.from("x"))).rejects.toMatchObject({
      code: "store-refused",
    });
  });

  it("leave no empty folders behind when they are removed, and none that hold something of others", async () => {
    const root = await folder();
    const store = new DirectoryStore(root, storeDeps());
    await store.put(KEY, Buffer.from("x"));
    await store.put(`${ID}/manifest.json`, Buffer.from("x"));
    await writeFile(join(root, ID, "note"), "mine");
    await store.remove([KEY, `${ID}/manifest.json`]);
    expect(await readdir(join(root, ID))).toEqual(["note"]);
    await rm(join(root, ID, "note"));
    await store.put(KEY, Buffer.from("x"));
    await store.remove([KEY]);
    expect(await readdir(root)).toEqual([]);
  });
});

describe("links that somebody put there", () => {
  async function trap(): Promise<{ root: string; outside: string; store: DirectoryStore }> {
    const base = await folder();
    const [root, outside] = [join(base, "backups"), join(base, "outside")];
    await mkdir(root);
    await mkdir(outside);
    await writeFile(join(outside, "snapshot.zip"), "secret of another");
    return { root, outside, store: new DirectoryStore(root, storeDeps()) };
  }

  it("are not written through", async () => {
    const { root, outside, store } = await trap();
    await symlink(outside, join(root, ID));
    await expect(store.put(`${ID}/manifest.json`, Buffer.from("x"))).rejects.toMatchObject({ code: "store-refused" });
    expect(await readdir(outside)).toEqual(["snapshot.zip"]);
  });

  it("are not read through, nor listed, nor removed through", async () => {
    const { root, outside, store } = await trap();
    await symlink(outside, join(root, ID));
    await expect(read(store.get(KEY))).rejects.toMatchObject({ code: "store-refused" });
    expect(await store.list()).toEqual([]);
    await expect(store.remove([KEY])).rejects.toMatchObject({ code: "store-refused" });
    expect(await readdir(outside)).toEqual(["snapshot.zip"]);
  });

  it("are refused in the place of an object", async () => {
    const { root, outside, store } = await trap();
    await mkdir(join(root, ID));
    await symlink(join(outside, "snapshot.zip"), join(root, KEY));
    await expect(read(store.get(KEY))).rejects.toMatchObject({ code: "store-refused" });
    await expect(store.put(KEY, Buffer.from("x"))).rejects.toMatchObject({ code: "store-exists" });
    expect(await store.list()).toEqual([]);
  });

  it("may lead to the folder itself: that is the user's own", async () => {
    const { root, outside } = await trap();
    const way = join(dirname(root), "way");
    await symlink(outside, way);
    const store = new DirectoryStore(way, storeDeps());
    await store.put(KEY, Buffer.from("x"));
    expect(await readdir(outside)).toContain(ID);
  });
});

describe("what killed jobs left", () => {
  it("is removed when it is ours and old, and only then", async () => {
    const root = await folder();
    const store = new DirectoryStore(root, storeDeps());
    const hoursAgo = (hours: number): Date => new Date(Date.now() - hours * 3_600_000);
    for (const [name, age] of [
      [".unfinished-0123456789abcdef", 25],
      [".unfinished-aaaaaaaaaaaaaaaa", 1],
      [".unfinished-notes", 100],
      [".hidden", 100],
    ] as const) {
      await writeFile(join(root, name), "x");
      await utimes(join(root, name), hoursAgo(age), hoursAgo(age));
    }
    await mkdir(join(root, `.claim-${ID}+manifest.json`));
    await utimes(join(root, `.claim-${ID}+manifest.json`), hoursAgo(25), hoursAgo(25));
    expect(await store.removeUnfinished(24 * 3_600_000)).toBe(2);
    expect((await readdir(root)).sort()).toEqual([".hidden", ".unfinished-aaaaaaaaaaaaaaaa", ".unfinished-notes"]);
  });

  it("is nothing that looks whole, at whatever moment they were killed", async () => {
    const bytes = Buffer.alloc(8 * MIB, 7);
    const states: boolean[] = [];
    for (let run = 0; run < 8; run += 1) {
      const root = join(await folder(), "backups");
      const settings: WriterSettings = { directory: root, key: KEY, bytes: bytes.length, pauseMs: 1 };
      const writer = resolve(import.meta.dirname, "../../support/store-writer.ts");
      const child = spawn(process.execPath, [writer, JSON.stringify(settings)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(child, "exit");
      await Promise.race([once(child.stdout, "data"), ended]);
      await delay((run / 7) * 300 + Math.random() * 20);
      child.kill("SIGKILL");
      await ended;
      const store = new DirectoryStore(root, storeDeps());
      const listed = await store.list();
      states.push(listed.length > 0);
      if (listed.length > 0) expect((await read(store.get(KEY))).equals(bytes)).toBe(true);
      await store.removeUnfinished(-60_000);
      expect((await readdir(root)).filter((name) => name !== ID)).toEqual([]);
    }
    expect(states).toContain(false);
  }, 120_000);
});

describe.skipIf(!isRoot || process.platform !== "linux")("a full disk (a small tmpfs, which takes root)", () => {
  it("is named, and what was written is removed", async () => {
    const disk = await mkdtemp(join(tmpdir(), "full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
    onTestFinished(async () => {
      execFileSync("umount", ["-l", disk]);
      await rm(disk, { recursive: true, force: true });
    });
    const store = new DirectoryStore(disk, storeDeps());
    await store.put(`${ID}/manifest.json`, Buffer.from("{}"));
    await expect(store.put(KEY, streamOf(bytesOf(6 * MIB), 65_536))).rejects.toMatchObject({
      code: "store-full",
      message: expect.stringContaining("has no space left"),
    });
    expect((await store.list()).map(({ key }) => key)).toEqual([`${ID}/manifest.json`]);
    expect(await store.removeUnfinished(-60_000)).toBe(0);
    await store.put(KEY, bytesOf(MIB));
  });
});
