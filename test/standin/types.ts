/**
 * The seams of the stand-in backend: what its parts promise each other. The parts are `Backend` (backend.ts), the
 * store (store.ts), the HTTP server (server.ts), the function service (functions.ts), and what the deploy, snapshot
 * and token parts plug in. Everything here describes a test double of the Convex self-hosted backend.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";

/** A Convex value in memory: Int64 is a bigint, Float64 a number, bytes an ArrayBuffer. Never `undefined`. */
export type Value = null | boolean | string | bigint | number | ArrayBuffer | Value[] | { [field: string]: Value };
export type Fields = { [field: string]: Value };
export type Document = Fields & { _id: string; _creationTime: number };

/** The releases a stand-in can imitate (contract 11). */
export type Like = "first" | "m14" | "head";

// ---------------------------------------------------------------- errors

/** An answer that is not 200: `{"code","message"}` with a status (contract 3.1). Thrown anywhere below a route. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

/** What a backend says when it does not want to say anything. */
export function internalError(status = 500): ApiError {
  return new ApiError(status, "InternalServerError", "Your request couldn't be completed. Try again later.");
}

/**
 * An error inside a function call: HTTP 200 with `status: "error"`. `message` is the text after
 * `[Request ID: …] Server Error\n` and before the last newline, `data` that of a ConvexError.
 */
export class FunctionError extends Error {
  readonly data: Value | undefined;
  constructor(message: string, data?: Value) {
    super(message);
    this.name = "FunctionError";
    this.data = data;
  }
}

// ---------------------------------------------------------------- who calls

/** What `ctx.auth.getUserIdentity()` returns, claims of unknown names included. */
export type UserIdentity = { tokenIdentifier: string; issuer: string; subject: string } & Fields;

export type Identity =
  | { readonly kind: "none" }
  /** `namesOperation`: refusals of a read-only key name the operation, as newer releases do (contract 2.3). */
  | { readonly kind: "admin"; readonly readOnly: boolean; readonly namesOperation?: boolean }
  | { readonly kind: "system" }
  /** `Convex <key>:<base64>`: acts as `user` in functions; `key` is what the key alone would be. */
  | {
      readonly kind: "acting";
      readonly key: "admin" | "readOnly" | "system";
      readonly user: UserIdentity;
      readonly namesOperation?: boolean;
    }
  | { readonly kind: "user"; readonly user: UserIdentity }
  /** Only HTTP actions see this: they run, and `ctx.auth.getUserIdentity()` throws `message` (contract 3.1). */
  | { readonly kind: "invalid"; readonly message: string };

/** Checks a `Bearer` token against the deployed auth config; throws the ApiError of contract 3.1 or 8.4. */
export type TokenVerifier = (token: string) => Promise<UserIdentity>;

// ---------------------------------------------------------------- store

export interface TableInfo {
  /** Names the table for ever, whatever its name, number or state. */
  readonly tablet: string;
  /** Component path, "" is the root. */
  readonly component: string;
  readonly name: string;
  /** First part of its documents' ids. User tables from 10001 in every component. */
  readonly number: number;
  /** Hidden tables (of an import under way) are reached by tablet only. */
  readonly state: "active" | "hidden";
}

export interface Bound {
  /** A prefix of the index's fields; undefined for a field that is absent. */
  readonly values: readonly (Value | undefined)[];
  readonly inclusive: boolean;
}

export interface ReadTransaction {
  /** The snapshot's commit timestamp in ns. */
  readonly ts: bigint;
  /** Keys of what was read, for subscriptions; opaque. */
  readonly reads: ReadonlySet<string>;
  /** The active table of that name. System tables (`_…`) always exist. */
  table(component: string, name: string): TableInfo | undefined;
  tableByNumber(component: string, number: number): TableInfo | undefined;
  /** Active user tables of one component, by number; of all components when it is left out. */
  userTables(component?: string): TableInfo[];
  /** All tables, hidden and system ones too. */
  allTables(): TableInfo[];
  /** By id alone; null when it is no id, its table or the document does not exist. */
  get(component: string, id: string): Document | null;
  /** The active table an id belongs to. */
  tableOfId(component: string, id: string): TableInfo | undefined;
  /** All documents in order of creation. Unknown table: none. Documents must not be changed by the caller. */
  scan(component: string, table: string): Document[];
  scanTablet(tablet: string): Document[];
  count(component: string, table: string): number;
  /** Documents in the order of an index on `fields` (`_creationTime` and `_id` break ties), within the bounds. */
  range(
    component: string,
    table: string,
    query: { fields: readonly string[]; lower?: Bound; upper?: Bound; order?: "asc" | "desc" },
  ): Document[];
  /** The same snapshot with reads of its own. */
  fork(): ReadTransaction;
  /** Ends it; `Store.read` does it by itself; nothing but memory depends on it. */
  close(): void;
}

