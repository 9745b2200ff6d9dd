/**
 * Documents of an import against the deployed schema. References are checked by table number only, and the hidden
 * tables of this import and of failed earlier ones count (contract 7.3, `import-hidden-tables.json`).
 */
import { activeSchema } from "../deploy/schema-state.ts";
import type { Fields, TableInfo, WriteTransaction } from "../types.ts";
import { documentMismatch, type TableNumber, type Validator } from "../validators.ts";
import { ImportError } from "./import-error.ts";

export class DocumentCheck {
  readonly #table: string;
  readonly #validator: Validator | null;
  readonly #numbers: TableNumber[];

  /** @param own tables of this import */
  constructor(tx: WriteTransaction, table: TableInfo, own: readonly TableInfo[]) {
    const schema = activeSchema(tx, table.component);
    const wanted = schema?.tables.find((each) => each.tableName === table.name)?.documentType;
    this.#table = table.name;
    this.#validator = schema?.schemaValidation === true && wanted ? wanted : null;
    this.#numbers = this.#validator === null ? [] : numberings(tx, table.component, own);
  }

  /** @throws ImportError */
  check(fields: Fields): void {
    if (this.#validator === null) return;
    let first: string | undefined;
    for (const numbers of this.#numbers) {
      const problem = documentMismatch(this.#validator, fields, numbers);
      if (problem === undefined) return;
      first ??= problem;
    }
    // the line that shows the whole object is left out of imports' texts
    const text = first?.replace(/^Object: .*\n/m, "") ?? "";
    throw ImportError.prefixed(
      `Failed to insert or update a document in table "${this.#table}" because it does not match the schema: ${text}`,
    );
  }
}

/** This import's tables before the live ones; then one numbering for each hidden table that is left from others. */
function numberings(tx: WriteTransaction, component: string, own: readonly TableInfo[]): TableNumber[] {
  const mine = own.filter((info) => info.component === component);
  const current: TableNumber = (name) =>
    mine.find((info) => info.name === name)?.number ?? tx.table(component, name)?.number;
  const leftovers = tx
    .allTables()
    .filter(
      (info) => info.component === component && info.state === "hidden" && !mine.some((m) => m.tablet === info.tablet),
    );
  return [
    current,
    ...leftovers.map(
      (left): TableNumber =>
        (name) =>
          name === left.name ? left.number : current(name),
    ),
  ];
}
