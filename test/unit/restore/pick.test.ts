import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pickBackup } from "../../../src/restore/pick.ts";
import { BASE, writeZip } from "../../support/snapshot.ts";
import { type MadeBackup, makeBackup, makeWorld, type World } from "./support.ts";

let world: World;
let zip: string;
beforeEach(async () => {
  world = await makeWorld();
  zip = await writeZip(join(world.directory, "base.zip"), BASE);
});
afterEach(() => world[Symbol.asyncDispose]());

const A = { name: "production", fingerprint: "aaaaaaaaaaaaaaaa" };
const B = { name: "staging", fingerprint: "bbbbbbbbbbbbbbbb" };
/** A at another address, or somebody who left the name at its default too. */
const A2 = { name: "production", fingerprint: "cccccccccccccccc" };

/** Backups of these, an hour apart; the last one is the newest. */
async function place(...instances: readonly (typeof A)[]): Promise<readonly MadeBackup[]> {
  const made: MadeBackup[] = [];
  for (const [hour, instance] of instances.entries()) {
    made.push(await makeBackup(world.store, { zip, instance, takenAt: new Date(Date.UTC(2026, 10, 22, hour)) }));
  }
  return made;
}

const pick = (wanted = "latest") => pickBackup(world.store, wanted, world.deps.log);
const manifestOf = ({ id }: MadeBackup): string => join(world.directory, "backups", id, "manifest.json");

describe("latest", () => {
  it("is the newest one, where all are of one deployment", async () => {
    const made = await place(A, A, A);
    expect((await pick()).id).toBe(made[2]?.id);
    expect(world.lines.all).toEqual([]);
  });

  it.each([
    ["of another name", [A, B]],
    ["of another name, further back", [B, A, A, A]],
    ["of the same name, by turns", [A, A2, A]],
  ])("is nobody's where the place has backups %s: it is refused, and a named one is not", async (_, instances) => {
    const made = await place(...instances);
    const error = await pick().catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: "backup-ambiguous", hint: expect.stringMatching(/backup-id.*artifact:name/) });
    expect(String(error)).toContain(made.at(-1)?.id);
    for (const { id, manifest } of made) expect((await pick(id)).instance).toEqual(manifest.instance);
  });

  it("is the newest one after a deployment has moved, and it is said", async () => {
    const made = await place(A2, A2, A);
    expect((await pick()).id).toBe(made[2]?.id);
    expect(world.lines.all.join()).toMatch(/more than one deployment.*of the same name at another address/);
  });

  it("is the one with the newest data, whatever the clock said that named them", async () => {
    const [, right] = await place(A, A);
    const ahead = { takenAt: new Date(Date.UTC(2026, 10, 25)), snapshotAt: new Date(Date.UTC(2026, 10, 22, 0, 30)) };
    const { id: wrong } = await makeBackup(world.store, { zip, instance: A, ...ahead });
    expect((await pick()).id).toBe(right?.id);
    expect(world.lines.all.join()).toMatch(
      new RegExp(`${wrong} is the newest by its name.*${right?.id} has the newest`),
    );
    expect((await pick(wrong)).id).toBe(wrong);
  });

  it("is not kept from anybody by older ones that cannot be read", async () => {
    const [oldest, middle, newest] = await place(A, B, A);
    if (oldest === undefined || middle === undefined) throw new Error("not made");
    await writeFile(manifestOf(middle), "{");
    expect((await pick()).id).toBe(newest?.id);
    await rm(manifestOf(oldest));
    expect((await pick()).id).toBe(newest?.id);
  });
});
