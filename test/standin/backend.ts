/**
 * The stand-in backend: a test double of the Convex self-hosted backend, put together from its parts. It lives in one
 * process, which may be a test's own. What deploys, snapshots and user tokens need is attached before it listens.
 */
import { join } from "node:path";
import { LocalBlobs } from "./blobs.ts";
import { Cursors } from "./cursors.ts";
import { addEnvironmentRoutes, Environment } from "./environment.ts";
import { addFunctionRoutes } from "./function-endpoints.ts";
import { FunctionService } from "./functions.ts";
import { Identities } from "./identity.ts";
import { type Log, silentLog } from "./log.ts";
import { addLogRoutes, FunctionLogs } from "./logs.ts";
import { addOriginRoutes, Origins } from "./origins.ts";
import { addPauseRoutes, PauseState } from "./pause.ts";
import { addDataRoutes, addPlainRoutes } from "./plain-endpoints.ts";
import { DocumentScheduler } from "./scheduler.ts";
import { HttpServer } from "./server.ts";
import { SqliteStore } from "./store.ts";
import { SyncServer } from "./sync.ts";
import { addSystemQueries, SystemQueries } from "./system-queries.ts";
import type { Blobs, FunctionRunner, Like, ReadTransaction, Routes, Scheduler } from "./types.ts";

const REQUEST_TIMEOUT_MS = 300_000;
/** How long table counts are missing after a start with data (contract 1.5). */
const BOOTSTRAP_MS = 500;

export interface BackendOptions {
  readonly instanceName: string;
  /** 64 hex digits, already checked. */
  readonly instanceSecret: string;
  /** IPv4 address to listen on; 127.0.0.1 unless given. */
  readonly interface?: string;
  /** 0 (as by default): any free port. */
  readonly port?: number;
  readonly sitePort?: number;
  /** `http://127.0.0.1:<port>` unless given; taken as they are. */
  readonly cloudOrigin?: string;
  readonly siteOrigin?: string;
  readonly dbFile: string;
  readonly storage: { readonly kind: "local"; readonly dir: string } | { readonly kind: "s3"; readonly prefix: string };
  /** Where a double of S3 keeps its objects, and temporary files go. */
  readonly tmpDir: string;
  /** Instead of a directory. */
  readonly blobs?: Blobs;
  readonly redactLogs?: boolean;
  readonly like?: Like;
  /** Text of `/version`. */
  readonly releaseVersion?: string;
  readonly metrics?: boolean;
  readonly requestTimeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly log?: Log;
}

export class Backend {
  readonly options: BackendOptions;
  readonly like: Like;
  readonly log: Log;
  readonly secret: Uint8Array;
  readonly store: SqliteStore;
  readonly blobs: Blobs;
  readonly identities: Identities;
  readonly cursors: Cursors;
  readonly origins: Origins;
  readonly environment: Environment;
  readonly pause: PauseState;
  readonly logs: FunctionLogs;
  readonly functions: FunctionService;
  readonly systemQueries = new SystemQueries();
  readonly scheduler: Scheduler;
  /** Set by the deploy part. */
  runner: FunctionRunner = nothingDeployed;
  /** Names of the tables of a component's active schema; set by the deploy part. */
  schemaTables: (component: string) => readonly string[] = () => [];
  /** Run when the backend stops, before the store is closed. */
  readonly onStop: (() => void | Promise<void>)[] = [];
  #server: HttpServer;
  #sync: SyncServer;
  #scheduler: DocumentScheduler;
  #countsFrom = 0;

  /** Opens database and storage; throws SQLite's and the system's errors. */
  static async open(options: BackendOptions): Promise<Backend> {
    return new Backend(options);
  }

