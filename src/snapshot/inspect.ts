import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { Archive, type ArchiveEntry, descriptorMost } from "./archive.ts";
import { Defect } from "./defects.ts";
import { placeOf, tableKey } from "./entries.ts";
import { Findings } from "./findings.ts";
import type { Inspection } from "./inspection.ts";
import { judgeLayout, type Parts } from "./layout.ts";
import { LineScanner } from "./line-scanner.ts";
import { NumbersReader } from "./numbers-reader.ts";
import { firstRepeatedId } from "./repeated-ids.ts";
import { restoreFindings } from "./roads.ts";
import { SchemaReader } from "./schema-reader.ts";
import { StorageReader } from "./storage-reader.ts";
import { TableReader } from "./table-reader.ts";
import { TextSet } from "./text-set.ts";

const GIB = 1024 ** 3;
/** Beyond both, an archive is taken for a bomb: real snapshots shrink by 5 to 30, rarely by 100. */
const BOMB_BYTES = 64 * GIB;
const BOMB_RATIO = 100;

export interface InspectOptions {
  /** SHA-256 of the file where it was computed while the file was written; else it is read once more for it. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
}

/**
 * Reads a snapshot once and tells what is in it and what a restore of it would lose, change or refuse. Whatever is wrong
 * with the file is a finding; only a file that cannot be opened or read at all is an error. Memory stays flat in the
 * number and size of documents; each stored file takes some 200 bytes, and leaves garbage that `inspectAside` bounds.
 */
export async function inspectSnapshot(path: string, options: InspectOptions = {}): Promise<Inspection> {
  const inspector = new Inspector();
  const { size: bytes } = await stat(path);
  await inspector.read(path, options.signal);
  const sha256 = options.sha256 ?? (await fileSha256(path, options.signal));
  return inspector.result(bytes, sha256);
}

/** Takes the pieces of one entry. */
interface Reader {
  push(chunk: Buffer): void;
  end(): void;
}

const NOTHING: Reader = { push: () => undefined, end: () => undefined };

class Inspector {
  readonly #findings = new Findings();
  readonly #parts: Parts = { tables: new Map(), schemas: new Map(), numbers: new Map(), storage: new Map() };
  readonly #names = new TextSet();
  readonly #scanner = new LineScanner();
  #readme = false;
  readonly #folders = new Set<string>();
  /** Of each entry, one after another: its start, the end of its data, and the latest end of what may follow that. */
  readonly #places: number[] = [];
  #uncompressed = 0;
  #zipInside: string | undefined;

  async read(path: string, signal?: AbortSignal): Promise<void> {
    const where = basename(path);
    let archive: Archive;
    try {
      archive = await Archive.open(path, where);
    } catch (error) {
      return this.#take(error);
    }
    try {
      for await (const entry of archive.entries()) {
        signal?.throwIfAborted();
        await this.#entry(archive, entry);
      }
      this.#judgePlaces(archive);
    } catch (error) {
      this.#take(error);
    } finally {
      await archive.close();
    }
  }

