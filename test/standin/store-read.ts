/** Reading one state of the database. */
import { decodeId } from "./ids.ts";
import type { Docs } from "./store-docs.ts";
import type { Bound, Document, Fields, ReadTransaction, TableInfo, Value } from "./types.ts";
import { compare, isFields } from "./values.ts";

export interface TableData {
  readonly info: TableInfo;
  readonly docs: Docs;
}

/** Numbers of system tables; those with a comment are seen in ids of M14, the others are the stand-in's. */
export const SYSTEM_TABLES: Readonly<Record<string, number>> = {
  _db: 512,
  _backend_state: 513,
  _canonical_urls: 514,
  _exports: 516, // M14
  _modules: 520,
  _udf_config: 521,
  _auth: 522,
  _source_packages: 523,
  _environment_variables: 525, // M14
  _cron_jobs: 531, // M14
  _schemas: 532, // M14
  _index: 533,
  _component_definitions: 534,
  _external_packages: 537, // M14
  _scheduled_functions: 539, // M14
  _storage: 540, // M14
  _snapshot_imports: 541, // M14
  _components: 544, // M14
  _cron_next_run: 547, // M14
  _scheduled_job_args: 548,
  _cron_job_logs: 549,
};

export const systemTablet = (component: string, name: string) => `${name}@${component}`;

function systemInfo(component: string, name: string, number: number): TableInfo {
  return { tablet: systemTablet(component, name), component, name, number, state: "active" };
}

/** One state; the map is never changed by others. */
export class Snapshot implements ReadTransaction {
  readonly tables: Map<string, TableData>;
  readonly ts: bigint;
  readonly reads = new Set<string>();

  constructor(tables: Map<string, TableData>, ts: bigint) {
    this.tables = tables;
    this.ts = ts;
  }

  table(component: string, name: string): TableInfo | undefined {
    const number = SYSTEM_TABLES[name];
    if (number !== undefined) return systemInfo(component, name, number);
    this.reads.add(`${component}/${name}`);
    return this.allTables().find((t) => t.component === component && t.name === name && t.state === "active");
  }

  tableByNumber(component: string, number: number): TableInfo | undefined {
    const system = Object.entries(SYSTEM_TABLES).find(([, known]) => known === number);
    if (system !== undefined) return systemInfo(component, system[0], number);
    return this.allTables().find((t) => t.component === component && t.number === number && t.state === "active");
  }

  userTables(component?: string): TableInfo[] {
    this.reads.add("tables");
    return this.allTables()
      .filter((t) => t.state === "active" && SYSTEM_TABLES[t.name] === undefined)
      .filter((t) => component === undefined || t.component === component)
      .sort((a, b) => a.number - b.number);
  }

  allTables(): TableInfo[] {
    return [...this.tables.values()].map((table) => table.info);
  }

  get(component: string, id: string): Document | null {
    const info = this.tableOfId(component, id);
    if (info === undefined) return null;
    this.reads.add(info.tablet);
    return this.tables.get(info.tablet)?.docs.get(id) ?? null;
  }

  tableOfId(component: string, id: string): TableInfo | undefined {
    const decoded = decodeId(id);
    return decoded === undefined ? undefined : this.tableByNumber(component, decoded.table);
  }

  scan(component: string, table: string): Document[] {
    const info = this.table(component, table);
    return info === undefined ? [] : this.scanTablet(info.tablet);
  }

  scanTablet(tablet: string): Document[] {
    this.reads.add(tablet);
    const docs = this.tables.get(tablet)?.docs.values() ?? [];
    return docs.sort((a, b) => a._creationTime - b._creationTime || (a._id < b._id ? -1 : 1));
  }

  count(component: string, table: string): number {
    const info = this.table(component, table);
    if (info === undefined) return 0;
    this.reads.add(info.tablet);
    return this.tables.get(info.tablet)?.docs.size ?? 0;
  }

  range(
    component: string,
    table: string,
    query: { fields: readonly string[]; lower?: Bound; upper?: Bound; order?: "asc" | "desc" },
  ): Document[] {
    const { fields, lower, upper } = query;
    const rows = this.scan(component, table).map((doc) => ({ doc, key: fields.map((path) => fieldOf(doc, path)) }));
    const within = rows.filter(({ key }) => above(key, lower) && below(key, upper));
    // The sort is stable and the scan ordered by creation: ties need no further key.
    within.sort((a, b) => compareKeys(a.key, b.key));
    if (query.order === "desc") within.reverse();
    return within.map(({ doc }) => doc);
  }

  fork(): ReadTransaction {
    return new Snapshot(this.tables, this.ts);
  }

  close(): void {}
}

/** A field by its dotted path; undefined when there is none. */
export function fieldOf(doc: Fields, path: string): Value | undefined {
  let value: Value | undefined = doc;
  for (const name of path.split(".")) value = isFields(value) ? value[name] : undefined;
  return value;
}

type Key = readonly (Value | undefined)[];

function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = compare(a[i], b[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function above(key: Key, bound: Bound | undefined): boolean {
  if (bound === undefined) return true;
  const difference = compareKeys(key, bound.values);
  return difference > 0 || (difference === 0 && bound.inclusive);
}

function below(key: Key, bound: Bound | undefined): boolean {
  if (bound === undefined) return true;
  const difference = compareKeys(key, bound.values);
  return difference < 0 || (difference === 0 && bound.inclusive);
}
