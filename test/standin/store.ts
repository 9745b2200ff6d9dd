/**
 * The stand-in's database: all tables of all components in memory, every commit written through to one SQLite file
 * (contract 1.4: rollback journal, a restart or a copy of the file has everything that was acknowledged).
 * Tables are copied on their first write in a transaction, so a snapshot is nothing but the old map.
 */
import { newId } from "./ids.ts";
import { Docs } from "./store-docs.ts";
import { StoreFile } from "./store-file.ts";
import { Snapshot, SYSTEM_TABLES, systemTablet, type TableData } from "./store-read.ts";
import type { Document, DocumentCheck, Fields, ReadTransaction, Store, TableInfo, WriteTransaction } from "./types.ts";

const FATAL_DELAY_MS = 20;
/** Smallest step of a Float64 of milliseconds in these years. */
const CREATION_STEP = 2 ** -11;
const FIRST_USER_TABLE = 10001;

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

interface Hooks {
  check: DocumentCheck;
  creationTime(): number;
  commit(writer: Writer): bigint;
  release(): void;
}

class Writer extends Snapshot implements WriteTransaction {
  /** For the file: documents by tablet, null where deleted. */
  readonly changes = new Map<string, Map<string, Document | null>>();
  /** Tables made, renamed or dropped. */
  readonly changedTables = new Map<string, TableInfo | null>();
  readonly keys = new Set<string>();
  #hooks: Hooks;
  #undo: (() => void)[] = [];
  #undoable = false;
  #drafts = new Set<string>();
  #after: (() => void)[] = [];
  #open = true;

  constructor(tables: Map<string, TableData>, ts: bigint, hooks: Hooks) {
    super(new Map(tables), ts);
    this.#hooks = hooks;
  }

  insert(component: string, table: string, fields: Fields, given?: { id?: string; creationTime?: number }): string {
    const info = this.table(component, table) ?? this.createTable(component, table);
    if (!this.tables.has(info.tablet)) this.#setTable(info);
    return this.insertTablet(info.tablet, fields, given);
  }

  insertTablet(tablet: string, fields: Fields, given: { id?: string; creationTime?: number } = {}): string {
    const { info } = this.#draft(tablet);
    const id = given.id ?? newId(info.number);
    const document = { ...fields, _id: id, _creationTime: given.creationTime ?? this.#hooks.creationTime() };
    if (info.state === "active") this.#hooks.check(this, info, document);
    this.#put(tablet, id, document);
    return id;
  }

  replace(component: string, id: string, fields: Fields): void {
    const { info, document } = this.#existing(component, id);
    const next = { ...fields, _id: id, _creationTime: document._creationTime };
    this.#hooks.check(this, info, next);
    this.#put(info.tablet, id, next);
  }

  delete(component: string, id: string): void {
    this.#put(this.#existing(component, id).info.tablet, id, null);
  }

  createTable(component: string, name: string, options: { number?: number; hidden?: boolean } = {}): TableInfo {
    const system = SYSTEM_TABLES[name];
    const hidden = options.hidden === true;
    const info: TableInfo = {
      tablet: system !== undefined && !hidden ? systemTablet(component, name) : crypto.randomUUID(),
      component,
      name,
      number: options.number ?? system ?? this.#nextNumber(component),
      state: hidden ? "hidden" : "active",
    };
    this.#setTable(info);
    return info;
  }

  deleteTable(tablet: string): void {
    const table = this.tables.get(tablet);
    if (table === undefined) return;
    const { info } = table;
    this.#remember(() => {
      this.tables.set(tablet, table);
      this.changedTables.set(tablet, info);
    });
    this.tables.delete(tablet);
    this.#drafts.delete(tablet);
    this.changedTables.set(tablet, null);
    this.#touch(info);
  }

  activateTable(tablet: string): void {
    const { info } = this.#draft(tablet);
    for (const other of this.allTables()) {
      if (other.tablet === tablet || other.component !== info.component || other.state !== "active") continue;
      if (other.name === info.name || other.number === info.number) this.deleteTable(other.tablet);
    }
    this.#setTable({ ...info, state: "active" });
  }

  savepoint(): number {
    this.#undoable = true;
    return this.#undo.length;
  }

  rollback(savepoint: number): void {
    for (const undo of this.#undo.splice(savepoint).reverse()) undo();
  }

  commit(): bigint {
    if (!this.#open) return this.ts;
    this.#open = false;
    try {
      const wrote = this.changes.size > 0 || this.changedTables.size > 0;
      const ts = wrote ? this.#hooks.commit(this) : this.ts;
      for (const action of this.#after) action();
      return ts;
    } finally {
      this.#hooks.release();
    }
  }

  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#hooks.release();
  }

  override close(): void {
    this.abort();
  }

  afterCommit(action: () => void): void {
    this.#after.push(action);
    this.#remember(() => this.#after.pop());
  }

  #existing(component: string, id: string): { info: TableInfo; document: Document } {
    const document = this.get(component, id);
    const info = this.tableOfId(component, id);
    if (document === null || info === undefined) throw new Error(`Update on nonexistent document ID ${id}`);
    return { info, document };
  }

  #nextNumber(component: string): number {
    const used = this.allTables().filter((table) => table.component === component);
    return Math.max(FIRST_USER_TABLE - 1, ...used.map((table) => table.number)) + 1;
  }

  #setTable(info: TableInfo): void {
    const before = this.tables.get(info.tablet);
    this.#remember(() => {
      if (before === undefined) this.tables.delete(info.tablet);
      else this.tables.set(info.tablet, before);
      this.changedTables.set(info.tablet, before?.info ?? null);
    });
    this.tables.set(info.tablet, { info, docs: before?.docs ?? new Docs() });
    if (before === undefined) this.#drafts.add(info.tablet);
    this.changedTables.set(info.tablet, info);
    this.#touch(info);
  }

  #touch(info: TableInfo): void {
    this.keys.add(info.tablet).add(`${info.component}/${info.name}`);
    if (SYSTEM_TABLES[info.name] === undefined) this.keys.add("tables");
  }

  /** The table's own copy of this transaction. */
  #draft(tablet: string): TableData {
    const table = this.tables.get(tablet);
    if (table === undefined) throw new Error(`There is no table ${tablet}.`);
    if (this.#drafts.has(tablet)) return table;
    const draft = { info: table.info, docs: table.docs.copy() };
    this.tables.set(tablet, draft);
    this.#drafts.add(tablet);
    return draft;
  }

  #put(tablet: string, id: string, document: Document | null): void {
    const table = this.#draft(tablet);
    const before = table.docs.get(id);
    const changes = this.changes.get(tablet) ?? new Map<string, Document | null>();
    this.changes.set(tablet, changes);
    this.keys.add(tablet);
    this.#remember(() => {
      if (before === undefined) table.docs.delete(id);
      else table.docs.set(id, before);
      changes.set(id, before ?? null);
    });
    changes.set(id, document);
    if (document === null) table.docs.delete(id);
    else table.docs.set(id, document);
  }

  /** Nothing can be taken back to before the first savepoint, so nothing is kept until then. */
  #remember(undo: () => void): void {
    if (this.#undoable) this.#undo.push(undo);
  }
}