  result(bytes: number, sha256: string): Inspection {
    const findings = this.#findings;
    const encoding = judgeLayout(this.#parts, findings);
    if (this.#parts.tables.size === 0) this.#judgeEmpty();
    for (const folder of this.#folders) findings.add("folder-in-front", folder);
    const tables = [...this.#parts.tables.values()].map(({ facts }) => facts);
    const storage = [...this.#parts.storage.values()].filter(({ listed }) => listed).map(({ facts }) => facts);
    for (const found of restoreFindings({ tables, storage })) findings.push(found);
    return {
      tables: tables.toSorted((a, b) => compare(a.component, b.component) || compare(a.name, b.name)),
      storage: storage.length === 0 ? undefined : storage.toSorted((a, b) => compare(a.component, b.component)),
      documents: tables.reduce((sum, table) => sum + table.documents, 0),
      files: storage.reduce((sum, each) => sum + each.files, 0),
      bytes,
      uncompressedBytes: this.#uncompressed,
      sha256,
      encoding,
      findings: findings.all,
    };
  }

  #take(error: unknown): void {
    if (!(error instanceof Defect)) throw error;
    this.#findings.push(error.finding);
  }

  async #entry(archive: Archive, entry: ArchiveEntry): Promise<void> {
    if (!this.#names.add(entry.name)) this.#findings.add("entry-twice", entry.name);
    this.#uncompressed += entry.size;
    if (this.#uncompressed > BOMB_BYTES && this.#uncompressed > archive.size * BOMB_RATIO) {
      throw new Defect("bomb", entry.name, `more than ${BOMB_BYTES / GIB} GiB.`);
    }
    const reader = this.#readerOf(entry);
    try {
      const end = await archive.read(entry, (chunk) => reader.push(chunk));
      this.#places.push(entry.offset, end, end + descriptorMost(entry.flags));
      reader.end();
      if (reader instanceof TableReader && reader.unordered) await this.#judgeIds(archive, entry, reader);
    } catch (error) {
      if (reader instanceof TableReader) reader.settle();
      this.#take(error);
    }
  }

  async #judgeIds(archive: Archive, entry: ArchiveEntry, table: TableReader): Promise<void> {
    const line = await firstRepeatedId(archive, entry, table.documents, this.#scanner);
    if (line !== undefined) table.addRepeatedId(line);
  }

  #readerOf({ name, size }: ArchiveEntry): Reader {
    const { entry, folder } = placeOf(name);
    const { tables, schemas, numbers } = this.#parts;
    if (folder !== "" && entry.role !== "unknown" && entry.role !== "folder") this.#folders.add(folder);
    switch (entry.role) {
      case "documents": {
        const key = tableKey(entry.component, entry.table);
        return this.#once(tables, key, new TableReader(entry.component, entry.table, name, this.#scanner), name);
      }
      case "schema":
        return this.#once(schemas, tableKey(entry.component, entry.table), new SchemaReader(name, this.#scanner), name);
      case "numbers":
        return this.#once(
          numbers,
          entry.component,
          new NumbersReader(entry.component, name, this.#findings, this.#scanner),
          name,
        );
      case "metadata": {
        const storage = this.#storage(entry.component);
        if (storage.listed) this.#findings.add("table-twice", name);
        return storage.lines();
      }
      case "file":
        return this.#storage(entry.component).file(entry.id, name, size);
      case "defect":
        this.#findings.add(entry.kind, name, entry.detail);
        return NOTHING;
      case "unknown":
        if (name.toLowerCase().endsWith(".zip")) this.#zipInside ??= name;
        this.#findings.add("unknown-entry", name);
        return NOTHING;
      case "readme":
        this.#readme = true;
        return NOTHING;
      default:
        return NOTHING;
    }
  }

  /** The second of a kind is read for its checksum, and not counted. */
  #once<T extends Reader>(parts: Map<string, T>, key: string, reader: T, name: string): Reader {
    if (parts.has(key)) this.#findings.add("table-twice", name);
    else parts.set(key, reader);
    return reader;
  }

  #storage(component: string): StorageReader {
    const storage = this.#parts.storage.get(component) ?? new StorageReader(component, this.#findings, this.#scanner);
    this.#parts.storage.set(component, storage);
    return storage;
  }

  /** A snapshot of a deployment without any table has a `_tables` for the root all the same. */
  #judgeEmpty(): void {
    const { numbers, storage } = this.#parts;
    const rootNumbers = numbers.get("");
    if (this.#readme && rootNumbers !== undefined && rootNumbers.byName.size === 0) return;
    if ([...storage.values()].some(({ listed, empty }) => listed && !empty)) return;
    const inside = this.#zipInside;
    const detail = inside === undefined ? "it is no snapshot, or its tables were lost" : `it is a ZIP of ${inside}`;
    this.#findings.add("no-tables", "snapshot.zip", detail);
  }

  /** Entries must lie one behind another, as the backend writes them; the directory's order does not matter. */
  #judgePlaces(archive: Archive): void {
    const places = this.#places;
    const order = Uint32Array.from({ length: places.length / 3 }, (_, i) => i * 3);
    order.sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
    let taken = 0;
    let free = 0;
    for (const at of order) {
      const [start = 0, end = 0, behind = 0] = places.slice(at, at + 3);
      if (start < taken) this.#findings.add("entries-overlap", `byte ${start}`);
      if (start > free) {
        this.#findings.add(free === 0 ? "leading-data" : "entries-gap", `byte ${start}`, `${start - free}`);
      }
      taken = Math.max(taken, end);
      free = Math.max(free, behind);
    }
    if (archive.directory > free) this.#findings.add("entries-gap", "the directory", `${archive.directory - free}`);
  }
}

async function fileSha256(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const stream = createReadStream(path, { highWaterMark: 1024 * 1024, ...(signal === undefined ? {} : { signal }) });
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** By code units, the same on every machine. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
