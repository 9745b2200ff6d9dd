/** The SQLite file behind the store: who reads it with SQLite's tools sees tables and documents, values as V8 blobs. */
import { statSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { deserialize, serialize } from "node:v8";
import { Docs } from "./store-docs.ts";
import type { TableData } from "./store-read.ts";
import type { Document, TableInfo } from "./types.ts";

const LAYOUT = `
  CREATE TABLE IF NOT EXISTS standin_tables (tablet TEXT PRIMARY KEY, component TEXT, name TEXT, number INTEGER, state TEXT);
  CREATE TABLE IF NOT EXISTS standin_documents (tablet TEXT, id TEXT, body BLOB, PRIMARY KEY (tablet, id));
`;

export class StoreFile {
  #db: DatabaseSync;
  #dataVersion: unknown;
  #setTable: StatementSync;
  #dropTable: StatementSync;
  #dropDocuments: StatementSync;
  #setDocument: StatementSync;
  #dropDocument: StatementSync;

  /** Throws what contract 1.4 lists: no such directory, not a database, empty, torn, read-only. */
  constructor(path: string) {
    const empty = statSync(path, { throwIfNoEntry: false })?.size === 0;
    if (empty) throw new Error("missing _tables.by_id global");
    try {
      this.#db = new DatabaseSync(path, { timeout: 5000 });
    } catch (error) {
      throw new Error(`unable to open database file: ${path}`, { cause: error });
    }
    // Nothing acknowledged is lost when the process is killed; surviving a power cut is not what a double is for.
    this.#db.exec("PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; PRAGMA synchronous = OFF;");
    const pages = process.env["STANDIN_MAX_PAGES"];
    if (pages !== undefined) this.#db.exec(`PRAGMA max_page_count = ${Number(pages)}`);
    this.#db.exec(LAYOUT);
    this.#setTable = this.#db.prepare("INSERT OR REPLACE INTO standin_tables VALUES (?, ?, ?, ?, ?)");
    this.#dropTable = this.#db.prepare("DELETE FROM standin_tables WHERE tablet = ?");
    this.#dropDocuments = this.#db.prepare("DELETE FROM standin_documents WHERE tablet = ?");
    this.#setDocument = this.#db.prepare("INSERT OR REPLACE INTO standin_documents VALUES (?, ?, ?)");
    this.#dropDocument = this.#db.prepare("DELETE FROM standin_documents WHERE tablet = ? AND id = ?");
    this.#dataVersion = this.#readVersion();
    // Found at the start and not with the first write, as the real one does.
    this.#db.exec("BEGIN IMMEDIATE; PRAGMA user_version = 1; COMMIT");
  }

  load(): Map<string, TableData> {
    const tables = new Map<string, TableData>();
    for (const row of this.#db.prepare("SELECT tablet, component, name, number, state FROM standin_tables").iterate()) {
      const info: TableInfo = {
        tablet: String(row["tablet"]),
        component: String(row["component"]),
        name: String(row["name"]),
        number: Number(row["number"]),
        state: row["state"] === "hidden" ? "hidden" : "active",
      };
      tables.set(info.tablet, { info, docs: new Docs() });
    }
    for (const row of this.#db.prepare("SELECT tablet, id, body FROM standin_documents ORDER BY rowid").iterate()) {
      if (!(row["body"] instanceof Uint8Array)) throw new Error("database disk image is malformed");
      const document = deserialize(row["body"]) as Document;
      tables.get(String(row["tablet"]))?.docs.set(String(row["id"]), document);
    }
    return tables;
  }

  /** True once after another process has written to the file (contract 1.4: two backends on one file). */
  changedByOthers(): boolean {
    const version = this.#readVersion();
    const changed = version !== this.#dataVersion;
    this.#dataVersion = version;
    return changed;
  }

  /** One SQLite transaction. */
  save(
    tables: ReadonlyMap<string, TableInfo | null>,
    changes: ReadonlyMap<string, ReadonlyMap<string, Document | null>>,
  ): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      for (const [tablet, documents] of changes) {
        for (const [id, document] of documents) {
          if (document === null) this.#dropDocument.run(tablet, id);
          else this.#setDocument.run(tablet, id, serialize(document));
        }
      }
      for (const [tablet, info] of tables) {
        if (info === null) {
          this.#dropTable.run(tablet);
          this.#dropDocuments.run(tablet);
        } else this.#setTable.run(tablet, info.component, info.name, info.number, info.state);
      }
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #readVersion(): unknown {
    return this.#db.prepare("PRAGMA data_version").get()?.["data_version"];
  }
}