  constructor(options: BackendOptions) {
    this.options = options;
    this.like = options.like ?? "m14";
    this.log = options.log ?? silentLog;
    this.secret = Buffer.from(options.instanceSecret, "hex");
    this.store = new SqliteStore(options.dbFile);
    this.blobs = options.blobs ?? new LocalBlobs(storageDirectory(options));
    const instance = { name: options.instanceName, secret: this.secret };
    this.identities = new Identities({ ...instance, like: this.like });
    this.cursors = new Cursors(instance);
    this.origins = new Origins(this.store, () => this.#flagOrigins());
    this.environment = new Environment(this.store, this.origins, this.like);
    this.pause = new PauseState(this.store);
    this.logs = new FunctionLogs();
    const runner = () => this.runner;
    const { store, logs, pause } = this;
    this.functions = new FunctionService({ store, logs, pause, runner });
    this.#scheduler = new DocumentScheduler({ store, functions: this.functions, pause, runner });
    this.scheduler = this.#scheduler;
    const requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#server = new HttpServer({ identities: this.identities, log: this.log, requestTimeoutMs });
    this.#server.onError = (error) => this.logError(error);
    this.#sync = this.#makeSync();
    this.#addRoutes();
  }

  get routes(): Routes {
    return this.#server.routes;
  }

  get port(): number {
    return this.#server.port;
  }

  get sitePort(): number {
    return this.#server.sitePort;
  }

  /** Where it is reached from this machine. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get siteUrl(): string {
    return `http://127.0.0.1:${this.sitePort}`;
  }

  /** Called when a commit cannot be written: the process has to end. */
  onFatal(callback: (reason: string) => void): void {
    this.store.onFatal = callback;
  }

  /** The API port, then the site port; throws BindError. From here on the backend answers. */
  async listen(): Promise<void> {
    const { interface: host = "127.0.0.1", port = 0, sitePort = 0 } = this.options;
    const hasData = this.store.read((tx) => tx.userTables().some((table) => tx.count(table.component, table.name) > 0));
    await this.#server.listen(host, port, sitePort);
    this.#countsFrom = hasData ? Date.now() + BOOTSTRAP_MS : 0;
    await this.#scheduler.start();
  }

  /** SIGINT: no new connections, websockets cut, long polls answered, open requests served to the end. */
  async drain(): Promise<void> {
    this.#scheduler.stop();
    this.#sync.destroy();
    await this.#server.drain();
    await this.#close();
  }

  /** Everything is cut. */
  async destroy(): Promise<void> {
    this.#scheduler.stop();
    this.#sync.destroy();
    this.#server.destroy();
    await this.#close();
  }

  logError(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.log.write("ERROR", "common::errors", `Caught error (test double) ${text}`);
  }

  async #close(): Promise<void> {
    for (const stop of this.onStop) await stop();
    this.store.close();
  }

  #flagOrigins(): { cloud: string; site: string } {
    const { cloudOrigin, siteOrigin } = this.options;
    return { cloud: cloudOrigin ?? this.url, site: siteOrigin ?? this.siteUrl };
  }

  #makeSync(): SyncServer {
    const { store, functions, systemQueries, identities } = this;
    const redact = this.options.redactLogs === true;
    const hasComponent = (tx: ReadTransaction, path: string) =>
      tx.scan("", "_components").some((doc) => doc["path"] === path);
    const sync = new SyncServer({ store, functions, systemQueries, identities, redact, hasComponent });
    this.#server.onUpgrade = (request, socket, head) => sync.upgrade(request, socket, head);
    return sync;
  }

  #addRoutes(): void {
    const { routes, store, like, identities, environment, origins } = this;
    const {
      instanceName,
      releaseVersion: version = "unknown",
      metrics = true,
      redactLogs: redact = false,
    } = this.options;
    addPlainRoutes(routes, this.#server.siteRoutes, { instanceName, version, metrics, like });
    addEnvironmentRoutes(routes, store, environment, like);
    addOriginRoutes(routes, store, origins, environment, like);
    addPauseRoutes(routes, this.pause, like);
    addLogRoutes(routes, this.logs);
    addDataRoutes(routes, { store, identities, schemaTables: (component) => this.schemaTables(component) }, like);
    const { functions, systemQueries } = this;
    addFunctionRoutes(routes, { store, functions, systemQueries, identities, runner: () => this.runner, redact });
    addSystemQueries(systemQueries, {
      runner: () => this.runner,
      cursors: this.cursors,
      cloudOrigin: (tx) => origins.cloud(tx),
      variables: (tx) => environment.variables(tx),
      countsReady: () => Date.now() >= this.#countsFrom,
    });
  }
}

function storageDirectory({ storage, tmpDir }: BackendOptions): string {
  return storage.kind === "local" ? storage.dir : join(tmpDir, "s3", storage.prefix);
}

/** Before anything is deployed there is a root component without modules. */
const nothingDeployed: FunctionRunner = {
  modules: (tx, component) =>
    component === "" || tx.scan("", "_components").some((doc) => doc["path"] === component) ? [] : undefined,
  query: neverCalled,
  mutation: neverCalled,
  action: neverCalled,
  testQuery: neverCalled,
};

function neverCalled(): never {
  throw new Error("no function runner is attached to this stand-in backend");
}
