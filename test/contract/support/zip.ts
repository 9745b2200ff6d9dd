/**
 * ZIP files as bytes: a writer for ordinary archives (the importer takes them, contract 7.3) and a reader that shows
 * the parts that the contract speaks about (7.2), so that it can be asserted byte by byte.
 */
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";

export interface ZipInput {
  readonly name: string;
  readonly data: string | Uint8Array;
  readonly stored?: boolean;
  /** A wrong checksum, for damaged archives. */
  readonly crc?: number;
}

export function writeZip(entries: readonly ZipInput[]): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const raw = Buffer.from(entry.data);
    const body = entry.stored ? raw : deflateRawSync(raw);
    const name = Buffer.from(entry.name);
    const crc = entry.crc ?? crc32(raw);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(0x0800, 6);
    local.writeUInt16LE(entry.stored ? 0 : 8, 8);
    local.writeUInt32LE(crc, 14);
    local.writeUInt32LE(body.length, 18);
    local.writeUInt32LE(raw.length, 22);
    local.writeUInt16LE(name.length, 26);
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record.writeUInt16LE(20, 4);
    local.copy(record, 6, 4, 30);
    record.writeUInt32LE(offset, 42);
    parts.push(local, name, body);
    central.push(record, name);
    offset += 30 + name.length + body.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, end]);
}

export interface ZipEntry {
  readonly name: string;
  readonly madeBy: number;
  readonly needed: number;
  readonly flags: number;
  readonly method: number;
  readonly time: number;
  readonly date: number;
  readonly crc: number;
  /** Fields of the central record as written, before ZIP64 is looked at. */
  readonly rawSizes: readonly [compressed: number, size: number, offset: number];
  readonly size: number;
  readonly compressedSize: number;
  readonly extra: Buffer;
  readonly comment: number;
  readonly attributes: number;
  readonly local: Buffer;
  /** The bytes after the data, up to the next header. */
  readonly descriptor: Buffer;
  readonly compressed: Buffer;
  readonly data: Buffer;
  readonly text: string;
}

export interface Zip {
  readonly entries: readonly ZipEntry[];
  readonly hasZip64End: boolean;
  readonly end: Buffer;
  names(): string[];
  entry(name: string): ZipEntry;
}

function zip64(extra: Buffer, index: number): number {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === 1) return Number(extra.readBigUInt64LE(at + 4 + 8 * index));
  }
  throw new Error("no ZIP64 extra field");
}

export function readZip(file: Buffer): Zip {
  const endAt = file.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  const end = file.subarray(endAt);
  const count = end.readUInt16LE(10);
  const directoryAt = end.readUInt32LE(16);
  const records: { record: Buffer; name: string; extra: Buffer; offset: number; sizes: [number, number] }[] = [];
  for (let at = directoryAt, n = 0; n < count; n++) {
    const record = file.subarray(at, at + 46);
    if (record.readUInt32LE(0) !== 0x02014b50) throw new Error("no central record where one should be");
    const [nameLength, extraLength] = [record.readUInt16LE(28), record.readUInt16LE(30)];
    const name = file.toString("utf8", at + 46, at + 46 + nameLength);
    const extra = file.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    const big = (field: number, index: number) =>
      record.readUInt32LE(field) === 0xffffffff ? zip64(extra, index) : record.readUInt32LE(field);
    records.push({ record, name, extra, offset: big(42, 2), sizes: [big(20, 1), big(24, 0)] });
    at += 46 + nameLength + extraLength + record.readUInt16LE(32);
  }
  const entries = records.map(({ record, name, extra, offset, sizes }, index): ZipEntry => {
    const local = file.subarray(offset, offset + 30 + file.readUInt16LE(offset + 26) + file.readUInt16LE(offset + 28));
    const dataAt = offset + local.length;
    const compressed = file.subarray(dataAt, dataAt + sizes[0]);
    const data = record.readUInt16LE(10) === 0 ? compressed : inflateRawSync(compressed);
    const next = records[index + 1]?.offset ?? directoryAt;
    return {
      ...{ name, extra, local, compressed, data, text: data.toString("utf8") },
      ...{ compressedSize: sizes[0], size: sizes[1], descriptor: file.subarray(dataAt + sizes[0], next) },
      madeBy: record.readUInt16LE(4),
      needed: record.readUInt16LE(6),
      flags: record.readUInt16LE(8),
      method: record.readUInt16LE(10),
      time: record.readUInt16LE(12),
      date: record.readUInt16LE(14),
      crc: record.readUInt32LE(16),
      rawSizes: [record.readUInt32LE(20), record.readUInt32LE(24), record.readUInt32LE(42)],
      comment: record.readUInt16LE(32),
      attributes: record.readUInt32LE(38),
    };
  });
  return {
    entries,
    end,
    hasZip64End: file.includes(Buffer.from([0x50, 0x4b, 6, 6])) && file.includes(Buffer.from([0x50, 0x4b, 6, 7])),
    names: () => entries.map((entry) => entry.name),
    entry(name) {
      const found = entries.find((entry) => entry.name === name);
      if (found === undefined) throw new Error(`no ${name} among ${entries.map((entry) => entry.name).join(", ")}`);
      return found;
    },
  };
}
