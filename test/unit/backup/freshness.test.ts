import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { strangeTo } from "../../../src/backup/belonging.ts";
import { ageText, checkFreshness, freshnessError, judgeFreshness } from "../../../src/backup/freshness.ts";
import { listBackups } from "../../../src/backup/listing.ts";
import { manifestBytes } from "../../../src/backup/manifest.ts";
import { prune } from "../../../src/backup/prune.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { DirectoryStore } from "../../../src/store/directory.ts";
import { storeDeps } from "../store/support.ts";
import { sampleManifest } from "./support.ts";

const HOUR = 3_600_000;
const NOW = new Date("2026-11-22T12:00:00Z");
const GOOD = "2026-11-22T03-00-04Z-0123abcd";
const OLDER = "2026-11-21T03-00-04Z-0123abcd";
const HALF = "2026-11-22T09-00-04Z-0123abcd";

async function folder(): Promise<DirectoryStore> {
  const path = await mkdtemp(join(tmpdir(), "fresh-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return new DirectoryStore(path, storeDeps());
}

async function add(store: DirectoryStore, id: string, complete = true): Promise<void> {
  await store.put(`${id}/snapshot.zip.age`, Buffer.from("snapshot"));
  if (complete) await store.put(`${id}/manifest.json`, Buffer.from("{}"));
}

const timeOf = (text: string) => async (): Promise<Date> => new Date(text);

describe("the age of the newest backup", () => {
  it.each([
    ["2026-11-22T03:00:00Z", 26 * HOUR, "fresh", "9 h old"],
    ["2026-11-21T10:00:00Z", 26 * HOUR, "fresh", "26 h old"],
    ["2026-11-21T09:59:00Z", 26 * HOUR, "stale", "26 h 1 min old; the limit is 26 h"],
    ["2026-11-18T08:00:00Z", 26 * HOUR, "stale", "4 d 4 h old"],
    ["2026-11-22T12:05:00Z", 26 * HOUR, "fresh", "0 min old"],
    ["2026-11-22T12:11:00Z", 26 * HOUR, "stale", "a clock is wrong"],
  ] as const)("%s with a limit of %i ms is %s", (taken, limit, verdict, text) => {
    const judged = judgeFreshness({ id: GOOD, takenAt: new Date(taken) }, limit, NOW, "s3://b/prod");
    expect(judged.verdict).toBe(verdict);
    expect(judged.message).toContain(text);
  });

  it("is that of the newest with a manifest; half ones are said", async () => {
    const store = await folder();
    await add(store, OLDER);
    await add(store, GOOD);
    await add(store, HALF, false);
    await store.put("notes.txt", Buffer.from("not ours"));
    const found = await checkFreshness(store, 26 * HOUR, NOW, timeOf("2026-11-22T03:00:09Z"));
    expect(found).toMatchObject({ verdict: "fresh", newest: { id: GOOD }, passedOver: [{ id: HALF }] });
    expect(found.message).toContain(`${HALF} does not count: it has no manifest`);
  });

  it("is that of the next one when a manifest is damaged", async () => {
    const store = await folder();
    await add(store, OLDER);
    await add(store, GOOD);
    const found = await checkFreshness(store, 26 * HOUR, NOW, async ({ id, takenAt }) => {
      if (id === GOOD) throw new ActionError("manifest-invalid", "it is no JSON.", "");
      return takenAt;
    });
    expect(found).toMatchObject({ verdict: "stale", newest: { id: OLDER } });
    expect(freshnessError(found)).toMatchObject({
      code: "backup-stale",
      message: expect.stringContaining("it is no JSON"),
    });
  });

  it("is nothing where there is none", async () => {
    const store = await folder();
    await add(store, HALF, false);
    const found = await checkFreshness(store, HOUR, NOW, timeOf("2026-11-22T03:00:09Z"));
    expect(freshnessError(found)).toMatchObject({ code: "backup-none" });
  });

  it("is not guessed when the store cannot be read", async () => {
    const store = await folder();
    await add(store, GOOD);
    const trouble = new ActionError("store-unreachable", "s3://b cannot be reached.", "");
    const failing = async (): Promise<Date> => {
      throw trouble;
    };
    await expect(checkFreshness(store, HOUR, NOW, failing)).rejects.toBe(trouble);
    const gone = new DirectoryStore("/nowhere/at/all", storeDeps());
    await expect(checkFreshness(gone, HOUR, NOW, failing)).rejects.toMatchObject({ code: "store-missing" });
  });
});

describe("max-backup-age", () => {
  it.each([
    [0, "0 min"],
    [59_000, "0 min"],
    [47 * HOUR, "47 h"],
    [48 * HOUR, "2 d"],
    [48 * HOUR + HOUR, "2 d 1 h"],
    [25.5 * HOUR, "25 h 30 min"],
  ])("%i ms is shown as %s", (ms, text) => {
    expect(ageText(ms)).toBe(text);
  });
});

describe("pruning", () => {
  const rule = { last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
  const none = { ...rule, last: 0 };
  const strange = async (): Promise<undefined> => undefined;
  /** Files are of now; the clock is told to be later. */
  const later = (hours: number) => {
    const now = Date.now() + hours * HOUR;
    return { ...storeDeps(), clock: { now: () => now, sleep: async () => undefined } };
  };

  it("removes what no rule covers and what killed jobs left, and nothing else", async () => {
    const store = await folder();
    for (const id of [OLDER, GOOD]) await add(store, id);
    await add(store, HALF, false);
    await store.put("notes.txt", Buffer.from("not ours"));
    const report = await prune(store, { rule, mode: "apply", strange }, later(25));
    expect(report.lines.map(({ id, action }) => [id, action])).toEqual([
      [HALF, "removed"],
      [GOOD, "kept"],
      [OLDER, "removed"],
    ]);
    expect((await store.list()).map(({ key }) => key)).toEqual([
      `${GOOD}/manifest.json`,
      `${GOOD}/snapshot.zip.age`,
      "notes.txt",
    ]);
  });

  it("leaves alone what another job may be writing", async () => {
    const store = await folder();
    await add(store, GOOD);
    await add(store, HALF, false);
    const report = await prune(store, { rule, mode: "apply", strange }, later(1));
    expect(report.lines[0]).toMatchObject({ id: HALF, action: "kept" });
    expect(await listBackups(store)).toHaveLength(2);
  });

  it.each([
    ["dry-run", rule, "would be removed"],
    ["apply", none, "kept"],
  ] as const)("removes nothing with prune: %s and such a rule", async (mode, given, action) => {
    const store = await folder();
    for (const id of [OLDER, GOOD]) await add(store, id);
    await add(store, HALF, false);
    const report = await prune(store, { rule: given, mode, strange }, later(25));
    expect(report.lines.find(({ id }) => id === OLDER)?.action).toBe(action);
    expect(await listBackups(store)).toHaveLength(3);
  });

  it("keeps the backup of this run, whatever other clocks say", async () => {
    const store = await folder();
    for (const id of [OLDER, GOOD]) await add(store, id);
    const report = await prune(store, { rule, mode: "apply", justMade: OLDER, strange }, later(25));
    expect(report.lines.map(({ action }) => action)).toEqual(["kept", "kept"]);
  });

  it("neither removes nor counts what is another deployment's, or cannot be read", async () => {
    const store = await folder();
    const mine = sampleManifest().instance;
    const other = { ...mine, fingerprint: "ffffffffffffffff" };
    const write = async (id: string, instance: typeof mine): Promise<void> => {
      await store.put(`${id}/snapshot.zip.age`, Buffer.from("snapshot"));
      await store.put(`${id}/manifest.json`, manifestBytes(sampleManifest({ id, instance })));
    };
    const day = (number: number): string => `2026-11-1${number}T03-00-04Z-0123abcd`;
    await write(day(1), mine);
    await write(day(2), mine);
    await write(day(3), other);
    await write(day(4), other);
    await add(store, day(5));
    const report = await prune(store, { rule, mode: "apply", strange: strangeTo(store, sampleManifest()) }, later(25));
    expect(report.lines.map(({ id, action }) => [id, action])).toEqual([
      [day(5), "kept"],
      [day(4), "kept"],
      [day(3), "kept"],
      [day(2), "kept"],
      [day(1), "removed"],
    ]);
    expect(report.lines[0]?.reasons.join()).toContain("cannot be used");
    expect(report.lines[1]?.reasons.join()).toContain("another deployment");
  });
});
