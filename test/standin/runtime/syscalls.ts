/** What functions ask of the backend: `Convex.asyncSyscall(op, json)` of the `convex` library. */
import type { Cursors } from "../cursors.ts";
import type { Files } from "../files.ts";
import { decodeId } from "../ids.ts";
import {
  ApiError,
  type Document,
  type Fields,
  type FunctionCall,
  FunctionError,
  type Functions,
  type Identity,
  type ReadTransaction,
  type Scheduler,
  type Store,
  type WriteTransaction,
} from "../types.ts";
import { encode, fromJson, isFields } from "../values.ts";
import { CallError, type Isolate } from "./isolate.ts";
import { pageOf, runQuery, type SerializedQuery } from "./query.ts";
import { type Address, handleOf, resolveAddress } from "./references.ts";
import { type VectorQuery, vectorSearch } from "./vector-search.ts";

export interface SyscallDeps {
  readonly store: Store;
  readonly files: Files;
  readonly scheduler: Scheduler;
  readonly cursors: Cursors;
  readonly functions: Functions;
  /** Runs a function inside the caller's transaction, in the caller's thread. */
  readonly nested: (
    call: FunctionCall,
    kind: "Query" | "Mutation",
    tx: ReadTransaction,
    isolate: Isolate,
  ) => Promise<string>;
}

/** One running function. */
export interface SyscallContext {
  readonly call: FunctionCall;
  readonly kind: "Query" | "Mutation" | "Action";
  /** Of queries and mutations. */
  readonly tx?: ReadTransaction;
  /** Results of database queries under way. */
  readonly streams: Map<number, Document[]>;
}

type Args = Readonly<Record<string, unknown>>;

const SYSTEM_ONLY = ["_storage", "_scheduled_functions"];

function text(value: Parameters<typeof encode>[0]): string {
  return encode(value, "convex_encoded_json");
}

/** What `ctx.auth.getUserIdentity()` gives, as JSON text; throws for bad credentials of an HTTP action (contract 8.1). */
export function identityText(identity: Identity): string {
  if (identity.kind === "invalid") throw new CallError(identity.message);
  return identity.kind === "user" || identity.kind === "acting" ? text(identity.user) : "null";
}

export class Syscalls {
  readonly #deps: SyscallDeps;

  constructor(deps: SyscallDeps) {
    this.#deps = deps;
  }

  /** JSON text of the answer; throws what the function sees as an Error. */
  async handle(
    op: string,
    json: string,
    context: SyscallContext,
    bytes?: Uint8Array,
    isolate?: Isolate,
  ): Promise<string> {
    const args = JSON.parse(json) as Args;
    try {
      const shared = await this.#shared(op, args, context);
      if (shared !== undefined) return shared;
      if (context.kind === "Action") return await this.#action(op, args, context, bytes);
      return await this.#transaction(op, args, context, isolate);
    } catch (error) {
      throw asCallError(error);
    }
  }

  handleSync(op: string, json: string, { tx, call }: SyscallContext): string {
    const args = JSON.parse(json) as { table: string; idString: string };
    if (op === "1.0/getSnapshotTs") return text(tx?.ts ?? 0n);
    if (op !== "1.0/db/normalizeId" || tx === undefined) throw new CallError(`Unknown operation ${op}`);
    const table = tx.table(call.component, args.table);
    const id = decodeId(args.idString);
    return JSON.stringify({ id: table !== undefined && id?.table === table.number ? args.idString : null });
  }

