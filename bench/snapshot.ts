/** Snapshots of any size for what is measured, the same each time. */
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { Archive } from "../src/snapshot/archive.ts";
import { centralRecord, endRecords, localHeader, type WrittenEntry } from "../src/snapshot/zip-records.ts";
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
  await pipeline(copiesOf(archive, copies), createWriteStream(path, { flags: "wx" }));
  await archive.close();
  await rm(one);
}

/** Packed bytes as they are, under other names. */
async function* copiesOf(archive: Archive, copies: number): AsyncGenerator<Buffer> {
  const written: WrittenEntry[] = [];
  let at = 0;
  for (let copy = 0; copy < copies; copy += 1) {
    for await (const { name, flags, method, crc, size, packed, raw } of archive.entries()) {
      if (copy > 0 && name === "README.md") continue;
      const renamed = copy === 0 ? name : `_components/copy${copy}/${name}`;
      const entry = { name: Buffer.from(renamed), flags, method, crc, size, packed, offset: at };
      written.push(entry);
      yield localHeader(entry);
      // read by its own record, whose offset is that of the part
      yield* archive.packed({ name, flags, method, crc, size, packed, raw, offset: raw.relativeOffsetOfLocalHeader });
      at += localHeader(entry).length + packed;
    }
  }
  const start = at;
  for (const entry of written) {
    const record = centralRecord(entry);
    at += record.length;
    yield record;
  }
  yield endRecords(written.length, start, at - start);
}
