/**
 * The stand-in's database: all tables of all components in memory, every commit written through to one SQLite file
 * (contract 1.4: rollback journal, a restart or a copy of the file has everything that was acknowledged).
 * Tables are copied on their first write in a transaction, so a snapshot is nothing but the old map.
 */
import { StoreFile } from "./store-file.ts";
import { Snapshot, type TableData } from "./store-read.ts";
import { Writer } from "./store-write.ts";
import type { DocumentCheck, ReadTransaction, Store, WriteTransaction } from "./types.ts";

const FATAL_DELAY_MS = 20;
/** Smallest step of a Float64 of milliseconds in these years. */
const CREATION_STEP = 2 ** -11;

export class SqliteStore implements Store {
  /** True when this start made the database. */
  readonly fresh: boolean;
  /** Called with SQLite's message when a commit cannot be written; the backend then ends (contract 1.6, disk full). */
  onFatal: ((message: string) => void) | undefined;
  /** Checks a document against the schema before it is written to an active table; throws to refuse it. */
  checkDocument: DocumentCheck | undefined;
  #file: StoreFile;
  #tables: Map<string, TableData>;
  #lastCommit: bigint;
  #lastCreation = 0;
  #lock: Promise<void> = Promise.resolve();
  #listeners = new Set<(ts: bigint, keys: ReadonlySet<string>) => void>();

  /** Opens or makes the file. Throws with the texts of contract 1.4. */
  constructor(path: string) {
    this.#file = new StoreFile(path);
    this.#tables = this.#file.load();
    this.fresh = this.#tables.size === 0;
    this.#lastCommit = nowNs();
  }

  get lastCommit(): bigint {
    return this.#lastCommit;
  }

  beginRead(): ReadTransaction {
    return new Snapshot(this.#tables, this.#lastCommit);
  }

  async beginWrite(): Promise<WriteTransaction> {
    const before = this.#lock;
    let release = () => {};
    this.#lock = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    if (this.#file.changedByOthers()) this.#tables = this.#file.load();
    return new Writer(this.#tables, this.#lastCommit, {
      creationTime: () => this.#creationTime(),
      check: (tx, table, document) => this.checkDocument?.(tx, table, document),
      commit: (writer) => this.#commit(writer),
      release,
    });
  }

  read<T>(work: (tx: ReadTransaction) => T): T {
    return work(this.beginRead());
  }

  async write<T>(work: (tx: WriteTransaction) => T | Promise<T>): Promise<T> {
    const tx = await this.beginWrite();
    try {
      const result = await work(tx);
      tx.commit();
      return result;
    } finally {
      tx.abort();
    }
  }

  onCommit(listener: (ts: bigint, keys: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#file.close();
  }

  #creationTime(): number {
    const now = performance.timeOrigin + performance.now();
    this.#lastCreation = Math.max(now, this.#lastCreation + CREATION_STEP);
    return this.#lastCreation;
  }

  #commit(writer: Writer): bigint {
    try {
      this.#file.save(writer.changedTables, writer.changes);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      // The write is still answered (500); the process ends after that.
      setTimeout(() => this.onFatal?.(reason), FATAL_DELAY_MS);
      throw error;
    }
    const now = nowNs();
    this.#lastCommit = now > this.#lastCommit ? now : this.#lastCommit + 1n;
    this.#tables = writer.tables;
    for (const listener of this.#listeners) listener(this.#lastCommit, writer.keys);
    return this.#lastCommit;
  }
}

function nowNs(): bigint {
  return BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}
