/**
 * ZIP files in the form of the backend's exports, header by header (contract 7.2): ZIP64, streamed, deflate, no sizes in
 * local headers, and data descriptors whose sizes are four bytes of 0xff. That form is what trips readers, so it is kept.
 */
import { type FileHandle, open } from "node:fs/promises";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { crc32, createDeflateRaw, deflateRaw, deflateRawSync } from "node:zlib";

const deflate = promisify(deflateRaw);

const FLAGS = 0x0808;
const DEFLATE = 8;
const VERSION_NEEDED = 20;
const MADE_BY = 0x033f;
const ZIP64_VERSION = 46;
const ATTRIBUTES = 0x01a40000;
const UNKNOWN = 0xffffffff;
/** Where the true numbers stand in the ZIP64 record alone. */
const [FULL16, FULL32] = [0xffff, 0xffffffff];
/** Entries up to this are packed at once: of hundreds of thousands, handing each to another thread takes minutes. */
const AT_ONCE = 16 * 1024;

interface Entry {
  name: Buffer;
  crc: number;
  size: number;
  packed: number;
  offset: number;
}

export class ZipWriter {
  readonly #file: FileHandle;
  readonly #entries: Entry[] = [];
  #offset = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<ZipWriter> {
    return new ZipWriter(await open(path, "wx"));
  }

  async add(name: string, content: Uint8Array | string): Promise<void> {
    const bytes = Buffer.from(content);
    const packed = bytes.length <= AT_ONCE ? deflateRawSync(bytes) : await deflate(bytes);
    const encoded = Buffer.from(name);
    const entry = { name: encoded, crc: crc32(bytes), size: bytes.length, packed: packed.length, offset: this.#offset };
    this.#entries.push(entry);
    await this.#write(Buffer.concat([localHeader(entry), packed, descriptor(entry)]));
  }

  /** An entry that does not fit into memory, in pieces. */
  async addStream(name: string, content: Iterable<Uint8Array>): Promise<void> {
    const offset = this.#offset;
    const encoded = Buffer.from(name);
    const sums = { crc: 0, size: 0, packed: 0 };
    await this.#write(localHeader({ name: encoded, ...sums, offset }));
    const counted = function* (): Generator<Uint8Array> {
      for (const chunk of content) {
        sums.crc = crc32(chunk, sums.crc);
        sums.size += chunk.length;
        yield chunk;
      }
    };
    const start = this.#offset;
    for await (const chunk of Readable.from(counted(), { objectMode: true }).pipe(createDeflateRaw())) {
      await this.#write(chunk as Buffer);
    }
    const entry = { name: encoded, ...sums, packed: this.#offset - start, offset };
    this.#entries.push(entry);
    await this.#write(descriptor(entry));
  }

  /** Writes the central directory and closes the file; the whole size in bytes. */
  async finish(): Promise<number> {
    const start = this.#offset;
    await this.#write(Buffer.concat(this.#entries.map(centralRecord)));
    const size = this.#offset - start;
    await this.#write(endRecords(this.#entries.length, size, start));
    await this.#file.close();
    return this.#offset;
  }

  async abandon(): Promise<void> {
    await this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file.write(bytes);
    this.#offset += bytes.length;
  }
}

function localHeader({ name }: Entry): Buffer {
  const head = new Fields().u32(0x04034b50).u16(VERSION_NEEDED, FLAGS, DEFLATE, 0, 0).u32(0, UNKNOWN, UNKNOWN);
  return head.u16(name.length, 20).raw(name).u16(1, 16).u64(0, 0).bytes();
}

function descriptor({ crc }: Entry): Buffer {
  return new Fields().u32(0x08074b50, crc, UNKNOWN, UNKNOWN).bytes();
}

function centralRecord({ name, crc, size, packed, offset }: Entry): Buffer {
  const head = new Fields().u32(0x02014b50).u16(MADE_BY, VERSION_NEEDED, FLAGS, DEFLATE, 0, 0);
  head.u32(crc, UNKNOWN, UNKNOWN).u16(name.length, 28, 0, 0, 0).u32(ATTRIBUTES, UNKNOWN);
  return head.raw(name).u16(1, 24).u64(size, packed, offset).bytes();
}

function endRecords(count: number, size: number, start: number): Buffer {
  const end64 = new Fields()
    .u32(0x06064b50)
    .u64(44)
    .u16(MADE_BY, ZIP64_VERSION)
    .u32(0, 0)
    .u64(count, count, size, start);
  const locator = new Fields()
    .u32(0x07064b50, 0)
    .u64(start + size)
    .u32(1);
  const end = new Fields()
    .u32(0x06054b50)
    .u16(0, 0, ...[count, count].map((each) => Math.min(each, FULL16)))
    .u32(...[size, start].map((each) => Math.min(each, FULL32)))
    .u16(0);
  return Buffer.concat([end64.bytes(), locator.bytes(), end.bytes()]);
}

/** Little-endian numbers one after another. */
class Fields {
  readonly #parts: Buffer[] = [];

  u16(...values: number[]): this {
    return this.#add(values, 2, (buffer, value) => buffer.writeUInt16LE(value));
  }

  u32(...values: number[]): this {
    return this.#add(values, 4, (buffer, value) => buffer.writeUInt32LE(value));
  }

  u64(...values: number[]): this {
    return this.#add(values, 8, (buffer, value) => buffer.writeBigUInt64LE(BigInt(value)));
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes);
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #add(values: number[], width: number, write: (buffer: Buffer, value: number) => void): this {
    for (const value of values) {
      const buffer = Buffer.alloc(width);
      write(buffer, value);
      this.#parts.push(buffer);
    }
    return this;
  }
}
