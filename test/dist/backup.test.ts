import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fetchManifest, parseManifest } from "../../src/backup/manifest-reader.ts";
import { DirectoryStore } from "../../src/store/directory.ts";
import { systemClock } from "../../src/system/clock.ts";
import { collectLog } from "../unit/deployment/support.ts";
import { ANY_MOMENT, killOnce, runClean, WHILE_PRUNING } from "./backup-kills.ts";
import { BackupScene, codeOf } from "./backup-support.ts";

let scene: BackupScene;
beforeAll(async () => {
  scene = await BackupScene.create(4, { STANDIN_EXPORT_DELAY_MS: "30", STANDIN_RETRY_MS: "5" });
});
afterAll(() => scene[Symbol.asyncDispose]());

const storeIn = (folder: string): DirectoryStore =>
  new DirectoryStore(join(scene.workspace, folder), { clock: systemClock, log: collectLog().log });

describe("the backup bundle", () => {
  it("makes a backup, tells of it, and has nothing left for its post step", async () => {
    const inputs = { destination: "dir:good", "include-env": "true", "keep-last": "3" };
    const { main, post } = await scene.run({ inputs });
    expect(main.exitCode, main.log).toBe(0);
    expect(post.exitCode, post.log).toBe(0);
    expect(post.log).not.toContain("removing what it left");
    const id = main.outputs.get("backup-id") ?? "";
    const manifest = await fetchManifest(storeIn("good"), id);
    const [snapshot] = manifest.objects;
    expect(Object.fromEntries(main.outputs)).toEqual({
      "backup-id": id,
      url: scene.standin.url,
      location: `dir:${join(scene.workspace, "good")}/${id}`,
      manifest: expect.stringMatching(/\.json$/),
      documents: "300",
      bytes: String(snapshot?.bytes),
      sha256: snapshot?.sha256,
    });
    expect(parseManifest(await readFile(main.outputs.get("manifest") ?? ""), id)).toEqual(manifest);
    expect(await scene.expectSound(storeIn("good"))).toBe(1);
    expect(main.summary).toContain("### ✅ Backup made and verified");
    expect(main.summary).toContain(`backup-id: ${id}`);
    expect(main.summary).toContain(`\`${scene.recipient}\``);
    expect(main.log).not.toMatch(/^::(error|warning)/m);
    expect(scene.openExports()).toBe(0);
  });

  it("fails with a summary that says what to do", async () => {
    const { main } = await scene.run({ inputs: { destination: "dir:bad", recipients: "" } });
    expect(main.exitCode).toBe(1);
    expect(codeOf(main)).toBe("input-missing");
    expect(main.summary).toMatch(/### ❌ No backup: recipients is not set[\s\S]*age-keygen[\s\S]*Nothing was stored/);
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "that gets %s ends its export and takes back what it stored",
    async (signal) => {
      const { main, post } = await scene.run({
        inputs: { destination: "dir:cancelled" },
        killWhen: { log: /^Backing up /m, signal, afterMs: 100 },
      });
      // Cancelled or, on a machine that was slow to send the signal, complete; never something in between.
      if (main.exitCode !== 0) {
        expect([main.exitCode, codeOf(main)]).toEqual([1, "job-cancelled"]);
        expect(main.summary).toContain("The job was cancelled");
      }
      expect(post.exitCode, post.log).toBe(0);
      await scene.expectSound(storeIn("cancelled"));
      expect((await storeIn("cancelled").list()).filter(({ key }) => !key.includes("/"))).toEqual([]);
      expect(scene.openExports()).toBe(0);
    },
  );

  it("that is killed at any moment leaves no half backup, and the next one is made", async () => {
    const kills = [];
    for (const afterMs of [0, 60, 150, 300]) kills.push(await killOnce(scene, afterMs));
    expect(kills).toContain(true);
    await runClean(scene, ANY_MOMENT);
  }, 120_000);

  it("that is killed while older ones go for it stays, and so does what the rule wants", async () => {
    await killOnce(scene, 70, WHILE_PRUNING);
    await runClean(scene, WHILE_PRUNING);
  }, 120_000);

  it("whose inspection runs out of memory says so, and leaves nothing", async () => {
    await using large = await BackupScene.create(10);
    // Threads that begin from now on get 24 MB, and this one needs more as soon as it waits for its first bytes.
    const hook = join(large.workspace, "hog.mjs");
    await writeFile(
      hook,
      `import { setFlagsFromString } from "node:v8";
       import { isMainThread } from "node:worker_threads";
       setFlagsFromString("--max-old-space-size=24");
       const hog = [];
       if (!isMainThread) setTimeout(() => { for (;;) hog.push(new Array(100_000).fill(hog.length)); }, 1);`,
    );
    const env = { NODE_OPTIONS: `--import ${hook}` };
    const { job, main, post } = await large.run({ inputs: { destination: "dir:backups" }, env });
    expect([main.exitCode, codeOf(main)], main.log).toEqual([1, "inspection-memory"]);
    expect(main.summary).toContain("not enough memory");
    expect(post.exitCode, post.log).toBe(0);
    expect(await readdir(join(large.workspace, "backups"))).toEqual([]);
    expect(await readdir(join(job.directory, "temp"))).toEqual([]);
    expect(large.openExports()).toBe(0);
  }, 60_000);

  it("whose snapshot is removed before it is inspected says so, and leaves nothing", async () => {
    await using large = await BackupScene.create(10);
    // As a clean-up of RUNNER_TEMP in another process would: gone when the thread begins to read.
    const hook = join(large.workspace, "cleaner.mjs");
    await writeFile(
      hook,
      `import { rmSync } from "node:fs";
       import { isMainThread, workerData } from "node:worker_threads";
       if (!isMainThread) rmSync(workerData.path);`,
    );
    const env = { NODE_OPTIONS: `--import ${hook}` };
    const { job, main, post } = await large.run({ inputs: { destination: "dir:backups" }, env });
    expect([main.exitCode, codeOf(main)], main.log).toEqual([1, "disk-unreadable"]);
    expect(main.summary).toMatch(
      /snapshot\.zip cannot be read back: ENOENT[\s\S]*something else in the job removes files/,
    );
    expect(post.exitCode, post.log).toBe(0);
    expect(await readdir(join(large.workspace, "backups"))).toEqual([]);
    expect(await readdir(join(job.directory, "temp"))).toEqual([]);
    expect(large.openExports()).toBe(0);
  }, 60_000);
});
