import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { manifestBytes } from "../../../src/backup/manifest.ts";
import { examineBackups } from "../../../src/doctor/backups.ts";
import type { Finding } from "../../../src/doctor/finding.ts";
import { readDoctorInputs } from "../../../src/doctor/inputs.ts";
import { DirectoryStore } from "../../../src/store/directory.ts";
import type { Store } from "../../../src/store/store.ts";
import { sampleManifest } from "../backup/support.ts";
import { storeDeps } from "../store/support.ts";

const HOUR = 3_600_000;
const NOW = Date.parse("2026-11-22T12:00:00Z");
const OLD = "2026-11-20T03-00-04Z-0123abcd";
const NEW = "2026-11-22T03-00-04Z-0123abcd";

async function folder(): Promise<{ readonly store: Store; readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "doctor-backups-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return { store: new DirectoryStore(path, storeDeps()), path };
}

async function add(store: Store, id: string, name?: string): Promise<void> {
  const time = Date.parse(id.replace(/T(\d\d)-(\d\d)-(\d\d)Z.*/, "T$1:$2:$3Z"));
  const { snapshot, instance } = sampleManifest();
  const manifest = sampleManifest({
    id,
    instance: { ...instance, name: name ?? instance.name },
    snapshot: { ...snapshot, timestamp: `${BigInt(time) * 1_000_000n}` },
  });
  await store.put(`${id}/snapshot.zip.age`, Buffer.from("snapshot"));
  await store.put(`${id}/manifest.json`, manifestBytes(manifest));
}

async function examined(store: Store, maxAgeMs = 26 * HOUR, instanceName?: string): Promise<Finding> {
  const clock = { now: () => NOW, sleep: () => Promise.resolve() };
  const [finding, ...others] = await examineBackups(store, maxAgeMs, { clock }, instanceName);
  expect(others).toEqual([]);
  return finding ?? expect.unreachable("nothing was found");
}

describe("the check of backups", () => {
  it("is content with a young one, by the time of its snapshot", async () => {
    const { store } = await folder();
    await add(store, OLD);
    await add(store, NEW);
    expect(await examined(store)).toMatchObject({ check: "backups", level: "ok", what: expect.stringContaining(NEW) });
    expect(await examined(store, 8 * HOUR)).toMatchObject({
      level: "error",
      what: expect.stringContaining("8 h 59 min"),
    });
  });

  it("finds a stale one, and names the newer ones that do not count", async () => {
    const { store } = await folder();
    await add(store, OLD);
    await store.put(`${NEW}/snapshot.zip.age`, Buffer.from("the job was killed"));
    const finding = await examined(store);
    expect(finding).toMatchObject({ level: "error", fix: expect.stringContaining("backup workflow") });
    expect(finding.what).toContain(OLD);
    expect(finding.what).toContain(`${NEW} does not count`);
  });

  it("does not count one whose manifest is damaged or another's", async () => {
    const { store } = await folder();
    await add(store, OLD);
    await store.put(`${NEW}/manifest.json`, manifestBytes(sampleManifest({ id: OLD })));
    expect((await examined(store)).what).toContain("its manifest cannot be used");
  });

  it("counts those of the deployment alone that is looked at, in a place that others share", async () => {
    const { store } = await folder();
    await add(store, OLD);
    await add(store, NEW, "staging");
    expect(await examined(store)).toMatchObject({ level: "ok", what: expect.stringContaining(NEW) });
    const own = sampleManifest().instance.name;
    const finding = await examined(store, 26 * HOUR, own);
    expect(finding).toMatchObject({ level: "error", what: expect.stringContaining(OLD) });
    expect(finding.what).toContain(`${NEW} does not count: it is of another deployment (instance staging).`);
    expect(await examined(store, 26 * HOUR, "staging")).toMatchObject({ level: "ok" });
  });

  it("finds nothing in an empty place, and an error where nothing can be read", async () => {
    const { store, path } = await folder();
    expect(await examined(store)).toMatchObject({
      level: "error",
      what: expect.stringContaining("no complete backup"),
    });
    const file = join(path, "file");
    await writeFile(file, "");
    const broken = await examined(new DirectoryStore(join(file, "below"), storeDeps()));
    expect(broken.level).toBe("error");
  });
});

describe("its inputs", () => {
  const read = (given: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) =>
    readDoctorInputs((name) => given[name] ?? "", env);

  it("need no deployment beside backups", () => {
    expect(read({ backups: "dir:/backups" })).toMatchObject({
      deployment: undefined,
      backups: { store: { destination: { kind: "directory", path: "/backups" } }, maxAgeMs: 26 * HOUR },
    });
    const both = read({
      backups: "s3://acme/convex",
      "s3-region": "eu-central-1",
      "max-backup-age": "2d",
      url: "http://a",
      "admin-key": "name|0123456789",
    });
    expect(both).toMatchObject({ deployment: { url: "http://a" }, backups: { maxAgeMs: 48 * HOUR } });
  });

  it.each<[string, Readonly<Record<string, string>>, string]>([
    ["neither deployment nor backups", {}, "input-missing"],
    ["a URL without a key beside backups", { backups: "dir:/backups", url: "http://a" }, "input-missing"],
    ["a site URL beside backups alone", { backups: "dir:/backups", "site-url": "http://a" }, "input-conflict"],
    [
      "a store that nothing is looked for in",
      { url: "http://a", "admin-key": "name|0123456789", "s3-region": "auto" },
      "input-conflict",
    ],
    ["a store's inputs for a folder", { backups: "dir:/backups", "s3-region": "auto" }, "input-conflict"],
    ["a place of no kind", { backups: "/backups" }, "input-invalid"],
    ["an age that is none", { backups: "dir:/backups", "max-backup-age": "daily" }, "input-invalid"],
    ["a heartbeat that is no address", { backups: "dir:/backups", "heartbeat-url": "healthchecks" }, "input-invalid"],
  ])("refuse %s", (_, given, code) => {
    expect(() => read(given)).toThrow(expect.objectContaining({ code }));
  });
});