export interface WriteTransaction extends ReadTransaction {
  /** Inserts into the active table, making it when there is none. `given` keeps id or time of an imported document. */
  insert(component: string, table: string, fields: Fields, given?: { id?: string; creationTime?: number }): string;
  insertTablet(tablet: string, fields: Fields, given?: { id?: string; creationTime?: number }): string;
  /** Replaces all fields but `_id` and `_creationTime`. Throws when there is no such document. */
  replace(component: string, id: string, fields: Fields): void;
  /** Throws when there is no such document. */
  delete(component: string, id: string): void;
  createTable(component: string, name: string, options?: { number?: number; hidden?: boolean }): TableInfo;
  /** With all documents. */
  deleteTable(tablet: string): void;
  /** A hidden table takes its name; the active table of that name or number in its component goes away. */
  activateTable(tablet: string): void;
  /** Everything written after `savepoint()` is taken back by `rollback(that)`. */
  savepoint(): number;
  rollback(savepoint: number): void;
  /** Resolves to the commit's timestamp (that of the snapshot when nothing was written). */
  commit(): bigint;
  /** Gives up; harmless after a commit. */
  abort(): void;
  /** Called once after a successful commit. */
  afterCommit(action: () => void): void;
}

/** Throws to refuse a document (schema enforcement). Not called for hidden tables. */
export type DocumentCheck = (tx: WriteTransaction, table: TableInfo, document: Document) => void;

export interface Store {
  checkDocument: DocumentCheck | undefined;
  /** A snapshot that later commits do not change. Close it. */
  beginRead(): ReadTransaction;
  /** Waits for the write lock: there is one writer at a time, so commits are serialisable. Commit or abort it. */
  beginWrite(): Promise<WriteTransaction>;
  read<T>(work: (tx: ReadTransaction) => T): T;
  /** Commits when `work` returns, aborts when it throws. Do not nest: the lock is not reentrant. */
  write<T>(work: (tx: WriteTransaction) => T | Promise<T>): Promise<T>;
  /** Newest commit, in ns. */
  readonly lastCommit: bigint;
  /** After every commit that wrote something; `keys` are comparable with `ReadTransaction.reads`. */
  onCommit(listener: (ts: bigint, keys: ReadonlySet<string>) => void): () => void;
  close(): void;
}

// ---------------------------------------------------------------- blobs

export type BlobKind = "files" | "modules" | "search" | "exports" | "snapshot_imports";

/** `storage/<kind>/<uuid>.blob`; blobs are never changed, and nothing but expired exports is deleted (contract 1.9). */
export interface Blobs {
  /** A new blob; its UUID. */
  put(kind: BlobKind, bytes: Uint8Array): Promise<string>;
  /** A new blob from a stream. */
  putStream(kind: BlobKind, stream: Readable): Promise<{ uuid: string; size: number; sha256: Buffer }>;
  /** Undefined when the file is gone. */
  get(kind: BlobKind, uuid: string): Promise<Buffer | undefined>;
  /** Expired exports only; nothing else is ever deleted. */
  delete(kind: BlobKind, uuid: string): Promise<void>;
  has(kind: BlobKind, uuid: string): boolean;
  /** Where it is or would be. */
  path(kind: BlobKind, uuid: string): string;
}

// ---------------------------------------------------------------- HTTP

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";