  /** The same for every kind of function. */
  async #shared(op: string, args: Args, { call, tx }: SyscallContext): Promise<string | undefined> {
    const { files, store } = this.#deps;
    const read = tx ?? store.beginRead();
    switch (op) {
      case "1.0/getUserIdentity":
        return identityText(call.identity);
      case "1.0/createFunctionHandle":
        return JSON.stringify(handleOf(resolveAddress(read, call.component, args as Address)));
      case "1.0/storageGetUrl":
        return JSON.stringify(files.url(read, call.component, String(args["storageId"])));
      case "1.0/storageGetMetadata": {
        const found = files.metadata(read, call.component, String(args["storageId"]));
        return found === null ? "null" : text(metadata(found));
      }
      case "1.0/storageGenerateUploadUrl":
        return JSON.stringify(files.uploadUrl(read, call.component));
      case "1.0/getFunctionMetadata":
        return JSON.stringify({
          name: `${call.path.module.replace(/\.js$/, "")}:${call.path.name}`,
          componentPath: call.component,
        });
      default:
        return undefined;
    }
  }

  // ---- queries and mutations

  async #transaction(op: string, args: Args, context: SyscallContext, isolate: Isolate | undefined): Promise<string> {
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
        if (context.kind !== "Mutation") throw unknownOperation(op);
        return this.#write(op, args, call, tx as WriteTransaction);
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

  async #write(op: string, args: Args, call: FunctionCall, tx: WriteTransaction): Promise<string> {
    const { component } = call;
    switch (op) {
      case "1.0/insert":
        return JSON.stringify({ _id: tx.insert(component, String(args["table"]), fields(args["value"])) });
      case "1.0/shallowMerge": {
        const before = this.#existing(tx, component, args, "patch");
        const next = merged(before, args["value"] as Args);
        tx.replace(component, before._id, next);
        return text({ ...next, _id: before._id, _creationTime: before._creationTime });
      }
      case "1.0/replace": {
        const before = this.#existing(tx, component, args, "replace");
        const next = plain(fields(args["value"]));
        tx.replace(component, before._id, next);
        return text({ ...next, _id: before._id, _creationTime: before._creationTime });
      }
      case "1.0/remove": {
        const before = this.#existing(tx, component, args, "delete");
        tx.delete(component, before._id);
        return text(before);
      }
      case "1.0/storageDelete":
        this.#deps.files.remove(tx, component, String(args["storageId"]));
        return "null";
      case "1.0/schedule":
        return JSON.stringify(this.#schedule(tx, args, call));
      case "1.0/cancel_job":
        this.#deps.scheduler.cancel(tx, component, String(args["id"]));
        return "null";
      default:
        throw unknownOperation(op);
    }
  }

  #existing(tx: WriteTransaction, component: string, args: Args, method: string): Document {
    const id = String(args["id"]);
    const table = tx.tableOfId(component, id);
    if (decodeId(id) === undefined)
      throw new CallError(
        `Invalid argument \`id\` for \`db.${method}\`: Unable to decode ID: Invalid ID length ${id.length}`,
      );
    if (table?.name.startsWith("_")) throw new CallError("System tables (prefixed with `_`) are read-only.");
    const document = tx.get(component, id);
    if (document !== null) return document;
    throw new CallError(
      method === "delete" ? `Delete on nonexistent document ID ${id}` : `Update on nonexistent document ID ${id}`,
    );
  }

  #schedule(tx: WriteTransaction, args: Args, call: FunctionCall): string {
    const target = resolveAddress(tx, call.component, args as Address);
    return this.#deps.scheduler.schedule(tx, {
      ...target,
      args: fromJson(args["args"]),
      at: Number(args["ts"]) * 1000,
    });
  }

  // ---- actions

  async #action(op: string, args: Args, { call }: SyscallContext, bytes: Uint8Array | undefined): Promise<string> {
    const { files, store, scheduler } = this.#deps;
    switch (op) {
      case "1.0/actions/query":
        return this.#runFunction("Query", args, call);
      case "1.0/actions/mutation":
        return this.#runFunction("Mutation", args, call);
      case "1.0/actions/action":
        return this.#runFunction("Action", args, call);
      case "1.0/actions/schedule":
        return JSON.stringify(await store.write((tx) => this.#schedule(tx, args, call)));
      case "1.0/actions/cancel_job":
        await store.write((tx) => scheduler.cancel(tx, call.component, String(args["id"])));
        return "null";
      case "1.0/actions/vectorSearch":
        return vectorSearch(store.beginRead(), call.component, args["query"] as VectorQuery);
      case "1.0/storageDelete":
        await store.write((tx) => files.remove(tx, call.component, String(args["storageId"])));
        return "null";
      case "storage/storeBlob": {
        const { contentType, sha256 } = args as { contentType: string | null; sha256: string | null };
        return JSON.stringify(
          await files.store(call.component, bytes ?? new Uint8Array(), contentType, sha256 ?? undefined),
        );
      }
      case "storage/getBlob": {
        const found = await files.read(call.component, String(args["storageId"]));
        return JSON.stringify(
          found === null ? null : { bytes: found.bytes.toString("base64"), contentType: found.contentType },
        );
      }
      default:
        throw unknownOperation(op);
    }
  }

  async #runFunction(kind: "Query" | "Mutation" | "Action", args: Args, call: FunctionCall): Promise<string> {
    const target = resolveAddress(this.#deps.store.beginRead(), call.component, args as Address);
    const identity: Identity = target.component === call.component ? call.identity : { kind: "none" };
    const { requestId, executionId } = call;
    const request = {
      ...target,
      kind,
      args: fromJson(args["args"]),
      identity,
      requestId,
      parentExecutionId: executionId,
    };
    const result = await this.#deps.functions.run({ ...request, caller: "Action", visibility: "all" });
    if (result.status === "error") throw result.error;
    return text(result.value);
  }
}

function unknownOperation(op: string): CallError {
  return new CallError(`Unknown async operation ${op}`);
}

/** A function's error becomes the message of an Error in its caller; its last newline belongs to it. */
export function asCallError(error: unknown): unknown {
  if (error instanceof FunctionError) {
    const own = error.message.startsWith("Uncaught Error: storage id ");
    const message = own ? error.message.slice("Uncaught Error: ".length) : `${error.message}\n`;
    return new CallError(message, error.data === undefined ? undefined : JSON.parse(text(error.data)));
  }
  if (error instanceof ApiError) return new CallError(error.message);
  return error;
}

function fields(json: unknown): Fields {
  const value = fromJson(json);
  if (!isFields(value)) throw new CallError("Value is not a Convex object.");
  return value;
}

function plain(document: Fields): Fields {
  const { _id, _creationTime, ...rest } = document;
  return rest;
}

/** `{"$undefined": null}` takes a field away. */
function merged(before: Document, changes: Args): Fields {
  const next = plain(before);
  for (const [name, json] of Object.entries(changes)) {
    if (name === "_id" || name === "_creationTime") continue;
    if (typeof json === "object" && json !== null && "$undefined" in json) delete next[name];
    else next[name] = fromJson(json);
  }
  return next;
}

function metadata(document: Document): Fields {
  const { _id, _creationTime, sha256, size, contentType } = document;
  return { storageId: _id, sha256: sha256 ?? null, size: size ?? null, contentType: contentType ?? null };
}
