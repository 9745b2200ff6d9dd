/** What one line of `_storage/documents.jsonl` says of its file. */
export interface FileMetadata {
  /** Base64. */
  readonly sha256: string | undefined;
  readonly size: number | undefined;
  readonly contentType: string | null;
  readonly internalId: string | undefined;
}

/** A record: SHA-256, internal id, size, content type, state. */
const [SHA256, INTERNAL, SIZE, TYPE, STATE] = [0, 32, 48, 56, 60] as const;
const RECORD_BYTES = 61;
const RECORDS_OF_A_PAGE = 1024;
/** Bits of a record's state. */
const [SEEN, NO_SHA256, NO_INTERNAL] = [1, 2, 4] as const;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The lines of a storage's files until each file comes. Packed, because there may be hundreds of thousands: as objects
 * with texts they would take five times the memory.
 */
export class StoredFiles {
  readonly #indexes = new Map<string, number>();
  readonly #pages: Buffer[] = [];
  readonly #types: (string | null)[] = [];
  readonly #typeIndexes = new Map<string | null, number>();
  /** Those that no backend writes: texts of another form than that of a SHA-256 or an internal id. */
  readonly #odd = new Map<number, FileMetadata>();

  has(id: string): boolean {
    return this.#indexes.has(id);
  }

  /** @param id not there yet */
  add(id: string, metadata: FileMetadata): void {
    const index = this.#indexes.size;
    this.#indexes.set(id, index);
    if (index % RECORDS_OF_A_PAGE === 0) this.#pages.push(Buffer.alloc(RECORDS_OF_A_PAGE * RECORD_BYTES));
    const record = this.#record(index);
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
    const index = this.#indexes.get(id);
    if (index === undefined) return undefined;
    const record = this.#record(index);
    const state = record[STATE] ?? 0;
    if ((state & SEEN) !== 0) return "seen";
    record[STATE] = state | SEEN;
    return this.#odd.get(index) ?? this.#read(record, state);
  }

  /** Those that were never taken. */
  *left(): Generator<string> {
    for (const [id, index] of this.#indexes) {
      if (((this.#record(index)[STATE] ?? 0) & SEEN) === 0) yield id;
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
