/**
 * Reading ZIPs as the importer does (contract 7.2, 7.3): through the central directory, ZIP64 or not, stored or
 * deflated, with bytes in front or behind.
 */
import { crc32, inflateRawSync } from "node:zlib";

/** Everything that is wrong with a container: one text on the wire. */
export class InvalidZip extends Error {
  constructor() {
    super("invalid zip file");
  }
}

export interface ZipEntry {
  readonly name: string;
  /** The content; its CRC is compared unless `trust`. @throws InvalidZip */
  read(trust?: "trust"): Buffer;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const FULL32 = 0xffffffff;

/** @throws InvalidZip */
export function readZip(bytes: Buffer): ZipEntry[] {
  try {
    const { start, count, shift } = findDirectory(bytes);
    const entries: ZipEntry[] = [];
    let at = start;
    for (let i = 0; i < count; i++) {
      if (bytes.readUInt32LE(at) !== CENTRAL) throw new InvalidZip();
      const [name, extra, comment] = [28, 30, 32].map((offset) => bytes.readUInt16LE(at + offset)) as [
        number,
        number,
        number,
      ];
      entries.push(entryAt(bytes, at, name, extra, shift));
      at += 46 + name + extra + comment;
    }
    return entries;
  } catch {
    throw new InvalidZip();
  }
}

interface Directory {
  start: number;
  count: number;
  /** bytes in front of the archive */
  shift: number;
}

function findDirectory(bytes: Buffer): Directory {
  let end = bytes.length - 22;
  while (end >= 0 && bytes.readUInt32LE(end) !== END) end--;
  if (end < 0) throw new InvalidZip();
  const count = bytes.readUInt16LE(end + 10);
  const size = bytes.readUInt32LE(end + 12);
  const offset = bytes.readUInt32LE(end + 16);
  const locator = end - 20;
  if (locator >= 0 && bytes.readUInt32LE(locator) === LOCATOR64) {
    const record = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 6, 6]), locator);
    if (record < 0 || bytes.readUInt32LE(record) !== END64) throw new InvalidZip();
    const size64 = Number(bytes.readBigUInt64LE(record + 40));
    const offset64 = Number(bytes.readBigUInt64LE(record + 48));
    const start = record - size64;
    return { start, count: Number(bytes.readBigUInt64LE(record + 32)), shift: start - offset64 };
  }
  return { start: end - size, count, shift: end - size - offset };
}

function entryAt(bytes: Buffer, at: number, nameLength: number, extraLength: number, shift: number): ZipEntry {
  const method = bytes.readUInt16LE(at + 10);
  const crc = bytes.readUInt32LE(at + 16);
  const extra = zip64(bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength));
  // in this order they are left out of the plain fields and put into the extra one
  const sizes = [24, 20, 42].map((offset) => {
    const plain = bytes.readUInt32LE(at + offset);
    return plain === FULL32 ? Number(extra.shift() ?? BigInt(plain)) : plain;
  });
  const [size = 0, packed = 0, offset = 0] = sizes;
  return {
    name: bytes.toString("utf8", at + 46, at + 46 + nameLength),
    read: (trust) => readEntry(bytes, { method, crc, size, packed, offset: offset + shift }, trust !== undefined),
  };
}

function zip64(extra: Buffer): bigint[] {
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) {
      const values: bigint[] = [];
      for (let i = 0; i + 8 <= length; i += 8) values.push(extra.readBigUInt64LE(at + 4 + i));
      return values;
    }
    at += 4 + length;
  }
  return [];
}

interface Place {
  method: number;
  crc: number;
  size: number;
  packed: number;
  offset: number;
}

function readEntry(bytes: Buffer, place: Place, trust: boolean): Buffer {
  try {
    if (bytes.readUInt32LE(place.offset) !== LOCAL) throw new InvalidZip();
    const start = place.offset + 30 + bytes.readUInt16LE(place.offset + 26) + bytes.readUInt16LE(place.offset + 28);
    const packed = bytes.subarray(start, start + place.packed);
    const content = unpack(place.method, packed);
    if (packed.length !== place.packed || content.length !== place.size) throw new InvalidZip();
    if (!trust && crc32(content) !== place.crc) throw new InvalidZip();
    return content;
  } catch {
    throw new InvalidZip();
  }
}

function unpack(method: number, packed: Buffer): Buffer {
  if (method === 0) return packed;
  if (method === 8) return inflateRawSync(packed);
  throw new InvalidZip();
}
