import { readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type InflateRaw, inflateRawSync } from "node:zlib";
import yauzl from "yauzl";
import { messageOf } from "../runner/errors.ts";
import { release } from "../system/memory.ts";
import { ContentCheck } from "./content-check.ts";
import { Defect } from "./defects.ts";
import { DirectoryReader } from "./directory-reader.ts";
import { unpack } from "./unpack.ts";
import { readZipEnd, type ZipEnd } from "./zip-end.ts";

const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const ENCRYPTED = 1;
const DESCRIPTOR = 8;
const STORED = 0;
const DEFLATED = 8;
/** Deflate cannot do better: 258 bytes from two bits. */
const DEFLATE_MOST = 1032;
const CHUNK = 256 * 1024;
/** Entries up to this are unpacked in one call: streams cost more than small entries do. */
const SMALL = 512 * 1024;

/** One entry of the central directory. */
export interface ArchiveEntry {
  readonly name: string;
  readonly size: number;
  readonly packed: number;
  readonly crc: number;
  readonly method: number;
  readonly flags: number;
  /** Of the local header. */
  readonly offset: number;
  /** The record in the central directory, as it is there. */
  readonly raw: yauzl.Entry;
}

/**
 * A ZIP read through its central directory: the backend's local headers hold no sizes, so stream readers fail on it
 * (contract 7.2). Nothing is believed: sizes, checksums, names of both headers, and the places of entries are compared.
 */
export class Archive {
  readonly #file: FileHandle;
  readonly #end: ZipEnd;
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;

  private constructor(path: string, file: FileHandle, size: number, end: ZipEnd) {
    this.path = path;
    this.#file = file;
    this.size = size;
    this.#end = end;
  }

  /** @throws Defect when its end is not that of a whole ZIP */
  static async open(path: string, where = "snapshot.zip"): Promise<Archive> {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      return new Archive(path, file, size, await readZipEnd(file, size, where));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Where the central directory begins: nothing of an entry lies behind it. */
  get directory(): number {
    return this.#end.directory;
  }

  /** All entries in the order of the directory. @throws Defect when the directory is damaged */
  async *entries(): AsyncGenerator<ArchiveEntry> {
    const { entries: count, directory, directoryEnd } = this.#end;
    let at = directory;
    let seen = 0;
    try {
      const reader = new DirectoryReader(this.#file);
      const options = { autoClose: false, decodeStrings: false, validateEntrySizes: false };
      const zip = await yauzl.fromRandomAccessReaderPromise(reader, this.size, options);
      for await (const raw of zip.eachEntry()) {
        at += CENTRAL_BYTES + raw.fileNameLength + raw.extraFieldLength + raw.fileCommentLength;
        seen += 1;
        yield entryOf(raw);
      }
    } catch (error) {
      if (error instanceof Defect) throw error;
      throw new Defect("directory-damaged", `entry ${seen + 1}`, `${messageOf(error)}.`, { cause: error });
    }
    if (seen !== count || at !== directoryEnd) {
      throw new Defect("directory-damaged", "snapshot.zip", `${count} entries do not fill it.`);
    }
  }

  /**
   * Hands over the content piece by piece; a piece is only valid until the sink returns. Never more than the declared
   * size. Returns where the packed data ends.
   * @throws Defect when it is not readable, or not what the directory says
   */
  async read(entry: ArchiveEntry, sink: (chunk: Buffer) => void): Promise<number> {
    refuseUnreadable(entry);
    const start = this.#dataStart(entry);
    const end = start + entry.packed;
    if (end > this.directory) throw new Defect("entry-unreadable", entry.name, "it would reach into the directory.");
    const check = new ContentCheck(entry, sink);
    if (entry.method === STORED) {
      for (const chunk of this.#reread(start, end)) check.take(chunk);
    } else if (entry.packed <= SMALL && entry.size <= SMALL) {
      const whole = this.#inflateSmall(entry, start);
      check.take(whole);
      release(whole);
    } else {
      await this.#inflate(entry, start, check);
    }
    check.end();
    return end;
  }

  /** The packed bytes as they are, in pieces. @throws Defect */
  async *packed(entry: ArchiveEntry): AsyncGenerator<Buffer> {
    const start = this.#dataStart(entry);
    const end = start + entry.packed;
    for (let at = start; at < end; at += CHUNK) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, end - at));
      this.#fill(chunk, at, this.path);
      yield chunk;
    }
  }

