/** Database queries as the `convex` library serialises them: source, filters, limits, pages. */

import type { Index } from "../deploy/schema.ts";
import { indexExists, liveIndex } from "../deploy/schema-documents.ts";
import type { Document, ReadTransaction } from "../types.ts";
import { compare, encode, equal, fromJson } from "../values.ts";
import { evaluate, fieldAt, isTrue, maybe } from "./filters.ts";

interface RangeStep {
  readonly type: "Eq" | "Gt" | "Gte" | "Lt" | "Lte";
  readonly fieldPath: string;
  readonly value: unknown;
}

interface SearchFilter {
  readonly type: "Search" | "Eq";
  readonly fieldPath: string;
  readonly value: unknown;
}

export interface SerializedQuery {
  readonly source:
    | { readonly type: "FullTableScan"; readonly tableName: string; readonly order: "asc" | "desc" | null }
    | {
        readonly type: "IndexRange";
        readonly indexName: string;
        readonly range: readonly RangeStep[];
        readonly order: "asc" | "desc" | null;
      }
    | { readonly type: "Search"; readonly indexName: string; readonly filters: readonly SearchFilter[] };
  readonly operators: readonly ({ readonly filter: unknown } | { readonly limit: number })[];
}

const CREATION_ORDER = ["_creationTime"];
const MAX_SEARCH_RESULTS = 1024;

/** All documents a query gives, in order. Throws Error with what the caller did wrong. */
export function runQuery(tx: ReadTransaction, component: string, query: SerializedQuery): Document[] {
  return applyOperators(sourceDocuments(tx, component, query.source).documents, query);
}

function applyOperators(documents: readonly Document[], { operators }: SerializedQuery): Document[] {
  let rest = [...documents];
  for (const operator of operators) {
    if ("limit" in operator) rest = rest.slice(0, operator.limit);
    else rest = rest.filter((document) => isTrue(evaluate(operator.filter, document)));
  }
  return rest;
}

interface Ordered {
  readonly documents: Document[];
  /** What orders them; undefined for search results. */
  readonly fields: readonly string[] | undefined;
  readonly descending: boolean;
}

function sourceDocuments(tx: ReadTransaction, component: string, source: SerializedQuery["source"]): Ordered {
  if (source.type === "FullTableScan") {
    const documents = [...tx.scan(component, source.tableName)];
    const descending = source.order === "desc";
    return { documents: descending ? documents.reverse() : documents, fields: CREATION_ORDER, descending };
  }
  const dot = source.indexName.indexOf(".");
  const table = source.indexName.slice(0, dot);
  if (source.type === "Search")
    return { documents: search(tx, component, table, source), fields: undefined, descending: false };
  const fields = indexFields(tx, component, source.indexName, source.indexName.slice(dot + 1));
  checkRange(source.indexName, source.range, fields);
  const within = tx.scan(component, table).filter((document) => source.range.every((step) => inStep(step, document)));
  const descending = source.order === "desc";
  within.sort((a, b) => compareBy(fields, a, b));
  return { documents: descending ? within.reverse() : within, fields, descending };
}

function indexFields(tx: ReadTransaction, component: string, indexName: string, name: string): readonly string[] {
  if (name === "by_creation_time") return CREATION_ORDER;
  if (name === "by_id") return ["_id"];
  const index = requireIndex(tx, component, indexName);
  if (index.type !== "database") throw new Error(`Index ${indexName} is not a database index.`);
  return index.fields;
}

function requireIndex(tx: ReadTransaction, component: string, indexName: string): Index {
  const index = liveIndex(tx, component, indexName);
  if (index !== undefined) return index;
  if (indexExists(tx, component, indexName))
    throw new Error(`Index ${indexName} is currently backfilling and not available to query yet.`);
  throw new Error(`Index ${indexName} not found.`);
}

/** Equalities in the index's order, then at most one field with bounds. */
function checkRange(indexName: string, range: readonly RangeStep[], fields: readonly string[]): void {
  const equalities = range.filter((step) => step.type === "Eq").map((step) => step.fieldPath);
  const bounded = new Set(range.filter((step) => step.type !== "Eq").map((step) => step.fieldPath));
  const order = [...equalities, ...bounded];
  if (bounded.size <= 1 && order.every((field, i) => field === fields[i])) return;
  const tried = `Tried to query index ${indexName} but the query didn't use the index fields in order.`;
  throw new Error(`${tried}\nIndex fields: [${fields.join(", ")}]\nQuery fields: [${order.join(", ")}]`);
}

