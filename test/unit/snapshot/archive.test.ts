import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import { centralRecord, endRecords, localHeader, type WrittenEntry } from "../../../src/snapshot/zip-records.ts";
import { BASE, scratch, writeZip } from "../../support/snapshot.ts";

async function kindsOf(bytes: Buffer): Promise<string[]> {
  await using files = await scratch();
  await writeFile(files.path("x.zip"), bytes);
  return (await inspectSnapshot(files.path("x.zip"))).findings.map(({ kind }) => kind);
}

async function base(): Promise<Buffer> {
  await using files = await scratch();
  return await readFile(await writeZip(files.path("x.zip"), BASE));
}

interface Made {
  readonly entry: WrittenEntry;
  readonly data: Buffer;
}

function made(name: string, content: string, fields: Partial<WrittenEntry> = {}): Made {
  const data = deflateRawSync(content);
  const size = Buffer.byteLength(content);
  const entry = {
    name: Buffer.from(name),
    flags: 0x0800,
    method: 8,
    crc: crc32(content),
    size,
    packed: data.length,
    offset: 0,
  };
  return { entry: { ...entry, ...fields }, data };
}

/** A ZIP whose directory says what it is told. */
function zipOf(...entries: readonly Made[]): Buffer {
  const parts: Buffer[] = [];
  const records: Buffer[] = [];
  let at = 0;
  for (const { entry, data } of entries) {
    const header = localHeader(entry);
    records.push(centralRecord({ ...entry, offset: entry.offset === 0 ? at : entry.offset }));
    parts.push(header, data);
    at += header.length + data.length;
  }
  const directory = Buffer.concat(records);
  return Buffer.concat([...parts, directory, endRecords(entries.length, at, directory.length)]);
}

describe("a container that is not whole", () => {
  it.each([
    ["nothing", Buffer.alloc(0)],
    ["text", Buffer.from("<html>502 Bad Gateway</html>")],
    ["gzip", Buffer.from([0x1f, 0x8b, 8, 0])],
  ])("%s is no ZIP", async (_what, bytes) => {
    expect(await kindsOf(bytes)).toEqual(["not-a-zip", "no-tables"]);
  });

  it("is found wherever it was cut", async () => {
    const whole = await base();
    for (const length of [1, 100, whole.length >> 1, whole.length - 23, whole.length - 22, whole.length - 1]) {
      expect(await kindsOf(whole.subarray(0, length))).toContain("not-a-zip");
    }
  });

  it("is found when bytes follow it or stand before it", async () => {
    const whole = await base();
    expect(await kindsOf(Buffer.concat([whole, Buffer.from("x")]))).toContain("trailing-data");
    expect(await kindsOf(Buffer.concat([Buffer.from("#!/bin/sh\n"), whole]))).toContain("leading-data");
  });

  it("is found when the end record counts fewer entries than there are", async () => {
    const whole = await base();
    const end = whole.length - 98;
    for (const [at, bytes] of [
      [end + 24, 8],
      [end + 32, 8],
      [end + 84, 2],
      [end + 86, 2],
    ] as const) {
      whole.writeUIntLE(BASE.length - 1, at, Math.min(bytes, 6));
    }
    expect(await kindsOf(whole)).toContain("directory-damaged");
  });
});

describe("entries that are no good", () => {
  const document = '{"_creationTime":1795400000001.5,"_id":"j57000000400000028t00000018js8sq"}\n';
  const name = "messages/documents.jsonl";

  it.each([
    ["encrypted", made(name, document, { flags: 0x0801 }), "entry-encrypted"],
    ["strongly encrypted", made(name, document, { flags: 0x0841 }), "directory-damaged"],
    ["of another method", made(name, document, { method: 12 }), "entry-method"],
    ["of a wrong CRC", made(name, document, { crc: 1 }), "entry-crc"],
    [
      "of a wrong CRC, stored",
      made(name, document, { method: 0, packed: document.length, size: document.length }),
      "entry-unreadable",
    ],
    ["shorter than they say", made(name, document, { size: 90 }), "entry-size"],
    ["longer than they say", made(name, document, { size: 10 }), "entry-size"],
    ["of an impossible size", made(name, document, { size: 10 ** 9 }), "bomb"],
    ["that reach into the directory", made(name, document, { packed: 10_000 }), "entry-unreadable"],
  ])("%s", async (_what, entry, kind) => {
    expect(await kindsOf(zipOf(entry))).toContain(kind);
  });

  it("that are to unpack to more than any snapshot, together", async () => {
    await using files = await scratch();
    const sizes = [40, 30].map((gib) => gib * 2 ** 30);
    const entries = sizes.map((size, i) => made(`t${i}/documents.jsonl`, document, { size }));
    await writeFile(files.path("x.zip"), zipOf(...entries, made("after/documents.jsonl", "no JSON")));
    const { findings } = await inspectSnapshot(files.path("x.zip"));
    expect(findings.filter(({ kind }) => kind === "bomb")).toMatchObject([
      { where: "t0/documents.jsonl", message: expect.stringContaining("42,949,672,960 bytes") },
      { where: "t1/documents.jsonl", message: expect.stringContaining("more than 64 GiB") },
    ]);
    // nothing behind it is read
    expect(findings.map(({ kind }) => kind)).not.toContain("json-broken");
  });

  it("whose names are not UTF-8", async () => {
    const entry = made("", document, { name: Buffer.from([0xff, 0x2f, 0x61]) });
    expect(await kindsOf(zipOf(entry))).toContain("name-encoding");
  });

  it("whose local header tells of another entry", async () => {
    const zip = zipOf(made(name, document));
    zip.write("massages", 30);
    expect(await kindsOf(zip)).toContain("entry-unreadable");
  });

  it("with bytes behind the end of their packed data", async () => {
    const { entry, data } = made(name, document);
    const longer = { entry: { ...entry, packed: data.length + 3 }, data: Buffer.concat([data, Buffer.from("abc")]) };
    expect(await kindsOf(zipOf(longer))).toContain("entry-size");
  });

  it("that lie over each other", async () => {
    const first = made(name, document);
    const shared = { ...made(name, document), data: Buffer.alloc(0) };
    // the second record points to the first entry
    const zip = zipOf(first, { ...shared, entry: { ...shared.entry, offset: 0 } });
    const record = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    zip.writeBigUInt64LE(0n, record + 46 + name.length + 4 + 16);
    expect(await kindsOf(zip)).toEqual(expect.arrayContaining(["entry-twice", "entries-overlap"]));
  });

  it("with bytes between them that belong to none", async () => {
    const hidden = { ...made("refs/documents.jsonl", ""), data: deflateRawSync("") };
    const zip = zipOf({ ...hidden, data: Buffer.concat([hidden.data, Buffer.alloc(100)]) }, made(name, ""));
    expect(await kindsOf(zip)).toContain("entries-gap");
  });
});

it("reads ZIPs without ZIP64, data descriptors and compression too", async () => {
  const path = join(import.meta.dirname, "../../fixtures/snapshots/plain.zip");
  expect((await inspectSnapshot(path)).findings).toEqual([]);
});
