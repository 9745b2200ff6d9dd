import { afterEach, beforeEach, expect, it } from "vitest";
import { clean } from "../../../src/backup/clean.ts";
import type { BackupState } from "../../../src/backup/state.ts";
import { exportSnapshot } from "../../../src/snapshot/export.ts";
import { type World, world } from "./world.ts";

let here: World;
beforeEach(async () => {
  here = await world();
});
afterEach(async () => {
  delete process.env["STATE_backup"];
  await here[Symbol.asyncDispose]();
});

/** The post step after a main step that was killed and left this state. */
async function post(facts: Partial<BackupState>): Promise<string> {
  const { id, directory, inputs } = here.run();
  process.env["STATE_backup"] = JSON.stringify({ backupId: id, directory, ended: false, ...facts });
  const values: Record<string, string> = {
    url: inputs.url,
    "admin-key": inputs.adminKey,
    destination: `dir:${here.destination}`,
    recipients: here.recipient,
  };
  await clean((name) => values[name] ?? "", here.deps);
  return here.lines.all.join("\n");
}

/** An export that is complete; its state as the step would have saved it before and behind the request. */
async function made(): Promise<{ id: string; before: string | null }> {
  let before: string | null | undefined;
  const { id } = await exportSnapshot(here.run().client, here.deps, {
    includeStorage: true,
    timeoutMs: 60_000,
    onRequest: (newest) => {
      before = newest ?? null;
    },
  });
  if (before === undefined) throw new Error("the request was not told");
  return { id, before };
}

const isExpired = (id: string): boolean => {
  const one = here.exports().find(({ _id }) => _id === id);
  return Number(one?.["expiration_ts"]) < (Date.now() - 31 * 86_400_000) * 1e6;
};

it("lets the export of a killed step expire, once its id was known", async () => {
  const { id, before } = await made();
  const told = await post({ exportBefore: before, exportId: id });
  expect(isExpired(id)).toBe(true);
  expect(told).not.toContain("most likely");
});

it("tells of an export that nobody can prove to be ours, and leaves it alone", async () => {
  const first = await made();
  expect(first.before).toBeNull();
  const second = await made();
  expect(second.before).toBe(first.id);
  const told = await post({ exportBefore: second.before });
  expect(told).toContain(`the newest one there (${second.id}, completed) is most likely its own`);
  expect([isExpired(first.id), isExpired(second.id)]).toEqual([false, false]);
});

it("says nothing where no newer export is there", async () => {
  const { id } = await made();
  expect(await post({ exportBefore: id })).not.toContain("most likely");
  expect(await post({})).not.toContain("most likely");
});

it("leaves a backup that was complete: older ones may have gone for it", async () => {
  const run = here.run();
  await run.store.put(`${run.id}/manifest.json`, Buffer.from("{}"));
  expect(await post({ complete: true })).toContain("is complete and verified");
  expect((await run.store.list()).map(({ key }) => key)).toEqual([`${run.id}/manifest.json`]);
  await post({});
  expect(await run.store.list()).toEqual([]);
});

it("goes on where its files cannot be removed", async () => {
  const run = here.run();
  await run.store.put(`${run.id}/manifest.json`, Buffer.from("{}"));
  expect(await post({ directory: "\0" })).toContain("could not be removed");
  expect(await run.store.list()).toEqual([]);
});