function inStep(step: RangeStep, document: Document): boolean {
  const difference = compare(fieldAt(document, step.fieldPath), maybe(step.value));
  switch (step.type) {
    case "Eq":
      return difference === 0;
    case "Gt":
      return difference > 0;
    case "Gte":
      return difference >= 0;
    case "Lt":
      return difference < 0;
    default:
      return difference <= 0;
  }
}

function compareBy(fields: readonly string[], a: Document, b: Document): number {
  for (const field of fields) {
    const difference = compare(fieldAt(a, field), fieldAt(b, field));
    if (difference !== 0) return difference;
  }
  return a._creationTime - b._creationTime || compare(a._id, b._id);
}

// ---------------------------------------------------------------- search

/** Words in common, most first; the last word also as a beginning. The backend's real ranking is its own. */
function search(
  tx: ReadTransaction,
  component: string,
  table: string,
  source: Extract<SerializedQuery["source"], { type: "Search" }>,
): Document[] {
  requireIndex(tx, component, source.indexName);
  const [wanted] = source.filters.filter((filter) => filter.type === "Search");
  if (wanted === undefined)
    throw new Error("Search query must contain exactly one search filter against the indexed searchField");
  const words = wordsOf(String(wanted.value));
  const equalities = source.filters.filter((filter) => filter.type === "Eq");
  const scored = tx
    .scan(component, table)
    .filter((document) => equalities.every((filter) => equal(fieldAt(document, filter.fieldPath), maybe(filter.value))))
    .map((document) => ({ document, score: score(wordsOf(String(fieldAt(document, wanted.fieldPath) ?? "")), words) }))
    .filter((each) => each.score > 0);
  scored.sort((a, b) => b.score - a.score || b.document._creationTime - a.document._creationTime);
  return scored.slice(0, MAX_SEARCH_RESULTS).map((each) => each.document);
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function score(text: readonly string[], words: readonly string[]): number {
  const last = words.at(-1) ?? "";
  return text.filter((word) => words.includes(word) || (last !== "" && word.startsWith(last))).length;
}

// ---------------------------------------------------------------- pages

export interface Page {
  readonly documents: Document[];
  readonly isDone: boolean;
  /** Where the next page begins; null at the end. */
  readonly position: string | null;
}

const END = "end";

/** `after` and `until` are positions of earlier pages. */
export function pageOf(
  tx: ReadTransaction,
  component: string,
  query: SerializedQuery,
  options: { after: string | null; until: string | null; size: number },
): Page {
  const ordered = sourceDocuments(tx, component, query.source);
  const matching = applyOperators(ordered.documents, query);
  if (options.after === END) return { documents: [], isDone: true, position: END };
  const start = options.after === null ? 0 : indexAfter(matching, ordered, options.after);
  if (options.until !== null) {
    const end = options.until === END ? matching.length : indexAfter(matching, ordered, options.until);
    return { documents: matching.slice(start, end), isDone: options.until === END, position: options.until };
  }
  const documents = matching.slice(start, start + options.size);
  const isDone = start + options.size >= matching.length;
  const last = documents.at(-1);
  const position = isDone || last === undefined ? END : positionOf(last, ordered);
  return { documents, isDone, position };
}

function positionOf(document: Document, { fields }: Ordered): string {
  const keys = (fields ?? []).map((field) => {
    const value = fieldAt(document, field);
    return value === undefined ? null : encode(value, "convex_encoded_json");
  });
  return JSON.stringify([keys, document._creationTime, document._id]);
}

/** First document beyond a position; the document that made it may be gone. */
function indexAfter(documents: readonly Document[], { fields, descending }: Ordered, position: string): number {
  const [keys, time, id] = JSON.parse(position) as [(string | null)[], number, string];
  if (fields === undefined) return documents.findIndex((document) => document._id === id) + 1;
  const values = keys.map((text) => (text === null ? undefined : fromJson(JSON.parse(text))));
  const beyond = documents.findIndex((document) => {
    const differences = fields.map((field, i) => compare(fieldAt(document, field), values[i]));
    const difference =
      differences.find((each) => each !== 0) ?? (document._creationTime - time || compare(document._id, id));
    return descending ? difference < 0 : difference > 0;
  });
  return beyond < 0 ? documents.length : beyond;
}
