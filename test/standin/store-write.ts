/** A transaction that writes. Tables are copied on their first write, so readers keep what they began with. */
import { newId } from "./ids.ts";
import { Docs } from "./store-docs.ts";
import { Snapshot, SYSTEM_TABLES, systemTablet, type TableData } from "./store-read.ts";
import type { Document, DocumentCheck, Fields, TableInfo, WriteTransaction } from "./types.ts";

const FIRST_USER_TABLE = 10001;

/** What a writer needs of its store. */
export interface Hooks {
  check: DocumentCheck;
  creationTime(): number;
  commit(writer: Writer): bigint;
  release(): void;
}

export class Writer extends Snapshot implements WriteTransaction {
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
