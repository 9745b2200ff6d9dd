import type { FileHandle } from "node:fs/promises";
import { Defect } from "./defects.ts";

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const COMMENT_MOST = 0xffff;
const FULL16 = 0xffff;
const FULL32 = 0xffffffff;

/** Where the central directory lies, as the end records say. */
export interface ZipEnd {
  readonly entries: number;
  /** From the start of the file. */
  readonly directory: number;
  readonly directoryEnd: number;
}

/**
 * Reads the end records and compares all that they say with each other and with the file's length. yauzl believes them:
 * a smaller count would hide entries from it, and it stops at the first byte after the end without saying why.
 * @throws Defect
 */
export async function readZipEnd(file: FileHandle, size: number, where: string): Promise<ZipEnd> {
  const length = Math.min(size, END64_BYTES + LOCATOR_BYTES + END_BYTES + COMMENT_MOST);
  const tail = Buffer.alloc(length);
  await file.read(tail, 0, length, size - length);
  const at = endOf(tail);
  if (at < 0) throw new Defect("not-a-zip", where, "no end record was found.");
  const rest = tail.length - (at + END_BYTES + tail.readUInt16LE(at + 20));
  if (rest > 0) throw new Defect("trailing-data", where, rest.toLocaleString("en"));
  const classic = {
    entries: tail.readUInt16LE(at + 10),
    directoryBytes: tail.readUInt32LE(at + 12),
    directory: tail.readUInt32LE(at + 16),
  };
  const disks = tail.readUInt32LE(at + 4);
  const hereOnly = tail.readUInt16LE(at + 8) === classic.entries;
  if (disks !== 0 || !hereOnly) throw damaged(where, "it claims several disks.");
  const locator = at - LOCATOR_BYTES;
  if (locator < 0 || tail.readUInt32LE(locator) !== LOCATOR64) return checked(classic, size - length + at, where);
  return await zip64(file, { tail, locator, start: size - length, classic, where });
}

interface Counts {
  readonly entries: number;
  readonly directoryBytes: number;
  readonly directory: number;
}

/** The last end record whose comment ends within the file; its place in `tail`. */
function endOf(tail: Buffer): number {
  for (let at = tail.length - END_BYTES; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) !== END) continue;
    if (at + END_BYTES + tail.readUInt16LE(at + 20) <= tail.length) return at;
  }
  return -1;
}

interface Zip64 {
  readonly tail: Buffer;
  readonly locator: number;
  /** Where `tail` begins in the file. */
  readonly start: number;
  readonly classic: Counts;
  readonly where: string;
}

async function zip64(file: FileHandle, { tail, locator, start, classic, where }: Zip64): Promise<ZipEnd> {
  const offset = Number(tail.readBigUInt64LE(locator + 8));
  if (tail.readUInt32LE(locator + 4) !== 0 || tail.readUInt32LE(locator + 16) !== 1) {
    throw damaged(where, "it claims several disks.");
  }
  const record = Buffer.alloc(END64_BYTES);
  const fits = offset + END64_BYTES <= start + locator;
  if (fits) await file.read(record, 0, END64_BYTES, offset);
  if (!fits || record.readUInt32LE(0) !== END64) {
    const shift = start + locator - END64_BYTES - offset;
    const moved = shift > 0 && locator >= END64_BYTES && tail.readUInt32LE(locator - END64_BYTES) === END64;
    if (moved) throw new Defect("leading-data", where, shift.toLocaleString("en"));
    throw damaged(where, "its ZIP64 end record is not where it should be.");
  }
  const [onDisk, entries, directoryBytes, directory] = [24, 32, 40, 48].map((at) =>
    Number(record.readBigUInt64LE(at)),
  ) as [number, number, number, number];
  const counts = { entries, directoryBytes, directory };
  const ends = offset + 12 + Number(record.readBigUInt64LE(4)) === start + locator;
  const agrees =
    [FULL16, entries].includes(classic.entries) &&
    [FULL32, directoryBytes].includes(classic.directoryBytes) &&
    [FULL32, directory].includes(classic.directory);
  if (onDisk !== entries || record.readBigUInt64LE(16) !== 0n || !ends || !agrees) {
    throw damaged(where, "its two end records disagree.");
  }
  return checked(counts, offset, where);
}

/** @param end where the records after the directory begin */
function checked({ entries, directoryBytes, directory }: Counts, end: number, where: string): ZipEnd {
  const shift = end - (directory + directoryBytes);
  if (shift > 0) throw new Defect("leading-data", where, shift.toLocaleString("en"));
  if (shift < 0) throw damaged(where, "it would reach beyond the end record.");
  return { entries, directory, directoryEnd: end };
}

function damaged(where: string, detail: string): Defect {
  return new Defect("directory-damaged", where, detail);
}
