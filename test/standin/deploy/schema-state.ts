/**
 * What becomes of a schema: one is active, at most one pending (the model at the end of contract 5.2). Prepared by
 * start_push, waited for, made active by finish_push.
 */
import { randomBytes } from "node:crypto";
import { ApiError, internalError, type ReadTransaction, type WriteTransaction } from "../types.ts";
import { firstMisfit } from "./document-checks.ts";
import { diffIndexes, type Index, type IndexDiff, indexesOf, NO_INDEX_DIFF, type Schema, sameIndex } from "./schema.ts";
import {
  activeSchema,
  byState,
  INDEXES,
  parseSchema,
  SCHEMAS,
  type StoredSchema,
  schemaText,
  setState,
  stored,
  storedIndexes,
} from "./schema-documents.ts";

// What imports need of schemas.
export { activeTables, checkDocument, misfit, schemaReferences } from "./document-checks.ts";
export { activeSchema, activeSchemaText, isBackfilling } from "./schema-documents.ts";

/** A backfill takes some time even for few documents: without a wait, finish_push meets it (contract 5.2). */
const BACKFILL_MS = 15;
const BACKFILL_MS_PER_DOCUMENT = 0.02;

// ---------------------------------------------------------------- start_push

export interface Prepared {
  readonly schemaId: string | null;
  /** Undefined for a component without schema. */
  readonly indexDiff: IndexDiff | undefined;
}

/** What `evaluate_push` answers; nothing is stored, a new schema's id is thrown away. */
export function previewSchema(tx: ReadTransaction, component: string, schema: Schema | null): Prepared {
  if (schema === null) return { schemaId: null, indexDiff: undefined };
  const text = schemaText(schema);
  const known = stored(tx, component).find(
    (one) => one.text === text && ["active", "pending", "validated"].includes(one.state),
  );
  const indexDiff = diffIndexes(
    storedIndexes(tx, component).map((one) => one.index),
    indexesOf(schema),
  );
  return { schemaId: known?.id ?? newSchemaId(component), indexDiff };
}

/** Makes the schema the pending one (contract 5.2, model). */
export function prepareSchema(tx: WriteTransaction, component: string, schema: Schema | null): Prepared {
  const prepared = previewSchema(tx, component, schema);
  const pending = byState(tx, component, "pending", "validated");
  if (pending !== undefined && pending.id !== prepared.schemaId) {
    setState(tx, component, pending, { state: "overwritten", text: "" });
    // With its surplus indexes: those that neither the new schema nor the active one has.
    for (const one of storedIndexes(tx, component)) {
      if (!one.live && !isWanted(one.index, schema) && !isWanted(one.index, activeSchema(tx, component)))
        tx.delete(component, one.doc._id);
    }
  }
  if (schema === null || prepared.schemaId === null) return prepared;
  const readyAt = addIndexes(tx, component, prepared.indexDiff?.added_indexes ?? []);
  if (stored(tx, component).some((one) => one.id === prepared.schemaId)) return prepared;
  for (const old of stored(tx, component)) if (old.state === "failed") setState(tx, component, old, { text: "" });
  tx.insert(component, SCHEMAS, { schemaId: prepared.schemaId, state: "pending", text: schemaText(schema), readyAt });
  return prepared;
}

function isWanted(index: Index, schema: Schema | null): boolean {
  return indexesOf(schema).some((one) => one.name === index.name && sameIndex(one, index));
}

/** Replaces one of the same name that is not live; a live one goes at finish_push. When all are built, in ms. */
function addIndexes(tx: WriteTransaction, component: string, added: readonly Index[]): number {
  let latest = Date.now();
  for (const index of added) {
    for (const one of storedIndexes(tx, component))
      if (one.index.name === index.name && !one.live) tx.delete(component, one.doc._id);
    const table = index.name.split(".")[0] ?? "";
    ensureTable(tx, component, table);
    const documents = tx.count(component, table);
    const readyAt = Date.now() + BACKFILL_MS + documents * BACKFILL_MS_PER_DOCUMENT;
    tx.insert(component, INDEXES, { index: JSON.stringify(index), live: false, readyAt });
    latest = Math.max(latest, readyAt);
  }
  return latest;
}

/** An index makes its table at once, the others of a schema come with finish_push. */
function ensureTable(tx: WriteTransaction, component: string, name: string): void {
  if (tx.table(component, name) === undefined) tx.createTable(component, name);
}

/** `<16 bytes>|<16 bytes>` in base64url, the first half the same for a component. */
function newSchemaId(component: string): string {
  const table = Buffer.alloc(16);
  table.write(`schemas/${component}`.slice(-16));
  return `${table.toString("base64url")}|${randomBytes(16).toString("base64url")}`;
}

// ---------------------------------------------------------------- waiting

export type SchemaStatus =
  | { readonly state: "ready" }
  | {
      readonly state: "working";
      readonly validated: boolean;
      readonly indexesComplete: number;
      readonly indexesTotal: number;
      readonly readyAt: number;
    }
  | { readonly state: "failed"; readonly error: string; readonly tableName: string | null }
  | { readonly state: "overwritten" };

/** Throws 400 `InvalidId` or, for an id nobody made, 500. */
function find(tx: ReadTransaction, component: string, id: string): StoredSchema {
  if (!/^[\w-]{22}\|[\w-]{22}$/.test(id)) throw new ApiError(400, "InvalidId", `Id \`${id}\` was invalid.`);
  const found = stored(tx, component).find((one) => one.id === id);
  if (found === undefined) throw internalError();
  return found;
}

