/** Schemas and indexes of each component as documents of system tables, so that a push survives a restart. */
import type { Document, Fields, ReadTransaction, WriteTransaction } from "../types.ts";
import type { Index, Schema } from "./schema.ts";

export const SCHEMAS = "_schemas";
export const INDEXES = "_index";
export type State = "active" | "pending" | "validated" | "failed" | "overwritten";

/** A schema and what has become of it. */
export interface StoredSchema {
  readonly doc: Document;
  readonly id: string;
  readonly state: State;
  readonly text: string;
  /** Of a failed one. */
  readonly error: string;
  readonly tableName: string | null;
  /** When validation and backfill are done, ms since 1970. */
  readonly readyAt: number;
}

/** Parsed schemas by text; there are few. */
const parsedSchemas = new Map<string, Schema>();

export function schemaText(schema: Schema): string {
  return JSON.stringify(schema);
}

export function parseSchema(text: string): Schema {
  const known = parsedSchemas.get(text);
  if (known !== undefined) return known;
  const schema = JSON.parse(text) as Schema;
  if (parsedSchemas.size > 50) parsedSchemas.clear();
  parsedSchemas.set(text, schema);
  return schema;
}

export function stored(tx: ReadTransaction, component: string): StoredSchema[] {
  return tx.scan(component, SCHEMAS).map((doc) => ({
    doc,
    id: String(doc["schemaId"]),
    state: String(doc["state"]) as State,
    text: String(doc["text"]),
    error: String(doc["error"] ?? ""),
    tableName: typeof doc["tableName"] === "string" ? doc["tableName"] : null,
    readyAt: Number(doc["readyAt"]),
  }));
}

export function setState(tx: WriteTransaction, component: string, schema: StoredSchema, changes: Fields): void {
  const { _id, _creationTime, ...fields } = schema.doc;
  tx.replace(component, _id, { ...fields, ...changes });
}

export function byState(tx: ReadTransaction, component: string, ...states: State[]): StoredSchema | undefined {
  return stored(tx, component).find((one) => states.includes(one.state));
}

export function activeSchema(tx: ReadTransaction, component: string): Schema | null {
  const active = byState(tx, component, "active");
  return active === undefined ? null : parseSchema(active.text);
}

/** The text that `schemaDiff` shows. */
export function activeSchemaText(tx: ReadTransaction, component: string): string | null {
  return byState(tx, component, "active")?.text ?? null;
}

export interface StoredIndex {
  readonly doc: Document;
  readonly index: Index;
  /** Finished by a push and not staged: queries may use it. */
  readonly live: boolean;
  readonly readyAt: number;
}

export function storedIndexes(tx: ReadTransaction, component: string): StoredIndex[] {
  return tx.scan(component, INDEXES).map((doc) => ({
    doc,
    index: JSON.parse(String(doc["index"])) as Index,
    live: doc["live"] === true,
    readyAt: Number(doc["readyAt"]),
  }));
}

/** The live index of that name (`messages.by_author`). */
export function liveIndex(tx: ReadTransaction, component: string, name: string): Index | undefined {
  return storedIndexes(tx, component).find((one) => one.live && one.index.name === name)?.index;
}

/** Any state: to tell a missing index from one that may not be used yet. */
export function indexExists(tx: ReadTransaction, component: string, name: string): boolean {
  return storedIndexes(tx, component).some((one) => one.index.name === name);
}

/** Indexes of a table are being built (contract 5.2: an import into it is then refused). */
export function isBackfilling(tx: ReadTransaction, component: string, table: string): boolean {
  return storedIndexes(tx, component).some((one) => one.index.name.startsWith(`${table}.`) && one.readyAt > Date.now());
}
