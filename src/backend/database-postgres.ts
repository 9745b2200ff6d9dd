import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "postgres";
import { type ActionError, systemCode } from "../runner/errors.ts";
import {
  authorities,
  badCertificate,
  type DatabaseEngine,
  type DatabaseFacts,
  type DatabaseWish,
  mayNotCreate,
  noTls,
  refusedBy,
  TIMEOUT_MS,
  unreachable,
  within,
  wrongLogin,
} from "./database-engine.ts";
import type { DatabaseTarget } from "./database-url.ts";

/** The database that nearly every server has. */
const MAINTENANCE = "postgres";
const NO_DATABASE = "3D000";
/** What a server says that starts, or wakes from sleep, and takes connections already. */
const STARTING = "57P03";
const AGAIN_MS = 500;

/** A Postgres server as the backend will use it (contract 1.4). */
export function postgresEngine(target: DatabaseTarget, wish: DatabaseWish): DatabaseEngine {
  return {
    look: () => withClient(target, wish, target.database, look),
    isMissing: (error) => systemCode(error) === NO_DATABASE,
    create: () => create(target, wish),
    explain: (error) => explain(error, target),
    grant: `ALTER DATABASE "${target.database}" OWNER TO "${target.user}", or GRANT CREATE ON SCHEMA public to it.`,
  };
}

/** Authority and name are checked as the backend does it, for the name in the URL (contract 1.4). */
function tlsOptions(target: DatabaseTarget, wish: DatabaseWish): Record<string, unknown> {
  const { host } = target;
  // The library names no host to the check where it is an address, and Node then checks for "localhost".
  const name = { host, ...(isIP(host) === 0 ? { servername: host } : {}) };
  return { ca: authorities(target, wish), rejectUnauthorized: true, ...name };
}

async function connect(target: DatabaseTarget, wish: DatabaseWish, database: string, tls: boolean): Promise<Sql> {
  const { default: postgres } = await import("postgres");
  const options = {
    host: wish.host ?? target.host,
    port: target.port,
    user: target.user,
    database,
    ssl: tls ? tlsOptions(target, wish) : false,
    max: 1,
    connect_timeout: (wish.timeoutMs ?? TIMEOUT_MS) / 1000,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "convex-selfhost-action" },
    // Without one the library would take PGPASSWORD, which the backend does not know.
    password: target.password ?? "",
  };
  return postgres(options);
}

/** Tries again while the server starts, for as long as an answer may take. */
async function onceStarted<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (systemCode(error) !== STARTING || Date.now() + AGAIN_MS > until) throw error;
    }
    await delay(AGAIN_MS);
  }
}

/** Does `work` on one connection, with TLS as the backend will use it (contract 1.4). */
export async function withClient<T>(
  target: DatabaseTarget,
  wish: DatabaseWish,
  database: string,
  work: (client: Sql) => Promise<T>,
): Promise<T> {
  const timeoutMs = wish.timeoutMs ?? TIMEOUT_MS;
  const once = async (tls: boolean): Promise<T> => {
    const client = await connect(target, wish, database, tls);
    try {
      return await within(timeoutMs, "Postgres", work(client));
    } finally {
      // Zero: a server that answers nothing does not answer a farewell either.
      await client.end({ timeout: 0 }).catch(() => undefined);
    }
  };
  const attempt = (tls: boolean): Promise<T> => onceStarted(timeoutMs, () => once(tls));
  if (target.tls !== "prefer") return await attempt(target.tls === "require");
  try {
    return await attempt(true);
  } catch (error) {
    // "prefer" goes without TLS only where the server offers none; a bad certificate is not passed over.
    if (!offersNoTls(error)) throw error;
    return await attempt(false);
  }
}

/** The library starts TLS whatever the server said to it, and finds an end or garbage then. */
function offersNoTls(error: unknown): boolean {
  const code = systemCode(error);
  return (
    code === "ERR_SSL_WRONG_VERSION_NUMBER" ||
    code === "ECONNRESET" ||
    code === "CONNECTION_CLOSED" ||
    code === "EPROTO"
  );
}

interface Row {
  readonly may_create: boolean;
  readonly replica: boolean;
  readonly others: number;
}

async function look(client: Sql): Promise<DatabaseFacts> {
  const [row] = await client<Row[]>`
    SELECT has_schema_privilege(current_user, 'public', 'CREATE') AS may_create,
           pg_is_in_recovery() AS replica,
           (SELECT count(*)::int FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend') AS others`;
  return { mayCreateTables: row?.may_create ?? true, readOnly: row?.replica ?? false, others: row?.others ?? 0 };
}

async function create(target: DatabaseTarget, wish: DatabaseWish): Promise<boolean> {
  const { maintenance = MAINTENANCE } = wish;
  try {
    return await createFrom(maintenance, target, wish);
  } catch (error) {
    if (systemCode(error) !== NO_DATABASE || maintenance === MAINTENANCE) throw error;
    return await createFrom(MAINTENANCE, target, wish);
  }
}

async function createFrom(maintenance: string, target: DatabaseTarget, wish: DatabaseWish): Promise<boolean> {
  // Quoted, since Postgres folds bare names to small letters and the backend does not.
  const name = `"${target.database.replaceAll('"', '""')}"`;
  try {
    return await withClient(target, wish, maintenance, async (client) => {
      await client.unsafe(`CREATE DATABASE ${name}`);
      return true;
    });
  } catch (error) {
    const code = systemCode(error);
    // Another job was faster; in the same moment its row shows before its database does.
    if (code === "42P04" || code === "23505") return false;
    if (code !== "42501") throw error;
    throw mayNotCreate(target, `CREATE DATABASE ${name} OWNER "${target.user}"`, error);
  }
}

/** Node's codes for certificates, and what the TLS layer says of a server without TLS. */
const TLS_FAULT = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO)/;

export function explain(error: unknown, target: DatabaseTarget): ActionError {
  const code = systemCode(error) ?? "";
  if (code === "28P01" || code === "28000" || code === "SASL_SIGNATURE_MISMATCH") return wrongLogin(target, error);
  if (target.tls === "require" && offersNoTls(error)) return noTls(target, error);
  if (TLS_FAULT.test(code)) return badCertificate(target, error);
  if (code !== STARTING && /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code)) return refusedBy(target, error);
  return unreachable(target, error);
}
