/**
 * Carrying out a confirmed import (contract 7.3): hidden tables, lines in batches, files, and one transaction at the
 * end that makes them visible. Only `append` to a table that is there writes into it directly.
 */

import { componentIdOf, ensureComponent, inComponent } from "../components.ts";
import { activeSchemaText, activeTables, isBackfilling, schemaReferences } from "../deploy/schema-state.ts";
import type { Knobs } from "../knobs.ts";
import type { Blobs, Fields, Like, Store, TableInfo, WriteTransaction } from "../types.ts";
import { existsAlready, type NewDocument, readDocument } from "./documents.ts";
import { ImportError } from "./import-error.ts";
import { DocumentCheck } from "./import-schema.ts";
import { type ImportMode, type PlannedTable, STORAGE } from "./plan.ts";
import type { ImportSource, TableUnit } from "./source.ts";
import { readFiles, type StoredDocument } from "./stored-files.ts";
import { checkAppend, checkNumber, keyOf, listedNumbers, wantedNumber } from "./table-numbers.ts";

/** Rows of one transaction; a failed append keeps the whole ones (contract 7.3). */
const BATCH = 8001;
const PROGRESS_STEP = 8000;

export interface RunContext {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly like: Like;
  readonly knobs: Pick<Knobs, "importRowDelayMs">;
  readonly mode: ImportMode;
  readonly source: ImportSource;
  readonly plan: readonly PlannedTable[];
  /** Changes the import's document; throws ImportCanceled when it is no longer in progress. */
  readonly report: (change: Report) => Promise<void>;
}

export interface Report {
  readonly progress?: string;
  readonly checkpoint?: string;
  /** Rows written so far, or the tablet, of one table. */
  readonly table?: { readonly key: string; readonly written?: number; readonly tablet?: string }[];
}

interface Target {
  readonly entry: PlannedTable;
  readonly info: TableInfo;
  /** Ids of a hidden table; an existing one is asked itself. */
  readonly ids: Set<string> | undefined;
}

export class ImportRun {
  readonly #context: RunContext;
  readonly #targets = new Map<string, Target>();
  readonly #written = new Map<string, number>();
  readonly #files: { component: string; documents: StoredDocument[] }[] = [];
  #newComponents: string[] = [];
  #schemas = "";

  constructor(context: RunContext) {
    this.#context = context;
  }

