import { join } from "node:path";
import { expect, it } from "vitest";
import { BASE, changed, linesOf, MESSAGES, writeZip } from "../../support/snapshot.ts";
import { corruptions } from "./corruption.ts";
import { keyPair, makeBackup, makeWorld } from "./support.ts";

it("finds 1,000 of 1,000 corruptions of a stored backup", { timeout: 1_800_000 }, async () => {
  await using world = await makeWorld();
  const { identity, recipient } = await keyPair();
  const zip = await writeZip(join(world.directory, "good.zip"), BASE);
  const other = changed(BASE, "messages/documents.jsonl", linesOf(MESSAGES.slice(0, 2)));
  const otherZip = await writeZip(join(world.directory, "other.zip"), other);
  const missed: string[] = [];
  for (const recipients of [[recipient], []]) {
    const ids = [
      await makeBackup(world.store, { zip, recipients }),
      await makeBackup(world.store, { zip: otherZip, recipients }),
    ];
    const [good = "", second = ""] = ids.map(({ id }) => join(world.directory, "backups", id));
    missed.push(...(await corruptions(500, world, [good, second], recipients.length === 0 ? [] : [identity])));
  }
  expect(missed).toEqual([]);
});
