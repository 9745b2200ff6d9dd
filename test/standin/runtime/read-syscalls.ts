/** What queries and mutations read: documents, database queries, other functions of the same transaction. */
import { decodeId } from "../ids.ts";
import type { Document, Identity, ReadTransaction } from "../types.ts";
import { fromJson } from "../values.ts";
import { CallError, type Isolate } from "./isolate.ts";
import { pageOf, runQuery, type SerializedQuery } from "./query.ts";
import { type Address, resolveAddress } from "./references.ts";
import { type Args, type SyscallContext, type SyscallDeps, text, unknownOperation } from "./syscall-context.ts";

const SYSTEM_ONLY = ["_storage", "_scheduled_functions"];

export class ReadSyscalls {
  readonly #deps: SyscallDeps;

  constructor(deps: SyscallDeps) {
    this.#deps = deps;
  }

  /** Undefined for what only mutations may do. */
  async handle(
    op: string,
    args: Args,
    context: SyscallContext,
    isolate: Isolate | undefined,
  ): Promise<string | undefined> {
    const { call, tx } = context;
    if (tx === undefined) throw unknownOperation(op);
    switch (op) {
      case "1.0/get":
        return this.#get(tx, call.component, args);
      case "1.0/count":
        return text(tx.count(call.component, String(args["table"])));
      case "standin/next":
        return this.#next(tx, args, context);
      case "1.0/queryPage":
        return this.#page(tx, call.component, args);
      case "1.0/runUdf":
        return this.#runUdf(tx, args, context, isolate);
      default:
        return undefined;
    }
  }

  #get(tx: ReadTransaction, component: string, args: Args): string {
    const id = String(args["id"]);
    const table = tx.tableOfId(component, id);
    if (decodeId(id) === undefined) {
      throw new CallError(
        `Invalid argument \`id\` for \`db.get\`: Unable to decode ID: Invalid ID length ${id.length}`,
      );
    }
    if (table === undefined) return "null";
    const isSystem = args["isSystem"] === true;
    if (table.name.startsWith("_") !== isSystem) {
      const problem = isSystem
        ? "User tables cannot be accessed from db.system."
        : "System tables can only be accessed from db.system.";
      throw new CallError(`Invalid argument \`id\` for \`db.get\`: ${problem}`);
    }
    const document = tx.get(component, id);
    return document === null ? "null" : text(this.#shown(table.name, document));
  }

  #shown(table: string, document: Document): Document {
    return table === "_storage" ? this.#deps.files.view(document) : document;
  }

  #documents(tx: ReadTransaction, component: string, query: SerializedQuery): Document[] {
    const { source } = query;
    const table = source.type === "FullTableScan" ? source.tableName : (source.indexName.split(".")[0] ?? "");
    if (table.startsWith("_") && !SYSTEM_ONLY.includes(table))
      throw new CallError(`System table ${table} cannot be queried.`);
    return runQuery(tx, component, query).map((document) => this.#shown(table, document));
  }

  #next(tx: ReadTransaction, args: Args, { call, streams }: SyscallContext): string {
    const id = Number(args["queryId"]);
    const rest = streams.get(id) ?? this.#documents(tx, call.component, args["query"] as SerializedQuery);
    const max = Number(args["max"]);
    const documents = rest.slice(0, max).map(text);
    streams.set(id, rest.slice(max));
    return JSON.stringify({ documents, done: rest.length <= max });
  }

  #page(tx: ReadTransaction, component: string, args: Args): string {
    const { cursors } = this.#deps;
    const open = (cursor: unknown) =>
      typeof cursor === "string" ? (cursor === "" ? null : cursors.open(cursor)) : null;
    const options = { after: open(args["cursor"]), until: open(args["endCursor"]), size: Number(args["pageSize"]) };
    const query = args["query"] as SerializedQuery;
    const page = pageOf(tx, component, query, options);
    const table =
      query.source.type === "FullTableScan" ? query.source.tableName : (query.source.indexName.split(".")[0] ?? "");
    const documents = page.documents.map((document) => text(this.#shown(table, document)));
    const cursor = JSON.stringify(cursors.seal(page.position ?? "end"));
    return `{"page":[${documents.join(",")}],"isDone":${page.isDone},"continueCursor":${cursor},"splitCursor":null,"pageStatus":null}`;
  }

  async #runUdf(
    tx: ReadTransaction,
    args: Args,
    context: SyscallContext,
    isolate: Isolate | undefined,
  ): Promise<string> {
    const { call } = context;
    const target = resolveAddress(tx, call.component, args as Address);
    const kind = args["udfType"] === "mutation" ? "Mutation" : "Query";
    if (kind === "Mutation" && context.kind !== "Mutation") throw new CallError("Queries cannot run mutations.");
    if (isolate === undefined) throw unknownOperation("1.0/runUdf");
    const identity: Identity = target.component === call.component ? call.identity : { kind: "none" };
    return this.#deps.nested({ ...call, ...target, identity, args: fromJson(args["args"]) }, kind, tx, isolate);
  }
}
