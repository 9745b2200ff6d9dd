/** Schemas: what `defineSchema().export()` gives, its rules, and the indexes it asks for (contract 5.2). */
import { ApiError } from "../types.ts";
import { ANY, type Validator } from "../validators.ts";

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

const MAX_INDEXES = 64;
const CREATION_TIME = "_creationTime";
const IN_SCHEMA = "Hit an error while evaluating your schema:\n";

/** An error of the schema; the prefix of a push is added where it is caught. */
export function schemaError(code: string, message: string): ApiError {
  return new ApiError(400, code, IN_SCHEMA + message);
}

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

// ---------------------------------------------------------------- rules

function checkTable(table: TableSchema): void {
  const { tableName } = table;
  if (tableName.startsWith("_")) throw schemaError("TableNameReserved", `${tableName} is a reserved table name.`);
  if (!/^[a-zA-Z][a-zA-Z0-9_]{0,63}$/.test(tableName)) {
    const rule = "Identifiers must start with a letter and can only contain letters, digits, and underscores.";
    throw schemaError("InvalidTableName", `Invalid table name: "${tableName}". ${rule}`);
  }
  if (table.documentType !== null) checkFieldNames(table.documentType);
  const all = [...dbIndexes(table), ...searchIndexes(table), ...vectorIndexes(table)];
  for (const index of all) checkIndexName(tableName, index.indexDescriptor, all);
  checkDbIndexes(table);
  for (const index of vectorIndexes(table)) {
    if (!Number.isInteger(index.dimensions) || index.dimensions < 2 || index.dimensions > 4096) {
      throw schemaError(
        "InvalidVectorDimensionError",
        `In table "${tableName}": Dimensions ${index.dimensions} must be between 2 and 4096.`,
      );
    }
  }
  if (all.length > MAX_INDEXES)
    throw schemaError("TooManyIndexes", `Table "${tableName}" cannot have more than 64 indexes.`);
  for (const index of all) {
    for (const field of referencedFields(index)) {
      if (hasField(table.documentType ?? ANY, field.split("."))) continue;
      const problem = `the index "${index.indexDescriptor}" is invalid because it references the field "${field}" that does not exist.`;
      throw schemaError("SchemaDefinitionError", `In table "${tableName}" ${problem}`);
    }
  }
}

const dbIndexes = (table: TableSchema) => [...table.indexes, ...table.stagedDbIndexes];
const searchIndexes = (table: TableSchema) => [...table.searchIndexes, ...table.stagedSearchIndexes];
const vectorIndexes = (table: TableSchema) => [...table.vectorIndexes, ...table.stagedVectorIndexes];

function checkIndexName(tableName: string, name: string, all: readonly { indexDescriptor: string }[]): void {
  if (name.startsWith("_") || name === "by_id" || name === "by_creation_time") {
    const rule = 'Indexes may not start with an underscore or be named "by_id" or "by_creation_time".';
    throw schemaError(
      "IndexNameReserved",
      `In table "${tableName}" cannot name an index "${name}" because the name is reserved. ${rule}`,
    );
  }
  if (!/^[a-zA-Z][a-zA-Z0-9_]{0,63}$/.test(name)) {
    const rule =
      "Identifiers must be 64 characters or less, start with a letter, and only contain letters, digits, underscores.";
    throw schemaError("InvalidIndexName", `In table "${tableName}": Invalid index name: "${name}". ${rule}`);
  }
  if (all.filter((other) => other.indexDescriptor === name).length > 1) {
    throw schemaError("IndexNamesNotUnique", `Table "${tableName}" has two or more definitions of index "${name}".`);
  }
}

function checkDbIndexes(table: TableSchema): void {
  const seen = new Map<string, string>();
  for (const { indexDescriptor: name, fields } of dbIndexes(table)) {
    if (fields.length === 0) {
      throw schemaError("EmptyIndex", `In table "${table.tableName}" index "${name}" must have at least one field.`);
    }
    if (fields.includes(CREATION_TIME)) {
      const rule =
        "It should not be added explicitly in the index definition. See https://docs.convex.dev/using/indexes for more details.";
      throw schemaError(
        "IndexFieldsContainCreationTime",
        `\`_creationTime\` is automatically added to the end of each index. ${rule}`,
      );
    }
    const key = JSON.stringify(fields);
    const other = seen.get(key);
    if (other !== undefined) {
      const problem = `index "${name}" and index "${other}" have the same fields. Indexes must be unique within a table.`;
      throw schemaError("IndexNotUnique", `In table "${table.tableName}" ${problem}`);
    }
    seen.set(key, name);
  }
}

function referencedFields(index: DbIndex | SearchIndex | VectorIndex): readonly string[] {
  if ("fields" in index) return index.fields;
  return ["searchField" in index ? index.searchField : index.vectorField, ...index.filterFields];
}

/** Whether a path can exist in a document; a union does when one of its members does. */
function hasField(validator: Validator, path: readonly string[]): boolean {
  const [name, ...rest] = path;
  if (name === undefined || validator.type === "any") return true;
  if (name === CREATION_TIME || name === "_id") return rest.length === 0;
  if (validator.type === "union") return validator.value.some((one) => hasField(one, path));
  if (validator.type === "record") return hasField(validator.values.fieldType, rest);
  if (validator.type !== "object") return false;
  const field = Object.hasOwn(validator.value, name) ? validator.value[name] : undefined;
  return field !== undefined && hasField(field.fieldType, rest);
}

function checkFieldNames(validator: Validator): void {
  if (validator.type === "object") {
    for (const [name, field] of Object.entries(validator.value)) {
      if (name.startsWith("$"))
        throw schemaError("InvalidSchema", `Field name ${name} starts with '$', which is reserved.`);
      checkFieldNames(field.fieldType);
    }
  } else if (validator.type === "union") {
    for (const one of validator.value) checkFieldNames(one);
  } else if (validator.type === "array") {
    checkFieldNames(validator.value);
  } else if (validator.type === "record") {
    checkFieldNames(validator.values.fieldType);
  }
}

// ---------------------------------------------------------------- indexes

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