export interface ApiRequest {
  readonly method: string;
  /** Without query string, as sent. */
  readonly path: string;
  /** Values of `:name` segments and `*` of the route, percent-decoded (`*` is left as sent). */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly raw: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborted when the backend shuts down: long polls then answer 500 at once. */
  readonly draining: AbortSignal;
  /** Aborted when the client has gone. */
  readonly closed: AbortSignal;
  /** The whole body, brotli undone. `limit` in bytes (2 MiB unless given), above it 400 `BadJsonBody`. */
  bytes(limit?: number): Promise<Buffer>;
  /** The JSON body checked against a shape; errors are those of contract 3.1. */
  json<T>(shape: Shape<T>, options?: { limit?: number }): Promise<T>;
  /** Query parameters checked against a shape of strings; errors are 400 `BadQueryArgs`. */
  queryArgs<T>(shape: Shape<T>): T;
  /** Form of the header (400); never looks at the key. */
  checkAuthHeader(): void;
  /** Who calls, by header or `?adminKey=`; throws 400/401. */
  identity(): Promise<Identity>;
  /** Header or query key of an admin, else 400, 401 or 403; `write` refuses read-only keys. */
  requireAdmin(need: "read" | "write"): Promise<void>;
  /** The order of header endpoints (contract 3.1): header and key, then body, then the kind of key. */
  adminJson<T>(shape: Shape<T>, need: "read" | "write"): Promise<T>;
}

export interface ApiResponse {
  readonly status?: number;
  readonly headers?: Record<string, string | string[]>;
  /** Text is sent as it is; a stream is piped; nothing for an empty body. */
  readonly body?: string | Uint8Array | Readable;
}

export type Handler = (request: ApiRequest) => ApiResponse | Promise<ApiResponse>;

export interface RouteOptions {
  /** No CORS headers, no client version check: `/version`, `/metrics`. */
  readonly plain?: boolean;
  /** Not in the access log. */
  readonly silent?: boolean;
  /** No CORS headers are added: HTTP actions answer for themselves. */
  readonly ownCors?: boolean;
}

export interface Routes {
  /** `path` may hold `:name` segments and end in `/*`. `method` "*" takes all; HEAD runs GET routes. */
  route(method: Method | "*", path: string, handler: Handler, options?: RouteOptions): void;
}

/** A form that JSON must have; see shapes.ts for how to make one. */
export interface Shape<T> {
  decode(node: JsonNode, path: string): T;
  /** What an absent field becomes; a shape without this makes the field mandatory. */
  readonly absent?: { readonly value: T };
}

/** Parsed JSON that knows where it stood, for the texts of errors. */
export interface JsonNode {
  readonly value: unknown;
  /** Offsets into the text: first character, and the one after the last. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly items?: readonly JsonNode[];
  readonly fields?: ReadonlyMap<string, JsonNode>;
}

// ---------------------------------------------------------------- functions

export type FunctionKind = "Query" | "Mutation" | "Action";

export interface AnalyzedFunction {
  readonly name: string;
  readonly kind: FunctionKind;
  readonly visibility: "public" | "internal";
  /** Validator JSON, e.g. `{type:"object",value:{…}}` or `{type:"any"}`. */
  readonly args: unknown;
  /** Validator JSON; null when the function declares none. */
  readonly returns: unknown;
}

export interface AnalyzedModule {
  /** `messages.js` */
  readonly path: string;
  readonly environment: "isolate" | "node";
  /** In source order. */
  readonly functions: readonly AnalyzedFunction[];
  /** Of `http.js`. */
  readonly httpRoutes: readonly { readonly method: string; readonly path: string }[] | null;
}

/** `messages:send`, canonical. */
export interface FunctionPath {
  /** `messages.js` */
  readonly module: string;
  readonly name: string;
}

export type LogLevel = "DEBUG" | "INFO" | "LOG" | "WARN" | "ERROR";

export interface LogLine {
  readonly level: LogLevel;
  /** One text per argument of the console call, formatted (`'hello'`, `1`). */
  readonly messages: readonly string[];
  readonly timestamp: number;
}

export type Caller = "HttpApi" | "SyncWorker" | "Action" | "HttpEndpoint" | "Scheduler" | "Cron" | "Tester";

