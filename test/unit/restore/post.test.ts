import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { runImport } from "../../../src/deployment/import-run.ts";
import { isPaused } from "../../../src/restore/pause.ts";
import { restorePost } from "../../../src/restore/post.ts";
import type { RestoreState } from "../../../src/restore/state.ts";
import { exportSnapshot } from "../../../src/snapshot/export.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { BASE, writeZip } from "../../support/snapshot.ts";
import { makeRun, makeWorld, type World } from "./support.ts";

let world: World;
let target: Standin;
let zip: string;

beforeAll(async () => {
  world = await makeWorld();
  zip = await writeZip(join(world.directory, "base.zip"), BASE);
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
  target = await startStandin({ metrics: false, env: { STANDIN_IMPORT_ROW_DELAY_MS: "1500" } });
});
afterEach(async () => {
  await target.stop();
  delete process.env["STATE_restore"];
  world.lines.all.length = 0;
});

/** The post step after a main step that left this state. */
async function post(
  state: Partial<RestoreState>,
  inputs: Readonly<Record<string, string>> = { "admin-key": target.adminKey },
): Promise<string> {
  const whole: RestoreState = { url: target.url, stage: "untouched", imports: [], settled: false, ...state };
  process.env["STATE_restore"] = JSON.stringify(whole);
  await restorePost((name) => inputs[name] ?? "", world.deps);
  return world.lines.all.join("\n");
}

/** An import that has begun to write. */
async function begun(): Promise<string> {
  const { client } = makeRun(world, target);
  const id = await new Promise<string>((resolve, reject) => {
    runImport(
      client,
      world.deps,
      { path: zip, format: "zip" },
      {
        mode: "replaceAll",
        timeoutMs: 60_000,
        onImport: resolve,
      },
    ).catch(reject);
  });
  await expect
    .poll(async () => JSON.stringify(await client.systemQuery("_system/cli/queryImport", { importId: id })), {
      timeout: 20_000,
    })
    .toContain('"in_progress"');
  return id;
}

describe("the post step", () => {
  it("does nothing after a step that came to its end, but for the directory", async () => {
    const directory = join(world.directory, "temp", "private");
    await mkdir(directory, { recursive: true });
    const told = await post({ settled: true, directory, was: "running", stage: "verified" });
    expect(told).toContain("nothing to set back");
    expect(existsSync(directory)).toBe(false);
  });

  it.each([
    ["", () => `CONVEX_SELF_HOSTED_URL=${target.url}\nCONVEX_SELF_HOSTED_ADMIN_KEY='${target.adminKey}'\n`],
    [
      " that is made from its instance secret",
      () => `INSTANCE_SECRET=${target.instanceSecret}\nINSTANCE_NAME=${target.instanceName}\n`,
    ],
  ])("has the key of a connection, too%s", async (_, lines) => {
    const { client } = makeRun(world, target);
    await client.pause();
    const connection = lines();
    await post({ was: "running" }, { connection });
    expect(await isPaused(client)).toBe(false);
  });

  it("ends a running import before functions run again, and says that the old data are there", async () => {
    const { client } = makeRun(world, target);
    await client.pause();
    const importId = await begun();
    const told = await post({ was: "running", stage: "importing", imports: [importId] });
    expect(told).toContain("The import was canceled, so it holds the data that it had before.");
    expect(told).toContain("Its functions run again");
    expect(await isPaused(client)).toBe(false);
    const document = JSON.stringify(await client.systemQuery("_system/cli/queryImport", { importId }));
    expect(document).toContain("Import canceled");
  });

  it("tells of an import that was over already", async () => {
    const { client } = makeRun(world, target);
    const importId = await begun();
    await expect
      .poll(async () => JSON.stringify(await client.systemQuery("_system/cli/queryImport", { importId })), {
        timeout: 30_000,
      })
      .toContain('"completed"');
    const told = await post({ was: "running", stage: "importing", imports: [importId] });
    expect(told).toContain("The data of the backup are in it, and were not verified");
  });

  it("lets the exports of a killed step expire", async () => {
    const { client } = makeRun(world, target);
    const { id } = await exportSnapshot(client, world.deps, { includeStorage: true, timeoutMs: 60_000 });
    await post({ was: "running", exports: [id] });
    const [one] = target.backend.store.read((tx) => tx.scan("", "_exports"));
    expect(Number(one?.["expiration_ts"])).toBeLessThan((Date.now() - 31 * 86_400_000) * 1e6);
  });

  it("tells of an export that nobody can prove to be ours, and leaves it alone", async () => {
    const { client } = makeRun(world, target);
    const { id } = await exportSnapshot(client, world.deps, { includeStorage: true, timeoutMs: 60_000 });
    expect(await post({ exportBefore: id })).not.toContain("most likely");
    const told = await post({ exportBefore: null });
    expect(told).toContain(`the newest one there (${id}, completed) is most likely its own`);
    const [one] = target.backend.store.read((tx) => tx.scan("", "_exports"));
    expect(Number(one?.["expiration_ts"])).toBeGreaterThan(Date.now() * 1e6);
  });

  it("leaves a drill's backend paused", async () => {
    const { client } = makeRun(world, target);
    await client.pause();
    await client.unpause();
    expect(await post({ was: "paused", stage: "imported" })).toContain("It is paused, as it was.");
    expect(await isPaused(client)).toBe(true);
  });

  it.each([
    [
      "dir:/backups/2026-11-22T03-00-04Z-0123abcd",
      /former values are in the safety backup dir:\S+: restore it with restore-env: true; remove B, C\./,
    ],
    [undefined, /set the former values from where your secrets are kept.*; remove B, C\./],
  ])("names the variables that were set, and the way back (safety backup: %s)", async (safetyBackup, way) => {
    const variables = { replaced: ["A"], added: ["B", "C"] };
    const told = await post({ was: "running", variables, ...(safetyBackup && { safetyBackup }) });
    expect(told).toContain("A (had other values); B, C (were not there)");
    expect(told).toMatch(way);
  });

  it("says how to resume what it cannot resume", async () => {
    const told = await post({ was: "running" }, { "admin-key": "standin|0000000000000000" });
    expect(told).toMatch(/could not be set back.*Resume it by POST http.*unpause_deployment/s);
  });
});
