/**
 * A start up to the moment when the ports could be bound: the backend's checks in its order, with its log lines and
 * error texts (contract 1.3-1.6).
 */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { BEACON_NOTICE, logBootstrap, logLocalStorage, logNoProxy, logTables, METADATA_VERSION } from "./bootlines.ts";
import { type Metadata, openDatabase, StartError } from "./database.ts";
import type { Flags } from "./flags.ts";
import type { Lease } from "./lease.ts";
import type { Log } from "./log.ts";
import { checkS3Variables, prefixOf } from "./s3.ts";

/** The public dev secret and name that M14 uses when neither flag is given (contract 1.1). */
const DEV_SECRET = "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974";
const DEV_NAME = "carnitas";

export interface Booted {
  instanceName: string;
  /** 64 hex digits */
  instanceSecret: string;
  /** SQLite file of the data, also for "Postgres" */
  dbFile: string;
  fresh: boolean;
  /** metadata version found in the database */
  version: number;
  /** directory that holds files/, modules/, ... */
  storageDir: string;
  /** key prefix of a database on S3 */
  s3Prefix: string | undefined;
  /** the run's own temporary directory */
  tmpDir: string;
  cloudOrigin: string;
  siteOrigin: string;
  /** only with Postgres */
  lease: Lease | undefined;
}

/** @throws StartError */
export async function boot(flags: Flags, env: NodeJS.ProcessEnv, log: Log): Promise<Booted> {
  log.write("INFO", "convex_local_backend", "Starting a Convex backend");
  log.write("INFO", "standin", "This is a stand-in, a test double: not a Convex backend.");
  if (flags.beacon) log.write("INFO", "convex_local_backend", BEACON_NOTICE);
  log.write("INFO", "convex_local_backend", "Sentry is not enabled.");

  const { dbFile, lease } = await connectDatabase(flags, env, log);
  try {
    return { ...openInstance(flags, env, log, dbFile), lease };
  } catch (error) {
    lease?.release();
    throw error;
  }
}