  #inflateSmall(entry: ArchiveEntry, start: number): Buffer {
    const packed = Buffer.allocUnsafe(entry.packed);
    this.#fill(packed, start, entry.name);
    const options = { info: true, chunkSize: Math.max(64, entry.size), maxOutputLength: entry.size + 1 } as const;
    let result: { buffer: Buffer; engine: InflateRaw };
    try {
      result = inflateRawSync(packed, options) as unknown as typeof result;
      release(packed);
    } catch (error) {
      if (error instanceof RangeError) throw new Defect("entry-size", entry.name, `more than the ${entry.size} bytes.`);
      throw unpackError(entry.name, error);
    }
    refuseRest(entry, result.engine.bytesWritten);
    return result.buffer;
  }

  async #inflate(entry: ArchiveEntry, start: number, check: ContentCheck): Promise<void> {
    const packed = this.#reread(start, start + entry.packed);
    let used: number;
    try {
      used = await unpack(packed, (chunk) => check.take(chunk));
    } catch (error) {
      throw error instanceof Defect ? error : unpackError(entry.name, error);
    }
    refuseRest(entry, used);
  }

  /** Where the packed data begins; the local header must be the directory's twin. */
  #dataStart(entry: ArchiveEntry): number {
    const name = entry.raw.fileNameRaw;
    if (entry.offset + entry.packed > this.directory) {
      throw new Defect("entry-unreadable", entry.name, "it would reach into the directory.");
    }
    const header = Buffer.allocUnsafe(LOCAL_BYTES + name.length);
    this.#fill(header, entry.offset, entry.name);
    if (header.readUInt32LE(0) !== LOCAL) throw new Defect("entry-unreadable", entry.name, "it has no local header.");
    const same =
      header.readUInt16LE(6) === entry.flags &&
      header.readUInt16LE(8) === entry.method &&
      header.readUInt16LE(26) === name.length &&
      header.subarray(LOCAL_BYTES).equals(name);
    if (!same) throw new Defect("entry-unreadable", entry.name, "its local header is that of another entry.");
    return entry.offset + header.length + header.readUInt16LE(28);
  }

  /** All pieces lie in one buffer: each is good until the next is asked for. */
  *#reread(start: number, end: number): Generator<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, end - start));
    for (let at = start; at < end; at += CHUNK) {
      const chunk = buffer.subarray(0, Math.min(CHUNK, end - at));
      this.#fill(chunk, at, this.path);
      yield chunk;
    }
  }

  /** At once: handing a read to another thread costs more than what it reads, and there may be a million of them. */
  #fill(buffer: Buffer, position: number, where: string): void {
    for (let at = 0; at < buffer.length; ) {
      const bytesRead = readSync(this.#file.fd, buffer, at, buffer.length - at, position + at);
      if (bytesRead === 0) throw new Defect("entry-unreadable", where, "the file ends before it.");
      at += bytesRead;
    }
  }
}

function entryOf(raw: yauzl.Entry): ArchiveEntry {
  return {
    name: decodeName(raw.fileNameRaw),
    size: raw.uncompressedSize,
    packed: raw.compressedSize,
    crc: raw.crc32,
    method: raw.compressionMethod,
    flags: raw.generalPurposeBitFlag,
    offset: raw.relativeOffsetOfLocalHeader,
    raw,
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeName(raw: Buffer): string {
  try {
    return utf8.decode(raw);
  } catch (error) {
    throw new Defect("name-encoding", raw.toString("latin1"), undefined, { cause: error });
  }
}

function refuseUnreadable({ name, flags, method, size, packed }: ArchiveEntry): void {
  if ((flags & ENCRYPTED) !== 0) throw new Defect("entry-encrypted", name);
  if (method !== STORED && method !== DEFLATED) throw new Defect("entry-method", name, `${method}`);
  if (method === STORED && size !== packed) throw new Defect("entry-size", name, "a stored entry of two sizes.");
  if (size > packed * DEFLATE_MOST) {
    throw new Defect("bomb", name, `${size.toLocaleString("en")} bytes from ${packed.toLocaleString("en")}.`);
  }
}

/** Bytes after the end of the deflated data would be read by nobody. */
function refuseRest({ name, packed }: ArchiveEntry, consumed: number): void {
  if (consumed !== packed) throw new Defect("entry-size", name, `${packed - consumed} packed bytes are left over.`);
}

function unpackError(name: string, cause: unknown): Defect {
  const system = cause instanceof Error && "syscall" in cause;
  if (system) throw cause;
  return new Defect("entry-unreadable", name, "its packed data is damaged.", { cause });
}

/** How many bytes may follow the packed data: a data descriptor of 32 or 64 bit, with or without signature. */
export function descriptorMost(flags: number): number {
  return (flags & DESCRIPTOR) === 0 ? 0 : 24;
}
