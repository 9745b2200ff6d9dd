import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BASE, changed, linesOf, MESSAGES, writeZip } from "../../support/snapshot.ts";
import { corruptions } from "./corruption.ts";
import { keyPair, makeBackup, makeWorld, type World } from "./support.ts";

let world: World;
let backups: Record<"encrypted" | "plain", readonly [string, string]>;
let identity: string;

beforeAll(async () => {
  world = await makeWorld();
  const keys = await keyPair();
  identity = keys.identity;
  const zip = await writeZip(join(world.directory, "good.zip"), BASE);
  const other = changed(BASE, "messages/documents.jsonl", linesOf(MESSAGES.slice(0, 2)));
  const otherZip = await writeZip(join(world.directory, "other.zip"), other);
  const folderOf = async (path: string, recipients: readonly string[]): Promise<string> =>
    join(world.directory, "backups", (await makeBackup(world.store, { zip: path, recipients })).id);
  backups = {
    encrypted: [await folderOf(zip, [keys.recipient]), await folderOf(otherZip, [keys.recipient])],
    plain: [await folderOf(zip, []), await folderOf(otherZip, [])],
  };
});
afterAll(() => world[Symbol.asyncDispose]());

describe("a stored backup in which anything was changed", () => {
  it.each(["encrypted", "plain"] as const)("is found, every time: %s", async (kind) => {
    expect(await corruptions(40, world, backups[kind], kind === "encrypted" ? [identity] : [])).toEqual([]);
  });
});