  /**
   * @param finish part of the last transaction; told how many documents were written
   * @throws ImportError, SystemFailure, ImportCanceled
   */
  async run(finish: (tx: WriteTransaction, rows: number) => void): Promise<void> {
    const { store, source, plan, report } = this.#context;
    const bad = source.tables.find((unit) => unit.table.startsWith("_"));
    if (bad !== undefined)
      throw ImportError.prefixed(`Invalid table name ${bad.table} starts with metadata prefix '_'`);
    await store.write((tx) => this.#prepare(tx));
    await report({ table: plan.map((entry) => this.#tabletOf(entry)) });
    for (const unit of source.tables) await this.#importTable(unit);
    for (const unit of source.files)
      this.#files.push({ component: unit.component, documents: await readFiles(unit, this.#context) });
    const rows = [...this.#written.values()].reduce((sum, count) => sum + count, 0);
    await store.write((tx) => {
      this.#activate(tx);
      finish(tx, rows);
    });
  }

  // -------------------------------------------------------------- tables

  #prepare(tx: WriteTransaction): void {
    const { plan, mode } = this.#context;
    const components = this.#components();
    this.#newComponents = components.filter(
      (component) => component !== "" && componentIdOf(tx, component) === undefined,
    );
    for (const component of components) ensureComponent(tx, component);
    this.#schemas = schemaTexts(tx, components);
    const listed = listedNumbers(this.#context.source);
    for (const entry of plan) {
      if (entry.table === STORAGE) continue;
      const existing = tx.table(entry.component, entry.table);
      const wanted = wantedNumber(tx, entry, listed);
      checkAppend(entry, mode, wanted, existing?.number);
      if (mode !== "append" && isBackfilling(tx, entry.component, entry.table)) {
        const advice = "so it cannot be replaced. Wait for indexes to complete backfilling";
        throw ImportError.prefixed(`${entry.table} is still backfilling indexes, ${advice}`);
      }
      this.#targets.set(keyOf(entry.component, entry.table), this.#target(tx, entry, existing, wanted));
    }
  }

  /** All that the file names, also those of which it only has an empty `_tables`. */
  #components(): string[] {
    const { plan, source } = this.#context;
    return [...new Set([...plan, ...source.numbers].map(({ component }) => component))];
  }

  #target(
    tx: WriteTransaction,
    entry: PlannedTable,
    existing: TableInfo | undefined,
    wanted: number | undefined,
  ): Target {
    if (this.#context.mode === "append" && existing !== undefined) return { entry, info: existing, ids: undefined };
    const taken = [...this.#targets.values()].some(
      (target) => target.entry.component === entry.component && target.info.number === wanted,
    );
    const number = entry.absent && taken ? undefined : wanted;
    if (number !== undefined && !entry.absent) {
      checkNumber(tx, entry, number, (name) => this.#isReplaced(entry.component, name));
    }
    const options = number === undefined ? { hidden: true } : { hidden: true, number };
    return { entry, info: tx.createTable(entry.component, entry.table, options), ids: new Set() };
  }

  #isReplaced(component: string, table: string): boolean {
    const { mode, plan } = this.#context;
    return mode !== "append" && plan.some((entry) => entry.component === component && entry.table === table);
  }

  #tabletOf(entry: PlannedTable): { key: string; tablet?: string } {
    const key = keyOf(entry.component, entry.table);
    if (entry.table === STORAGE)
      return this.#context.mode === "append" ? { key } : { key, tablet: crypto.randomUUID() };
    const target = this.#targets.get(key);
    return target?.ids === undefined ? { key } : { key, tablet: target.info.tablet };
  }

  async #importTable(unit: TableUnit): Promise<void> {
    const { report, knobs } = this.#context;
    const key = keyOf(unit.component, unit.table);
    const target = this.#targets.get(key);
    if (target === undefined) return;
    const shown = `"${unit.table}"${inComponent(unit.component)}`;
    await report({ progress: `Importing ${shown}` });
    let rows = 0;
    for (let at = 0; at < unit.rows.length; at += BATCH) {
      rows += await this.#writeBatch(unit, target, at);
      const written = (this.#written.get(key) ?? 0) + rows;
      const thousands = Math.floor(rows / PROGRESS_STEP) * PROGRESS_STEP;
      const progress = `Importing ${shown} (${thousands.toLocaleString("en-US")} documents)`;
      if (thousands > 0) await report({ progress, table: [{ key, written }] });
      if (knobs.importRowDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, knobs.importRowDelayMs));
    }
    const total = (this.#written.get(key) ?? 0) + rows;
    this.#written.set(key, total);
    const done = `Imported ${shown} (${total.toLocaleString("en-US")} documents)`;
    await report({ progress: done, checkpoint: done, table: [{ key, written: total }] });
  }

  /** Up to BATCH rows from `start` in one transaction; their number. */
  #writeBatch(unit: TableUnit, target: Target, start: number): Promise<number> {
    const rows = unit.rows.slice(start, start + BATCH);
    const table = { name: unit.table, number: target.info.number };
    return this.#context.store.write((tx) => {
      const check = new DocumentCheck(
        tx,
        target.info,
        [...this.#targets.values()].map((each) => each.info),
      );
      const batch = new Set<string>();
      for (const [i, row] of rows.entries()) {
        const document = readDocument(row, start + i + 1, unit.encoding, table);
        this.#refuseTwins(tx, target, document, batch);
        check.check(document.fields);
        insert(tx, target.info.tablet, document);
      }
      for (const id of batch) target.ids?.add(id);
      return rows.length;
    });
  }

