import { murmur } from "./digest.ts";

/** What one line of `_storage/documents.jsonl` says of its file. */
export interface FileMetadata {
  /** Base64. */
  readonly sha256: string | undefined;
  readonly size: number | undefined;
  readonly contentType: string | null;
  readonly internalId: string | undefined;
}

/** A record: SHA-256, internal id, size, content type, state, length of the id and the id. */
const [SHA256, INTERNAL, SIZE, TYPE, STATE, LENGTH, ID] = [0, 32, 48, 56, 60, 61, 62] as const;
const LONGEST_ID = 37;
const RECORD_BYTES = ID + LONGEST_ID;
const FEWEST_PLACES = 1024;
const RECORDS_OF_A_PAGE = 1024;
/** Bits of a record's state. */
const [SEEN, NO_SHA256, NO_INTERNAL] = [1, 2, 4] as const;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The lines of a storage's files until each file comes. Packed, because there may be hundreds of thousands: as objects
 * with texts they would take five times the memory.
 */
export class StoredFiles {
  /** Open addressing by the hash of the id: the number of a record, from 1; 0 is a free place. */
  #places = new Int32Array(FEWEST_PLACES);
  #size = 0;
  readonly #hash = new Int32Array(4);
  readonly #pages: Buffer[] = [];
  readonly #types: (string | null)[] = [];
  readonly #typeIndexes = new Map<string | null, number>();
  /** Those that no backend writes: texts of another form than that of a SHA-256 or an internal id. */
  readonly #odd = new Map<number, FileMetadata>();

  has(id: string): boolean {
    return this.#places[this.#placeOf(Buffer.from(id))] !== 0;
  }

  /** @param id of a document, not there yet */
  add(id: string, metadata: FileMetadata): void {
    const index = this.#size;
    const bytes = Buffer.from(id);
    if (bytes.length > LONGEST_ID) throw new Error("no id of a file");
    if (index % RECORDS_OF_A_PAGE === 0) this.#pages.push(Buffer.alloc(RECORDS_OF_A_PAGE * RECORD_BYTES));
    const record = this.#record(index);
    record[LENGTH] = bytes.copy(record, ID);
    this.#places[this.#placeOf(bytes)] = index + 1;
    this.#size += 1;
    if (this.#size * 2 > this.#places.length) this.#grow();
    const { sha256, size, contentType, internalId } = metadata;
    const digest = Buffer.from(sha256 ?? "", "base64");
    const uuid = internalId === undefined || UUID.test(internalId);
    if (!uuid || (sha256 !== undefined && (digest.length !== 32 || digest.toString("base64") !== sha256))) {
      this.#odd.set(index, metadata);
      return;
    }
    digest.copy(record, SHA256);
    record.write((internalId ?? "").replaceAll("-", ""), INTERNAL, "hex");
    record.writeDoubleLE(size ?? Number.NaN, SIZE);
    record.writeUInt32LE(this.#typeIndex(contentType), TYPE);
    record[STATE] = (sha256 === undefined ? NO_SHA256 : 0) | (internalId === undefined ? NO_INTERNAL : 0);
  }

  /** What the line of this file says; `seen` when it was taken before, undefined without a line. */
  take(id: string): FileMetadata | "seen" | undefined {
    const index = (this.#places[this.#placeOf(Buffer.from(id))] ?? 0) - 1;
    if (index < 0) return undefined;
    const record = this.#record(index);
    const state = record[STATE] ?? 0;
    if ((state & SEEN) !== 0) return "seen";
    record[STATE] = state | SEEN;
    return this.#odd.get(index) ?? this.#read(record, state);
  }

  /** Those that were never taken. */
  *left(): Generator<string> {
    for (let index = 0; index < this.#size; index += 1) {
      const record = this.#record(index);
      if (((record[STATE] ?? 0) & SEEN) === 0) yield idOf(record).toString();
    }
  }

  /** Where the number of an id's record is, or would be. */
  #placeOf(id: Buffer): number {
    murmur(id, this.#hash);
    const last = this.#places.length - 1;
    for (let place = (this.#hash[0] ?? 0) & last; ; place = (place + 1) & last) {
      const number = this.#places[place] ?? 0;
      if (number === 0 || idOf(this.#record(number - 1)).equals(id)) return place;
    }
  }

  #grow(): void {
    this.#places = new Int32Array(this.#places.length * 2);
    for (let index = 0; index < this.#size; index += 1) {
      this.#places[this.#placeOf(idOf(this.#record(index)))] = index + 1;
    }
  }

  #record(index: number): Buffer {
    const start = (index % RECORDS_OF_A_PAGE) * RECORD_BYTES;
    const page = this.#pages[Math.floor(index / RECORDS_OF_A_PAGE)];
    if (page === undefined) throw new Error(`no record ${index}`);
    return page.subarray(start, start + RECORD_BYTES);
  }

  #typeIndex(contentType: string | null): number {
    const known = this.#typeIndexes.get(contentType);
    if (known !== undefined) return known;
    this.#typeIndexes.set(contentType, this.#types.length);
    return this.#types.push(contentType) - 1;
  }

  #read(record: Buffer, state: number): FileMetadata {
    const size = record.readDoubleLE(SIZE);
    const internalId = record.toString("hex", INTERNAL, SIZE).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    return {
      sha256: (state & NO_SHA256) === 0 ? record.toString("base64", SHA256, INTERNAL) : undefined,
      size: Number.isNaN(size) ? undefined : size,
      contentType: this.#types[record.readUInt32LE(TYPE)] ?? null,
      internalId: (state & NO_INTERNAL) === 0 ? internalId : undefined,
    };
  }
}

function idOf(record: Buffer): Buffer {
  return record.subarray(ID, ID + (record[LENGTH] ?? 0));
}
