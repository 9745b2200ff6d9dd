import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { listBackups } from "../../src/backup/listing.ts";
import { DirectoryStore } from "../../src/store/directory.ts";
import { systemClock } from "../../src/system/clock.ts";
import { collectLog } from "../unit/deployment/support.ts";
import type { BackupScene } from "./backup-support.ts";

/**
 * Kills a backup with SIGKILL at a moment: what is there then is no backup or a whole one, and after the post step
 * nothing else is left.
 * @returns whether the kill came before the backup's end
 */
export async function killOnce(scene: BackupScene, afterMs: number): Promise<boolean> {
  const store = new DirectoryStore(join(scene.workspace, "backups"), { clock: systemClock, log: collectLog().log });
  const [before, exportsBefore] = [await scene.expectSound(store), scene.openExports()];
  const { job, main, post } = await scene.run(
    {
      inputs: { destination: "dir:backups" },
      killWhen: { log: /^Backing up /m, signal: "SIGKILL", afterMs },
    },
    async () => {
      expect(await scene.expectSound(store)).toBeLessThanOrEqual(before + 1);
    },
  );
  expect(post.exitCode, post.log).toBe(0);
  const ended = main.exitCode === 0;
  const complete = await scene.expectSound(store);
  // A kill after the manifest was written and before the step had saved so: the backup is taken back. After that it
  // stays, since older ones may have gone for it.
  const whole = ended || job.state().get("backup")?.includes('"complete":true') === true;
  expect(complete).toBe(whole ? before + 1 : before);
  expect((await listBackups(store)).filter((backup) => !backup.complete)).toEqual([]);
  // Killed after it was asked for and before its id was known: nobody can tell whose export that is, so it is told.
  const left = scene.openExports() - exportsBefore;
  if (left > 0) {
    expect(job.state().get("backup")).not.toContain("exportId");
    expect(post.log).toMatch(/the newest one there \(\w+, \w+\) is most likely its own/);
    expect(left).toBe(1);
  }
  const files = await readdir(join(job.directory, "temp"));
  expect(files.filter((name) => name.startsWith("convex-backup-"))).toEqual([]);
  return !ended;
}