/** What a runner needs to run one function. */
export interface FunctionCall {
  readonly component: string;
  readonly path: FunctionPath;
  /** Not yet validated against the function's validator. */
  readonly args: Value;
  readonly identity: Identity;
  readonly caller: Caller;
  /** 16 hex digits. */
  readonly requestId: string;
  readonly executionId: string;
  /** Log lines as they come; the outcome has them again. */
  readonly onLog?: (line: LogLine) => void;
}

export type Outcome =
  | { readonly status: "success"; readonly value: Value; readonly logLines: readonly LogLine[] }
  | { readonly status: "error"; readonly error: FunctionError; readonly logLines: readonly LogLine[] };

/**
 * Runs deployed code. The service has checked before: component, function, kind, visibility, pause.
 * An exception of the function is an outcome; a thrown ApiError is passed to the client (e.g. 500 when the code
 * package is gone). Argument and return validation are the runner's.
 */
export interface FunctionRunner {
  /** Deployed modules of a component, sorted by path; undefined for a component that does not exist. */
  modules(tx: ReadTransaction, component: string): readonly AnalyzedModule[] | undefined;
  query(call: FunctionCall, tx: ReadTransaction): Promise<Outcome>;
  /** The service commits after success and aborts after an error. */
  mutation(call: FunctionCall, tx: WriteTransaction): Promise<Outcome>;
  /** Calls back through `Backend.functions.run`. */
  action(call: FunctionCall): Promise<Outcome>;
  /** `run_test_function`: default export of a bundle; 400 `InvalidModules` when it cannot be loaded. */
  testQuery(bundle: { path: string; source: string }, call: FunctionCall, tx: ReadTransaction): Promise<Outcome>;
}

export interface RunRequest {
  readonly component: string;
  readonly path: FunctionPath;
  /** "Any" takes what it is. */
  readonly kind: FunctionKind | "Any";
  /** `[]` or an object as sent: the service turns it into the one argument object. */
  readonly args: Value;
  readonly identity: Identity;
  readonly caller: Caller;
  /** `public` also runs internal functions for admin and read-only keys; `all` is for actions, crons, the scheduler. */
  readonly visibility: "public" | "all";
  readonly parentExecutionId?: string;
  readonly requestId?: string;
  /** Belongs to the mutation: done in its transaction after it returned, so both are stored or neither. */
  readonly withCommit?: (tx: WriteTransaction) => void;
  /** A snapshot to read from instead of the newest (queries only). */
  readonly snapshot?: ReadTransaction;
}

export type RunResult = Outcome & {
  readonly requestId: string;
  /** Of the snapshot read, or of the commit. */
  readonly ts: bigint;
  readonly reads: ReadonlySet<string>;
};

/** Looks up, checks, runs and logs functions. ApiErrors pass through. */
export interface Functions {
  run(request: RunRequest): Promise<RunResult>;
}

/** A `_system/…` query; throws FunctionError or ApiError. */
export type SystemQuery = (context: { tx: ReadTransaction; component: string; args: Fields }) => Value | Promise<Value>;

// ---------------------------------------------------------------- scheduling

export type CronSchedule = { readonly type: string } & Readonly<Record<string, unknown>>;

export interface CronSpec {
  /** Unique in a component. */
  readonly identifier: string;
  readonly path: FunctionPath;
  readonly args: Value;
  /** As in `cronSpecs` of start_push (contract 5.2). */
  readonly schedule: CronSchedule;
}

export interface Scheduler {
  /** Within a mutation; runs after its commit. `at` in ms. Returns the id (`_scheduled_functions`, contract 7.2). */
  schedule(tx: WriteTransaction, job: { component: string; path: FunctionPath; args: Value; at: number }): string;
  /** Pending → canceled; anything else is left. */
  cancel(tx: WriteTransaction, component: string, id: string): void;
  /** The crons of a component from now on; same identifier and spec keep their next run. */
  setCrons(
    tx: WriteTransaction,
    component: string,
    specs: readonly CronSpec[],
  ): { added: string[]; updated: string[]; deleted: string[] };
}
