/** The `_system/…` queries that tools use (contract 6.2). They want an admin, read-only or system key. */
import { componentPathOf } from "./components.ts";
import type { Cursors } from "./cursors.ts";
import { hasKey } from "./identity.ts";
import { encodeId } from "./ids.ts";
import { SYSTEM_TABLES } from "./store-read.ts";
import {
  ApiError,
  type Document,
  type Fields,
  FunctionError,
  type FunctionPath,
  type FunctionRunner,
  type Identity,
  type ReadTransaction,
  type SystemQuery,
  type Value,
} from "./types.ts";
import { fromJson, isFields } from "./values.ts";

export class SystemQueries {
  #queries = new Map<string, SystemQuery>();

  /** `name` is `cli/exports.js:getLatest`. */
  set(name: string, query: SystemQuery): void {
    this.#queries.set(name, query);
  }

  /** Throws FunctionError, or the ApiError of a query that cannot answer yet. */
  async run(call: {
    path: FunctionPath;
    component: string;
    args: Value;
    identity: Identity;
    tx: ReadTransaction;
  }): Promise<Value> {
    if (!hasKey(call.identity)) throw new FunctionError("Operation query not permitted");
    const module = call.path.module.replace(/^_system\//, "");
    const query = this.#queries.get(`${module}:${call.path.name}`);
    if (query === undefined) throw new FunctionError(this.#missing(module, call.path.name));
    const given = Array.isArray(call.args) ? (call.args[0] ?? {}) : call.args;
    const args = isFields(given) ? given : {};
    // The dashboard's queries take the component as an argument, also over HTTP (contract 12).
    const id = module.startsWith("frontend/") ? args["componentId"] : undefined;
    const component = typeof id === "string" ? componentPathOf(call.tx, id) : call.component;
    if (component === undefined) throw new FunctionError("Component not found");
    return query({ tx: call.tx, component, args });
  }

  #missing(module: string, name: string): string {
    const known = [...this.#queries.keys()].some((key) => key.startsWith(`${module}:`));
    return known
      ? `Couldn't find "${name}" in module "_system/${module}".`
      : `Couldn't find system module '"${module}"'.`;
  }
}

export interface SystemQueryDeps {
  readonly runner: () => FunctionRunner;
  readonly cursors: Cursors;
  readonly cloudOrigin: (tx: ReadTransaction) => string;
  readonly variables: (tx: ReadTransaction) => Map<string, string>;
  /** False for a moment after a start with data. */
  readonly countsReady: () => boolean;
}

export function addSystemQueries(queries: SystemQueries, deps: SystemQueryDeps): void {
  queries.set("cli/tables.js:default", ({ tx, component }) => {
    const page = tx.userTables(component).map(({ name }) => ({ name }));
    return { page, isDone: true, continueCursor: "end" };
  });
  queries.set("cli/tableData.js:default", ({ tx, component, args }) => tableData(tx, component, args, deps.cursors));
  queries.set("cli/tableSize.js:default", ({ tx, component, args }) => {
    if (!deps.countsReady()) {
      throw new ApiError(503, "TableSummariesUnavailable", "Table count unavailable while bootstrapping");
    }
    return tx.count(component, text(args["tableName"]));
  });
  queries.set("cli/queryTable.js:default", ({ tx, component, args }) => {
    // Only its change with the table means something.
    tx.scan(component, text(args["tableName"]));
    return Math.random();
  });
  queries.set("cli/modules.js:apiSpec", ({ tx, component }) => apiSpec(deps.runner(), tx, component));
  queries.set("cli/convexUrl.js:cloudUrl", ({ tx }) => deps.cloudOrigin(tx));
  queries.set("cli/queryEnvironmentVariables.js:default", ({ tx }) =>
    tx.scan("", "_environment_variables").sort((a, b) => (text(a["name"]) < text(b["name"]) ? -1 : 1)),
  );
  queries.set("cli/queryEnvironmentVariables.js:get", ({ tx, args }) => {
    const name = text(args["name"]);
    const value = deps.variables(tx).get(name);
    return value === undefined ? null : { name, value };
  });
  queries.set("frontend/components.js:list", ({ tx }) => [ROOT, ...tx.scan("", "_components").map(componentEntry)]);
  queries.set("frontend/listCronJobs.js:default", ({ tx, component }) => cronJobs(tx, component));
  queries.set("frontend/paginatedScheduledJobs.js:default", ({ tx, component }) => scheduledJobs(tx, component));
}

const text = (value: Value | undefined) => (typeof value === "string" ? value : "");

/** The root has no document of its own; its id means nothing to anybody. */
const ROOT: Value = {
  id: encodeId({ table: SYSTEM_TABLES["_components"] ?? 0, internal: new Uint8Array(16) }),
  name: null,
  path: "",
  state: "active",
  args: {},
};

function componentEntry(doc: Document): Value {
  const { _id: id, name = null, path = "", state = "active", args = {} } = doc;
  return { id, name, path, state, args };
}

function tableData(tx: ReadTransaction, component: string, args: Fields, cursors: Cursors): Value {
  const table = text(args["table"]);
  const options = isFields(args["paginationOpts"]) ? args["paginationOpts"] : {};
  const rows = tx.scan(component, table);
  if (args["order"] !== "asc") rows.reverse();
  const { cursor } = options;
  const after = typeof cursor === "string" ? cursors.open(cursor) : undefined;
  const start = after === undefined ? 0 : positionAfter(rows, after);
  const wanted = typeof options["numItems"] === "number" ? options["numItems"] : Number(options["numItems"] ?? 0);
  const page = rows.slice(start, start + wanted);
  // The real one needs one look beyond a full page to see that it was the last.
  const isDone = page.length < wanted;
  const last = page.at(-1)?._id ?? after ?? "";
  return { page, isDone, continueCursor: cursors.seal(isDone ? "end" : last), pageStatus: null, splitCursor: null };
}

function positionAfter(rows: readonly Document[], id: string): number {
  if (id === "end") return rows.length;
  return rows.findIndex((row) => row._id === id) + 1;
}

function apiSpec(runner: FunctionRunner, tx: ReadTransaction, component: string): Value {
  const modules = [...(runner.modules(tx, component) ?? [])].sort((a, b) => (a.path < b.path ? -1 : 1));
  return modules.flatMap((module): Value[] => {
    const routes = (module.httpRoutes ?? []).map(({ method, path }) => ({ functionType: "HttpAction", method, path }));
    const functions = module.functions.map((f) => ({
      identifier: `${module.path}:${f.name}`,
      functionType: f.kind,
      visibility: { kind: f.visibility },
      args: fromJson(f.args),
      returns: f.returns === null ? { type: "any" } : fromJson(f.returns),
    }));
    return [...routes, ...functions];
  });
}

function cronJobs(tx: ReadTransaction, component: string): Value {
  const runs = tx.scan(component, "_cron_next_run");
  const jobs = tx.scan(component, "_cron_jobs").sort((a, b) => (text(a["name"]) < text(b["name"]) ? -1 : 1));
  return jobs.map((job) => ({
    ...job,
    lastRun: null,
    nextRun: runs.find((run) => run["cronJobId"] === job._id) ?? null,
  }));
}

/** Those that wait, soonest first, all on one page; the fields that the dashboard shows. */
function scheduledJobs(tx: ReadTransaction, component: string): Value {
  const waiting = tx
    .scan(component, "_scheduled_functions")
    .filter(({ state }) => isFields(state) && state["kind"] === "pending");
  const page = waiting
    .sort((a, b) => Number(a["scheduledTime"]) - Number(b["scheduledTime"]))
    .map(({ _id, _creationTime, name, scheduledTime }) => ({
      _id,
      _creationTime,
      udfPath: text(name),
      nextTs: BigInt(Math.round(Number(scheduledTime))) * 1_000_000n,
      state: { type: "pending" },
      completedTs: null,
    }));
  return { page, isDone: true, continueCursor: "end" };
}