/** Ids of `prepare_schema`, which are those of documents (contract 5.4). */
export function documentIdOf(tx: ReadTransaction, component: string, id: string): string | undefined {
  return stored(tx, component).find((one) => one.id === id)?.doc._id;
}

/** The other way round; throws 500 for an id nobody made. */
export function schemaIdOf(tx: ReadTransaction, component: string, documentId: string): string {
  const found = stored(tx, component).find((one) => one.doc._id === documentId);
  if (found === undefined) throw internalError();
  return found.id;
}

/** Indexes that a schema wants, and whether each is built. */
export function indexProgress(tx: ReadTransaction, component: string, id: string): { index: Index; done: boolean }[] {
  const { text } = find(tx, component, id);
  if (text === "") return [];
  const existing = storedIndexes(tx, component);
  return indexesOf(parseSchema(text)).map((index) => ({
    index,
    done:
      (existing.find((one) => one.index.name === index.name && sameIndex(one.index, index))?.readyAt ?? 0) <=
      Date.now(),
  }));
}

/** Validates the documents once the time has come; stores what came out. */
export function schemaStatus(tx: WriteTransaction, component: string, id: string): SchemaStatus {
  const schema = find(tx, component, id);
  if (schema.state === "overwritten") return { state: "overwritten" };
  if (schema.state === "failed") return { state: "failed", error: schema.error, tableName: schema.tableName };
  if (schema.state === "active") return { state: "ready" };
  const parsed = parseSchema(schema.text);
  if (schema.readyAt > Date.now()) {
    const wanted = indexesOf(parsed);
    const building = storedIndexes(tx, component).filter(
      (one) => one.readyAt > Date.now() && wanted.some((index) => index.name === one.index.name),
    );
    const indexesComplete = wanted.length - building.length;
    return {
      state: "working",
      validated: !parsed.schemaValidation,
      indexesComplete,
      indexesTotal: wanted.length,
      readyAt: schema.readyAt,
    };
  }
  if (schema.state === "validated" || !parsed.schemaValidation) return { state: "ready" };
  const failure = firstMisfit(tx, component, parsed);
  if (failure === undefined) {
    setState(tx, component, schema, { state: "validated" });
    return { state: "ready" };
  }
  setState(tx, component, schema, { state: "failed", ...failure });
  return { state: "failed", ...failure };
}

// ---------------------------------------------------------------- finish_push

/** Throws what finish_push says about a schema that cannot become active (contract 5.2). */
export function requireReady(tx: WriteTransaction, component: string, id: string | null): void {
  if (id === null) return;
  const status = schemaStatus(tx, component, id);
  if (status.state === "overwritten")
    throw new ApiError(400, "SchemaAlreadyOverwritten", "Schema has already been overwritten.");
  if (status.state === "failed")
    throw new ApiError(400, "SchemaAlreadyFailed", `Schema has already been failed with error: ${status.error}`);
  if (status.state === "working") throw internalError();
}

/** Makes a ready schema (or none) the active one and its indexes live. */
export function activateSchema(
  tx: WriteTransaction,
  component: string,
  id: string | null,
): { indexDiff: IndexDiff; previous: string | null; next: string | null } {
  const active = byState(tx, component, "active");
  const next = id === null ? undefined : find(tx, component, id);
  const wanted = next === undefined ? [] : indexesOf(parseSchema(next.text));
  const indexDiff = makeLive(tx, component, wanted);
  for (const table of next === undefined ? [] : parseSchema(next.text).tables)
    ensureTable(tx, component, table.tableName);
  if (active !== undefined && active.id !== next?.id)
    setState(tx, component, active, { state: "overwritten", text: "" });
  if (next !== undefined && next.state !== "active") setState(tx, component, next, { state: "active" });
  return { indexDiff, previous: active?.text ?? null, next: next?.text ?? null };
}

/** Compares with the live indexes: unstaged ones are added, staged ones that go are not told (contract 5.2). */
function makeLive(tx: WriteTransaction, component: string, wanted: readonly Index[]): IndexDiff {
  const existing = storedIndexes(tx, component);
  const match = (index: Index) => existing.find((one) => one.index.name === index.name && sameIndex(one.index, index));
  const kept = wanted.map((index) => ({ index, before: match(index) }));
  const gone = existing.filter((one) => !kept.some(({ before }) => before === one));
  for (const one of gone) tx.delete(component, one.doc._id);
  for (const { index, before } of kept) {
    const fields = { index: JSON.stringify(index), live: !index.staged, readyAt: before?.readyAt ?? Date.now() };
    if (before === undefined) tx.insert(component, INDEXES, fields);
    else if (before.live !== fields.live || before.doc["index"] !== fields.index)
      tx.replace(component, before.doc._id, fields);
  }
  const unstaged = ({ index }: { index: Index }): Index => ({ ...index, staged: false });
  return {
    added_indexes: kept.filter(({ before }) => before?.live !== true).map(({ index }) => index),
    removed_indexes: gone
      .filter((one) => one.live)
      .map((one) => one.index)
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    disabled_indexes: kept.filter(({ index, before }) => before?.live === true && index.staged).map(unstaged),
    enabled_indexes: NO_INDEX_DIFF.enabled_indexes,
  };
}
