/** Schemas: what `defineSchema().export()` gives, its rules, and the indexes it asks for (contract 5.2). */
import type { Validator } from "../validators.ts";
import { CREATION_TIME, checkTable, schemaError } from "./schema-rules.ts";

export interface DbIndex {
  readonly indexDescriptor: string;
  /** With `_creationTime` at the end. */
  readonly fields: readonly string[];
}
export interface SearchIndex {
  readonly indexDescriptor: string;
  readonly searchField: string;
  readonly filterFields: readonly string[];
}
export interface VectorIndex {
  readonly indexDescriptor: string;
  readonly vectorField: string;
  readonly dimensions: number;
  readonly filterFields: readonly string[];
}

/** In the order of keys that the backend writes (`schemaDiff` compares texts). */
export interface TableSchema {
  readonly tableName: string;
  readonly indexes: readonly DbIndex[];
  readonly stagedDbIndexes: readonly DbIndex[];
  readonly searchIndexes: readonly SearchIndex[];
  readonly stagedSearchIndexes: readonly SearchIndex[];
  readonly vectorIndexes: readonly VectorIndex[];
  readonly stagedVectorIndexes: readonly VectorIndex[];
  readonly documentType: Validator | null;
}

export interface Schema {
  readonly tables: readonly TableSchema[];
  readonly schemaValidation: boolean;
}

/** An index of `indexDiffs` and `indexDiff`. */
export type Index = { readonly name: string } & (
  | { readonly type: "database"; readonly fields: readonly string[]; readonly staged: boolean }
  | {
      readonly type: "search";
      readonly searchField: string;
      readonly filterFields: readonly string[];
      readonly staged: boolean;
    }
  | {
      readonly type: "vector";
      readonly dimensions: number;
      readonly vectorField: string;
      readonly filterFields: readonly string[];
      readonly staged: boolean;
    }
);

/** Reads and checks the exported JSON. Throws ApiError 400 with the codes of contract 5.2. */
export function readSchema(json: string): Schema {
  const raw = JSON.parse(json) as { tables?: unknown; schemaValidation?: unknown };
  if (!Array.isArray(raw.tables)) throw schemaError("InvalidSchema", "The schema has no list of tables.");
  const tables = (raw.tables as Partial<TableSchema>[]).map(readTable);
  for (const table of tables) checkTable(table);
  return {
    tables: tables.sort((a, b) => (a.tableName < b.tableName ? -1 : 1)).map(withCreationTime),
    schemaValidation: raw.schemaValidation !== false,
  };
}

function readTable(raw: Partial<TableSchema>): TableSchema {
  return {
    tableName: raw.tableName ?? "",
    indexes: raw.indexes ?? [],
    stagedDbIndexes: raw.stagedDbIndexes ?? [],
    searchIndexes: raw.searchIndexes ?? [],
    stagedSearchIndexes: raw.stagedSearchIndexes ?? [],
    vectorIndexes: raw.vectorIndexes ?? [],
    stagedVectorIndexes: raw.stagedVectorIndexes ?? [],
    documentType: raw.documentType ?? null,
  };
}

function withCreationTime(table: TableSchema): TableSchema {
  const extended = (indexes: readonly DbIndex[]) =>
    byName(indexes).map(({ indexDescriptor, fields }) => ({ indexDescriptor, fields: [...fields, CREATION_TIME] }));
  const search = (indexes: readonly SearchIndex[]) =>
    byName(indexes).map(({ indexDescriptor, searchField, filterFields }) => ({
      indexDescriptor,
      searchField,
      filterFields: [...filterFields].sort(),
    }));
  const vector = (indexes: readonly VectorIndex[]) =>
    byName(indexes).map(({ indexDescriptor, vectorField, dimensions, filterFields }) => ({
      indexDescriptor,
      vectorField,
      dimensions,
      filterFields: [...filterFields].sort(),
    }));
  return {
    tableName: table.tableName,
    indexes: extended(table.indexes),
    stagedDbIndexes: extended(table.stagedDbIndexes),
    searchIndexes: search(table.searchIndexes),
    stagedSearchIndexes: search(table.stagedSearchIndexes),
    vectorIndexes: vector(table.vectorIndexes),
    stagedVectorIndexes: vector(table.stagedVectorIndexes),
    documentType: table.documentType,
  };
}

function byName<T extends { indexDescriptor: string }>(indexes: readonly T[]): T[] {
  return [...indexes].sort((a, b) => (a.indexDescriptor < b.indexDescriptor ? -1 : 1));
}

/** All indexes of a schema, sorted by name. */
export function indexesOf(schema: Schema | null): Index[] {
  const all = (schema?.tables ?? []).flatMap((table) => {
    const name = (descriptor: string) => `${table.tableName}.${descriptor}`;
    const db =
      (staged: boolean) =>
      (index: DbIndex): Index => ({
        name: name(index.indexDescriptor),
        type: "database",
        fields: index.fields,
        staged,
      });
    const search =
      (staged: boolean) =>
      (index: SearchIndex): Index => ({
        name: name(index.indexDescriptor),
        type: "search",
        searchField: index.searchField,
        filterFields: index.filterFields,
        staged,
      });
    const vector =
      (staged: boolean) =>
      (index: VectorIndex): Index => ({
        name: name(index.indexDescriptor),
        type: "vector",
        dimensions: index.dimensions,
        vectorField: index.vectorField,
        filterFields: index.filterFields,
        staged,
      });
    return [
      ...table.indexes.map(db(false)),
      ...table.stagedDbIndexes.map(db(true)),
      ...table.searchIndexes.map(search(false)),
      ...table.stagedSearchIndexes.map(search(true)),
      ...table.vectorIndexes.map(vector(false)),
      ...table.stagedVectorIndexes.map(vector(true)),
    ];
  });
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Same name and content, whatever their `staged`. */
export function sameIndex(a: Index, b: Index): boolean {
  return JSON.stringify({ ...a, staged: false }) === JSON.stringify({ ...b, staged: false });
}

export interface IndexDiff {
  readonly added_indexes: readonly Index[];
  readonly removed_indexes: readonly Index[];
  readonly disabled_indexes: readonly Index[];
  readonly enabled_indexes: readonly Index[];
}

export const NO_INDEX_DIFF: IndexDiff = {
  added_indexes: [],
  removed_indexes: [],
  disabled_indexes: [],
  enabled_indexes: [],
};

/** What a schema changes against the indexes that exist (contract 5.2, `indexDiffs`). */
export function diffIndexes(existing: readonly Index[], wanted: readonly Index[]): IndexDiff {
  const find = (list: readonly Index[], index: Index) =>
    list.find((other) => other.name === index.name && sameIndex(other, index));
  const kept = wanted.map((index) => ({ index, before: find(existing, index) }));
  const unstaged = ({ index }: { index: Index }): Index => ({ ...index, staged: false });
  return {
    added_indexes: kept.filter(({ before }) => before === undefined).map(({ index }) => index),
    removed_indexes: existing.filter((index) => find(wanted, index) === undefined),
    disabled_indexes: kept.filter(({ index, before }) => before?.staged === false && index.staged).map(unstaged),
    enabled_indexes: kept.filter(({ index, before }) => before?.staged === true && !index.staged).map(unstaged),
  };
}
