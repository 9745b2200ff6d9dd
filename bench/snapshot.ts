/** Snapshots of any size for what is measured, the same each time. */
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { Archive } from "../src/snapshot/archive.ts";
import { type CopiedEntry, zipCopy } from "../src/snapshot/zip-copy.ts";
import { generateSnapshot } from "../test/support/generator.ts";

/** Beyond this, a snapshot consists of copies: making up and packing 4 GB takes many minutes. */
const MADE_UP = 200;

/** @param megabytes of uncompressed documents; more than 200: in components that hold the same as the root */
export async function makeSnapshot(path: string, megabytes: number, files = 50): Promise<void> {
  const copies = Math.ceil(megabytes / MADE_UP);
  if (copies === 1) return await generateSnapshot(path, { bytes: megabytes * 1e6, files });
  const one = `${path}.part`;
  await generateSnapshot(one, { bytes: (megabytes / copies) * 1e6, files });
  const archive = await Archive.open(one);
  await pipeline(zipCopy(archive, copiesOf(archive, copies)), createWriteStream(path, { flags: "wx" }));
  await archive.close();
  await rm(one);
}

async function* copiesOf(archive: Archive, copies: number): AsyncGenerator<CopiedEntry> {
  for (let copy = 0; copy < copies; copy += 1) {
    for await (const entry of archive.entries()) {
      if (copy > 0 && entry.name === "README.md") continue;
      const name = copy === 0 ? entry.name : `_components/copy${copy}/${entry.name}`;
      yield { entry, name: Buffer.from(name) };
    }
  }
}