/** Connects, and with Postgres takes the lease: before anything else is checked (contract 1.4). */
async function connectDatabase(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<{ dbFile: string; lease: Lease | undefined }> {
  const instanceName = flags.instanceName ?? DEV_NAME;
  if (flags.db === "sqlite") return { dbFile: flags.dbSpec, lease: undefined };
  if (flags.db.startsWith("mysql")) {
    const { refuseMysql } = await import("./mysql.ts");
    await refuseMysql(flags.dbSpec);
  }
  const { takeLease } = await import("./lease.ts");
  const lease = await takeLease({ url: flags.dbSpec, instanceName, requireSsl: flags.requireSsl, env }, log);
  log.write("INFO", "db_connection", `Connected to Postgres database: ${instanceName}`);
  const folder = env["STANDIN_POSTGRES_DIR"] ?? join(tmpdir(), "standin-postgres");
  mkdirSync(folder, { recursive: true });
  return { dbFile: join(folder, `${lease.databaseId}.sqlite3`), lease };
}

function openInstance(flags: Flags, env: NodeJS.ProcessEnv, log: Log, dbFile: string): Omit<Booted, "lease"> {
  const database = openDatabase(dbFile);
  try {
    if (flags.db === "sqlite") log.write("INFO", "db_connection", `Connected to SQLite at ${dbFile}`);
    const { instanceName, instanceSecret } = checkInstance(flags);
    const tmpDir = makeTmpDir();
    log.write(
      "INFO",
      "search::searcher::searcher",
      `Searchlight starting, local_storage_path: ${tmpDir} max_size: 500.0 MiB`,
    );
    logBootstrap(log, database.fresh);
    const metadata: Metadata = database.fresh ? { version: METADATA_VERSION[flags.like] } : database.read();
    database.write(metadata);
    logTables(log, database.fresh);
    const { storageDir, s3Prefix } = openStorage(flags, env, log, {
      instanceName,
      dbFile,
      metadata,
      save: database.write,
    });
    const [cloudOrigin, siteOrigin] = checkOrigins(flags, log);
    const { fresh } = database;
    const { version } = metadata;
    return {
      instanceName,
      instanceSecret,
      dbFile,
      fresh,
      version,
      storageDir,
      s3Prefix,
      tmpDir,
      cloudOrigin,
      siteOrigin,
    };
  } finally {
    database.close();
  }
}

function checkInstance(flags: Flags): { instanceName: string; instanceSecret: string } {
  if (flags.instanceName === undefined && flags.like === "head") {
    throw new StartError("--instance-name and --instance-secret are required");
  }
  const instanceName = flags.instanceName ?? DEV_NAME;
  const instanceSecret = flags.instanceSecret ?? DEV_SECRET;
  checkSecret(instanceSecret);
  return { instanceName, instanceSecret };
}

/** @throws StartError as in contract 1.3 */
export function checkSecret(hex: string): void {
  const cause = (text: string) => new StartError("Couldn't hexdecode key", text);
  if (Buffer.byteLength(hex) % 2 === 1) throw cause("Odd number of digits");
  const bad = /[^0-9a-fA-F]/.exec(hex);
  if (bad) throw cause(`Invalid character '${bad[0]}' at position ${bad.index}`);
  if (hex.length !== 64) throw new StartError(`Hex-decoded key was ${hex.length / 2} bytes, not 32`);
}

/** One directory per run; it stays behind when the process is killed, as the real ones do. */
function makeTmpDir(): string {
  const prefix = join(tmpdir(), ".tmp");
  try {
    return mkdtempSync(prefix);
  } catch {
    const name = Math.random().toString(36).slice(2, 8).padEnd(6, "0");
    throw new StartError(`No such file or directory (os error 2) at path "${prefix}${name}"`);
  }
}

interface StorageContext {
  instanceName: string;
  dbFile: string;
  metadata: Metadata;
  save(metadata: Metadata): void;
}

/** Local or S3, as the database was begun (contract 1.4). The stand-in keeps "S3" objects in a folder. */
function openStorage(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  log: Log,
  context: StorageContext,
): { storageDir: string; s3Prefix: string | undefined } {
  const { metadata, save } = context;
  const before = metadata.storageType;
  const given = flags.localStorage;
  if (given === undefined) {
    if (before?.tag === "local") throw mismatch(localText(before.dir), "S3");
    const s3Prefix = prefixOf(context.instanceName, before?.s3Prefix);
    save({ ...metadata, storageType: { tag: "s3", s3Prefix } });
    checkS3Variables(env);
    const folder = resolve(`${context.dbFile}.s3`, s3Prefix);
    makeStorage(folder);
    log.write("INFO", "application", `S3 { s3_prefix: ${JSON.stringify(s3Prefix)} } storage is configured.`);
    return { storageDir: folder, s3Prefix };
  }
  if (before?.tag === "s3") throw mismatch(`S3 { s3_prefix: ${JSON.stringify(before.s3Prefix)} }`, localText(given));
  const absolute = resolve(given);
  makeStorage(absolute);
  save({ ...metadata, storageType: { tag: "local", dir: given } });
  logLocalStorage(log, absolute, given);
  return { storageDir: absolute, s3Prefix: undefined };
}

function localText(dir: string): string {
  return `Local { dir: ${JSON.stringify(dir)} }`;
}

function mismatch(before: string, now: string): StartError {
  return new StartError(`Database was initialized with Some(${before}), but backend started up with ${now}.`);
}

function makeStorage(dir: string): void {
  try {
    for (const use of ["files", "modules", "search", "exports", "snapshot_imports"]) {
      mkdirSync(join(dir, use), { recursive: true });
    }
  } catch (error) {
    const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOTDIR" || code === "EEXIST") throw new StartError("Not a directory (os error 20)");
    if (code === "EACCES") throw new StartError("Permission denied (os error 13)");
    if (code === "EROFS") throw new StartError("Read-only file system (os error 30)");
    throw error;
  }
}

function checkOrigins(flags: Flags, log: Log): [string, string] {
  const cloudOrigin = flags.cloudOrigin ?? `http://127.0.0.1:${flags.port}`;
  const siteOrigin = flags.siteOrigin ?? `http://127.0.0.1:${flags.sitePort}`;
  const check = (what: string, url: string) => {
    if (url === "" || /^https?:\/\//.test(url)) return;
    throw new StartError(`${what} url should start with https:// or http:// but got '${url}'`);
  };
  check("Origin", cloudOrigin);
  logNoProxy(log);
  check("Site", siteOrigin);
  return [cloudOrigin, siteOrigin];
}
