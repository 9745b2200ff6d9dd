/** Documents against schemas: of a push that waits, and of every write (contract 5.2). */
import type { Fields, ReadTransaction, TableInfo, WriteTransaction } from "../types.ts";
import { documentMismatch, type TableNumber } from "../validators.ts";
import type { Schema, TableSchema } from "./schema.ts";
import { activeSchema, byState, parseSchema, setState } from "./schema-documents.ts";

/** The first document that a schema does not take, with the words of wait_for_schema. */
export function firstMisfit(
  tx: ReadTransaction,
  component: string,
  schema: Schema,
): { error: string; tableName: string } | undefined {
  const tables = numbersIn(tx, component);
  for (const table of schema.tables) {
    const validator = table.documentType;
    if (validator === null) continue;
    const name = table.tableName;
    for (const document of tx.scan(component, name)) {
      const problem = documentMismatch(validator, document, tables);
      if (problem !== undefined) {
        return {
          error: `Document with ID "${document._id}" in table "${name}" does not match the schema: ${problem}`,
          tableName: name,
        };
      }
    }
    // Documents of an import that nobody sees yet count as new ones.
    for (const hidden of hiddenTables(tx, component, name)) {
      const problem = tx
        .scanTablet(hidden.tablet)
        .map((doc) => documentMismatch(validator, doc, tables))
        .find((text) => text !== undefined);
      if (problem !== undefined) return { error: newDocument(name, problem), tableName: name };
    }
  }
  return undefined;
}

function hiddenTables(tx: ReadTransaction, component: string, name: string): TableInfo[] {
  return tx
    .allTables()
    .filter((table) => table.state === "hidden" && table.component === component && table.name === name);
}

function newDocument(table: string, problem: string): string {
  return `New document in table "${table}" does not match the schema: ${problem}`;
}

function numbersIn(tx: ReadTransaction, component: string): TableNumber {
  return (name) => tx.table(component, name)?.number;
}

/** The active schema's tables, for an import: they are emptied and not dropped (contract 7.3). */
export function activeTables(tx: ReadTransaction, component: string): string[] {
  return (activeSchema(tx, component)?.tables ?? []).map((table) => table.tableName);
}

function tableSchema(schema: Schema | null, name: string): TableSchema | undefined {
  return schema?.tables.find((table) => table.tableName === name);
}

/** Text without prefix when a document does not fit the active schema. */
export function misfit(tx: ReadTransaction, component: string, table: string, document: Fields): string | undefined {
  const schema = activeSchema(tx, component);
  if (schema?.schemaValidation !== true) return undefined;
  const validator = tableSchema(schema, table)?.documentType;
  return validator ? documentMismatch(validator, document, numbersIn(tx, component)) : undefined;
}

/** For `Store.checkDocument`: refuses by the active schema, and fails a pending one that the document does not fit. */
export function checkDocument(tx: WriteTransaction, table: TableInfo, document: Fields): void {
  if (table.name.startsWith("_")) return;
  const problem = misfit(tx, table.component, table.name, document);
  if (problem !== undefined) {
    throw new Error(
      `Failed to insert or update a document in table "${table.name}" because it does not match the schema: ${problem}`,
    );
  }
  const pending = byState(tx, table.component, "pending", "validated");
  if (pending === undefined) return;
  const schema = parseSchema(pending.text);
  const validator = schema.schemaValidation ? tableSchema(schema, table.name)?.documentType : null;
  const failure = validator ? documentMismatch(validator, document, numbersIn(tx, table.component)) : undefined;
  if (failure === undefined) return;
  setState(tx, table.component, pending, {
    state: "failed",
    error: newDocument(table.name, failure),
    tableName: table.name,
  });
}

/** Fields of the active schema that refer to other tables: `v.id("target")` anywhere in a document. */
export function schemaReferences(
  tx: ReadTransaction,
  component: string,
): { table: string; field: string; target: string }[] {
  const found: { table: string; field: string; target: string }[] = [];
  const visit = (table: string, path: string, validator: unknown): void => {
    if (typeof validator !== "object" || validator === null) return;
    const { type, tableName, value } = validator as { type?: string; tableName?: string; value?: unknown };
    if (type === "id" && tableName !== undefined) found.push({ table, field: path, target: tableName });
    if (type === "array") visit(table, path, value);
    if (type === "union") for (const one of value as unknown[]) visit(table, path, one);
    if (type !== "object") return;
    for (const [name, field] of Object.entries(value as Record<string, { fieldType: unknown }>)) {
      visit(table, path === "" ? name : `${path}.${name}`, field.fieldType);
    }
  };
  for (const table of activeSchema(tx, component)?.tables ?? []) visit(table.tableName, "", table.documentType);
  return found;
}
