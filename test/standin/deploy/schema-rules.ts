/** What a schema may not be (contract 5.2, errors of evaluate_push). */
import { ApiError } from "../types.ts";
import { ANY, type Validator } from "../validators.ts";
import type { DbIndex, SearchIndex, TableSchema, VectorIndex } from "./schema.ts";

export const CREATION_TIME = "_creationTime";
const MAX_INDEXES = 64;
const IN_SCHEMA = "Hit an error while evaluating your schema:\n";

/** An error of the schema; the prefix of a push is added where it is caught. */
export function schemaError(code: string, message: string): ApiError {
  return new ApiError(400, code, IN_SCHEMA + message);
}

/** Throws ApiError 400 with the codes of contract 5.2. */
export function checkTable(table: TableSchema): void {
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
