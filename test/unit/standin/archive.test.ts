import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InvalidZip, readZip } from "../../standin/snapshots/zip-reader.ts";
import { ZipWriter } from "../../standin/snapshots/zip-writer.ts";

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/snapshots/${name}.zip`, import.meta.url));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "archive-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The same entries written again. */
async function rewrite(bytes: Buffer): Promise<Buffer> {
  const path = join(directory, "out.zip");
  const zip = await ZipWriter.create(path);
  for (const entry of readZip(bytes)) await zip.add(entry.name, entry.read());
  const size = await zip.finish();
  const written = readFileSync(path);
  expect(size).toBe(written.length);
  return written;
}

/** Local headers, descriptors and central records without what deflate decides: sizes, offsets, content. */
function structure(bytes: Buffer): string[] {
  const parts: string[] = [];
  let at = bytes.length - 22;
  parts.push(bytes.toString("hex", at, at + 12));
  let record = bytes.readUInt32LE(at + 16);
  for (let i = 0; i < bytes.readUInt16LE(bytes.length - 14); i++) {
    const name = bytes.readUInt16LE(record + 28);
    const extra = record + 46 + name;
    parts.push(bytes.toString("hex", record, extra + 12));
    const [packed, offset] = [12, 20].map((field) => Number(bytes.readBigUInt64LE(extra + field)));
    at = offset ?? 0;
    const body = at + 30 + bytes.readUInt16LE(at + 26) + bytes.readUInt16LE(at + 28);
    const end = body + (packed ?? 0);
    parts.push(bytes.toString("hex", at, body), bytes.toString("hex", end, end + 16));
    record = extra + bytes.readUInt16LE(record + 30);
  }
  parts.push(bytes.toString("hex", record, record + 24));
  return parts;
}

describe("export archives (contract 7.2)", () => {
  it.each(["empty", "all-value-types", "with-storage", "with-component"])(
    "are header by header what a backend writes: %s",
    async (name) => {
      const recorded = fixture(name);
      expect(structure(await rewrite(recorded))).toEqual(structure(recorded));
    },
  );

  it("hold an empty entry as two bytes", async () => {
    const path = join(directory, "e.zip");
    const zip = await ZipWriter.create(path);
    await zip.add("a", "");
    await zip.finish();
    const bytes = readFileSync(path);
    expect(bytes.subarray(30 + 1 + 20, 30 + 1 + 22).toString("hex")).toBe("0300");
  });
});

describe("reading archives (contract 7.3)", () => {
  it("does not mind bytes in front and behind", () => {
    const bytes = Buffer.concat([Buffer.from("shebang\n"), fixture("with-storage"), Buffer.from("tail")]);
    const names = readZip(bytes).map((entry) => [entry.name, entry.read().length]);
    expect(names).toEqual(readZip(fixture("with-storage")).map((entry) => [entry.name, entry.read().length]));
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["text", Buffer.from("hello")],
    ["a cut file", fixture("empty").subarray(0, -30)],
  ])("refuses %s", (_what, bytes) => {
    expect(() => readZip(bytes)).toThrow(InvalidZip);
  });

  it("notices a changed byte, unless told to trust", () => {
    const bytes = fixture("with-storage");
    const [first] = readZip(bytes);
    const content = first?.read().toString() ?? "";
    const damaged = Buffer.from(bytes);
    const at = bytes.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    damaged.writeUInt32LE(0x12345678, at + 16);
    const [entry] = readZip(damaged);
    expect(() => entry?.read()).toThrow(InvalidZip);
    expect(entry?.read("trust").toString()).toBe(content);
  });
});
