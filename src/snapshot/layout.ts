import { prefixOf, tableKey } from "./entries.ts";
import type { Findings } from "./findings.ts";
import type { Inspection } from "./inspection.ts";
import type { NumbersReader } from "./numbers-reader.ts";
import type { SchemaReader } from "./schema-reader.ts";
import type { StorageReader } from "./storage-reader.ts";
import type { TableEncoding, TableReader } from "./table-reader.ts";

/** All parts of a snapshot that were read, by component and table. */
export interface Parts {
  readonly tables: Map<string, TableReader>;
  readonly schemas: Map<string, SchemaReader>;
  /** By component. */
  readonly numbers: Map<string, NumbersReader>;
  /** By component. */
  readonly storage: Map<string, StorageReader>;
}

/** What shows only when everything was read: whether the parts fit each other. */
export function judgeLayout(parts: Parts, findings: Findings): Inspection["encoding"] {
  for (const [key, table] of parts.tables) {
    const schema = parts.schemas.get(key);
    const number = parts.numbers.get(table.component)?.byName.get(table.name);
    table.judge(findings, schema?.encoding ?? "none", number);
    judgeSchema(table, schema, findings);
    if (table.documents > 0 && (schema?.shape?.exact || (schema?.overrides ?? 0) > 0)) table.exactValues = true;
  }
  for (const [key, schema] of parts.schemas) {
    if (!parts.tables.has(key)) findings.add("schema-alone", schema.entry);
  }
  judgeNumbers(parts, findings);
  for (const storage of parts.storage.values()) storage.judge();
  return encodingOf([...parts.schemas.values()], findings);
}

function judgeSchema(table: TableReader, schema: SchemaReader | undefined, findings: Findings): void {
  const where = table.entry.replace(/documents\.jsonl$/, "generated_schema.jsonl");
  // without documents there is nothing that it would say
  if (schema === undefined) {
    if (table.documents > 0) findings.add("schema-missing", where);
    return;
  }
  if (schema.problem !== undefined) {
    findings.add("schema-unreadable", where, schema.problem);
    return;
  }
  if (schema.shape === undefined) return;
  if (table.documents === 0 && !schema.shape.never) findings.add("table-emptied", table.entry);
  if (table.documents > 0 && schema.shape.unknown && schema.overrides === 0) findings.add("schema-unknown", where);
}

function judgeNumbers({ tables, schemas, numbers }: Parts, findings: Findings): void {
  for (const { component, byName, entry } of numbers.values()) {
    for (const name of byName.keys()) {
      const key = tableKey(component, name);
      if (!tables.has(key) && !schemas.has(key)) findings.add("table-file-missing", `${entry}: ${name}`);
    }
  }
  const missing = new Set<string>();
  for (const { component, name, entry } of tables.values()) {
    const listed = numbers.get(component);
    if (listed === undefined) missing.add(component);
    else if (!listed.byName.has(name)) findings.add("tables-incomplete", entry);
  }
  for (const component of missing) findings.add("tables-missing", `${prefixOf(component)}_tables/documents.jsonl`);
}

function encodingOf(schemas: readonly SchemaReader[], findings: Findings): Inspection["encoding"] {
  const seen = new Set<TableEncoding>(schemas.map(({ encoding }) => encoding));
  seen.delete("none");
  if (seen.size === 0) return "none";
  if (seen.size === 1) return seen.has("uniform") ? "uniform" : "shapes";
  findings.add("schema-mixed", "generated_schema.jsonl");
  return "mixed";
}
