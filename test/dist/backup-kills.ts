import { cp, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { newBackupId } from "../../src/backup/id.ts";
import { listBackups } from "../../src/backup/listing.ts";
import { manifestBytes } from "../../src/backup/manifest.ts";
import { fetchManifest } from "../../src/backup/manifest-reader.ts";
import { UNFINISHED_MS } from "../../src/backup/prune.ts";
import { DirectoryStore } from "../../src/store/directory.ts";
import { systemClock } from "../../src/system/clock.ts";
import type { Moment } from "../support/job.ts";
import { collectLog } from "../unit/deployment/support.ts";
import type { BackupScene } from "./backup-support.ts";

/** From when on a backup is killed, and how many of them stay. */
export interface KillPlan {
  /** Below the workspace. */
  readonly folder: string;
  readonly when: Moment;
  /** `keep-last`, with older backups to remove in each run. */
  readonly keepLast?: number;
}

export const ANY_MOMENT: KillPlan = { folder: "backups", when: { log: /^Backing up /m } };
/** The new backup is whole, and the others go for it. */
export const WHILE_PRUNING: KillPlan = { folder: "pruned", when: { state: /"complete":true/ }, keepLast: 2 };

const DAY_MS = 86_400_000;
const OLD_ONES = 6;

const storeOf = (scene: BackupScene, { folder }: KillPlan): DirectoryStore =>
  new DirectoryStore(join(scene.workspace, folder), { clock: systemClock, log: collectLog().log });

const inputsOf = ({ folder, keepLast }: KillPlan): Record<string, string> => ({
  destination: `dir:${folder}`,
  ...(keepLast === undefined ? {} : { "keep-last": String(keepLast) }),
});

interface Held {
  readonly complete: readonly string[];
  readonly incomplete: readonly string[];
}

/** Ids, newest first. */
async function held(store: DirectoryStore): Promise<Held> {
  const backups = await listBackups(store);
  const ids = (complete: boolean) => backups.filter((one) => one.complete === complete).map(({ id }) => id);
  return { complete: ids(true), incomplete: ids(false) };
}

/** An undisturbed run: exactly what the rule wants is there afterwards. */
export async function runClean(scene: BackupScene, plan: KillPlan): Promise<void> {
  const { main } = await scene.run({ inputs: inputsOf(plan) });
  expect(main.exitCode, main.log).toBe(0);
  const backups = await listBackups(storeOf(scene, plan));
  const complete = backups.filter((one) => one.complete);
  // A removal that was cut off leaves one without a manifest. Where it is young, a job may be writing it: it stays a day.
  const youngest = plan.keepLast === undefined ? Date.now() : Date.now() - UNFINISHED_MS;
  expect(backups.filter((one) => !one.complete && one.takenAt.getTime() < youngest)).toEqual([]);
  if (plan.keepLast !== undefined) expect(complete.length).toBeLessThanOrEqual(plan.keepLast);
}

/** Copies of the newest backup, as of the days before. */
async function addOldOnes(scene: BackupScene, plan: KillPlan): Promise<void> {
  const store = storeOf(scene, plan);
  const [newest = ""] = (await held(store)).complete;
  const manifest = await fetchManifest(store, newest);
  for (let days = 2; days < 2 + OLD_ONES; days += 1) {
    const at = new Date(Date.now() - days * DAY_MS);
    const id = newBackupId(at);
    const folder = join(scene.workspace, plan.folder, id);
    await cp(join(scene.workspace, plan.folder, newest), folder, { recursive: true });
    await writeFile(join(folder, "manifest.json"), manifestBytes({ ...manifest, id }));
    for (const name of await readdir(folder)) await utimes(join(folder, name), at, at);
  }
}

/** No backup is lost that the rule wants, and only such as it does not want are half removed. */
function expectKept(
  before: Held,
  after: Held,
  whole: boolean,
  { keepLast = Number.POSITIVE_INFINITY }: KillPlan,
): void {
  const made = after.complete.filter((id) => !before.complete.includes(id));
  expect(made).toHaveLength(whole ? 1 : 0);
  const wanted = whole ? before.complete.slice(0, keepLast - 1) : before.complete;
  expect(after.complete).toEqual(expect.arrayContaining([...wanted]));
  const unwanted = before.complete.slice(wanted.length);
  expect([...unwanted, ...before.incomplete]).toEqual(expect.arrayContaining([...after.incomplete]));
}

/**
 * Kills a backup with SIGKILL at a moment: what is there then is no backup or a whole one, and after the post step
 * nothing else is left.
 * @returns whether the kill came before the backup's end
 */
export async function killOnce(scene: BackupScene, afterMs: number, plan = ANY_MOMENT): Promise<boolean> {
  const store = storeOf(scene, plan);
  if (plan.keepLast !== undefined) {
    await runClean(scene, plan);
    await addOldOnes(scene, plan);
  }
  const [before, exportsBefore] = [await held(store), scene.openExports()];
  expect(await scene.expectSound(store)).toBe(before.complete.length);
  const { job, main, post } = await scene.run(
    { inputs: inputsOf(plan), killWhen: { ...plan.when, signal: "SIGKILL", afterMs } },
    async () => {
      expect(await scene.expectSound(store)).toBeLessThanOrEqual(before.complete.length + 1);
    },
  );
  expect(post.exitCode, post.log).toBe(0);
  const ended = main.exitCode === 0;
  const state = job.state().get("backup") ?? "";
  await scene.expectSound(store);
  // A kill after the manifest was written and before the step had saved so: the backup is taken back. After that it
  // stays, since older ones may have gone for it.
  const whole = ended || state.includes('"complete":true');
  expectKept(before, await held(store), whole, plan);
  if (whole && state.includes('"ended":false')) expect(post.log).toContain("is complete and verified");
  // Killed after it was asked for and before its id was known: nobody can tell whose export that is, so it is told.
  const left = scene.openExports() - exportsBefore;
  if (left > 0) {
    expect(state).not.toContain("exportId");
    expect(post.log).toMatch(/the newest one there \(\w+, \w+\) is most likely its own/);
    expect(left).toBe(1);
  }
  const files = await readdir(join(job.directory, "temp"));
  expect(files.filter((name) => name.startsWith("convex-backup-"))).toEqual([]);
  return !ended;
}
