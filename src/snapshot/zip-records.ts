/** The records of a ZIP64 file, always with 64-bit sizes, as the backend writes its own (contract 7.2). */

const VERSION = 45;
const UNIX = 0x0300;
const FULL32 = 0xffffffff;
const FULL16 = 0xffff;
/** Sizes stand in the local header, so there is no data descriptor. */
const NO_DESCRIPTOR = ~0x0008;
const ATTRIBUTES = 0x81a40000;
const ZIP64_EXTRA = 1;

export interface WrittenEntry {
  readonly name: Buffer;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly size: number;
  readonly packed: number;
  readonly offset: number;
}

export function localHeader({ name, flags, method, crc, size, packed }: WrittenEntry): Buffer {
  const header = Buffer.alloc(30 + name.length + 20);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(VERSION, 4);
  header.writeUInt16LE(flags & NO_DESCRIPTOR, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt32LE(crc, 14);
  header.writeUInt32LE(FULL32, 18);
  header.writeUInt32LE(FULL32, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(20, 28);
  name.copy(header, 30);
  writeZip64(header, 30 + name.length, [size, packed]);
  return header;
}

export function centralRecord({ name, flags, method, crc, size, packed, offset }: WrittenEntry): Buffer {
  const record = Buffer.alloc(46 + name.length + 28);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt16LE(UNIX | VERSION, 4);
  record.writeUInt16LE(VERSION, 6);
  record.writeUInt16LE(flags & NO_DESCRIPTOR, 8);
  record.writeUInt16LE(method, 10);
  record.writeUInt32LE(crc, 16);
  record.writeUInt32LE(FULL32, 20);
  record.writeUInt32LE(FULL32, 24);
  record.writeUInt16LE(name.length, 28);
  record.writeUInt16LE(28, 30);
  record.writeUInt32LE(ATTRIBUTES, 38);
  record.writeUInt32LE(FULL32, 42);
  name.copy(record, 46);
  writeZip64(record, 46 + name.length, [size, packed, offset]);
  return record;
}

/** @param start where the central directory begins @param bytes its length */
export function endRecords(entries: number, start: number, bytes: number): Buffer {
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeUInt16LE(UNIX | VERSION, 12);
  end.writeUInt16LE(VERSION, 14);
  for (const [i, value] of [entries, entries, bytes, start].entries()) end.writeBigUInt64LE(BigInt(value), 24 + 8 * i);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(start + bytes), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.writeUInt16LE(Math.min(entries, FULL16), 84);
  end.writeUInt16LE(Math.min(entries, FULL16), 86);
  end.writeUInt32LE(Math.min(bytes, FULL32), 88);
  end.writeUInt32LE(Math.min(start, FULL32), 92);
  return end;
}

function writeZip64(record: Buffer, at: number, values: readonly number[]): void {
  record.writeUInt16LE(ZIP64_EXTRA, at);
  record.writeUInt16LE(8 * values.length, at + 2);
  for (const [i, value] of values.entries()) record.writeBigUInt64LE(BigInt(value), at + 4 + 8 * i);
}