  #refuseTwins(tx: WriteTransaction, target: Target, { id }: NewDocument, batch: Set<string>): void {
    const { component, table } = target.entry;
    if (batch.has(id)) throw ImportError.prefixed(`Objects in table "${table}" have duplicate _id fields`);
    const there = target.ids === undefined ? tx.get(component, id) !== null : target.ids.has(id);
    if (there) throw existsAlready(id);
    batch.add(id);
  }

  // -------------------------------------------------------------- activation

  #activate(tx: WriteTransaction): void {
    if (schemaTexts(tx, this.#components()) !== this.#schemas) {
      const advice = "Avoid modifying schema.ts while importing tables";
      throw ImportError.prefixed(`Could not complete import because schema changed. ${advice}`);
    }
    this.#checkReferences(tx);
    this.#checkNewComponents();
    this.#dropAbsent(tx);
    for (const { entry, info, ids } of this.#targets.values()) {
      if (ids === undefined || (entry.absent && !isInSchema(tx, entry))) continue;
      tx.activateTable(info.tablet);
    }
    for (const { component, documents } of this.#files) this.#replaceFiles(tx, component, documents);
  }

  /** Tables that the file has not: emptied when the schema has them, else gone. */
  #dropAbsent(tx: WriteTransaction): void {
    for (const { entry, info } of this.#targets.values()) {
      if (!entry.absent || isInSchema(tx, entry)) continue;
      const live = tx.table(entry.component, entry.table);
      if (live !== undefined) tx.deleteTable(live.tablet);
      tx.deleteTable(info.tablet);
    }
  }

  /** A table that others refer to keeps its number, unless they are replaced too or empty. */
  #checkReferences(tx: WriteTransaction): void {
    for (const { entry, info, ids } of this.#targets.values()) {
      const live = tx.table(entry.component, entry.table);
      if (ids === undefined || live === undefined || live.number === info.number) continue;
      const from = schemaReferences(tx, entry.component).find(
        ({ table, target }) =>
          target === entry.table && !this.#isReplaced(entry.component, table) && tx.count(entry.component, table) > 0,
      );
      if (from === undefined) continue;
      const what = `Import changes table '${entry.table}' which is referenced by '${from.table}' in the schema`;
      throw ImportError.prefixed(what);
    }
  }

  /** M14 refuses a component that did not exist and has tables and an empty `_storage` (contract 7.3). */
  #checkNewComponents(): void {
    const { plan, mode, like } = this.#context;
    if (mode === "append" || like === "head") return;
    for (const component of this.#newComponents) {
      const empty = plan.some((entry) => entry.component === component && entry.table === STORAGE && entry.total === 0);
      const other = plan.find((entry) => entry.component === component && entry.table !== STORAGE);
      if (!empty || other === undefined) continue;
      const advice = "To delete all existing tables, import with `npx convex import --replace-all`.";
      const what = `New table \`_file_storage\`${inComponent(component)} has IDs that conflict with existing table`;
      throw ImportError.prefixed(`${what} \`${other.table}\`. ${advice}`);
    }
  }

  #replaceFiles(tx: WriteTransaction, component: string, documents: StoredDocument[]): void {
    if (this.#context.mode !== "append") for (const file of tx.scan(component, STORAGE)) tx.delete(component, file._id);
    for (const { fields, id, creationTime } of documents) {
      tx.insert(component, STORAGE, fields, creationTime === undefined ? { id } : { id, creationTime });
    }
  }
}

function insert(
  tx: WriteTransaction,
  tablet: string,
  { fields, id, creationTime }: { fields: Fields } & NewDocument,
): void {
  tx.insertTablet(tablet, fields, creationTime === undefined ? { id } : { id, creationTime });
}

function isInSchema(tx: WriteTransaction, { component, table }: PlannedTable): boolean {
  return activeTables(tx, component).includes(table);
}

function schemaTexts(tx: WriteTransaction, components: readonly string[]): string {
  return JSON.stringify(components.map((component) => activeSchemaText(tx, component)));
}
