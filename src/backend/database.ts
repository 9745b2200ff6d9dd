import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { getCACertificates } from "node:tls";
import type { Sql } from "postgres";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { DatabaseTarget } from "./database-url.ts";

export { checkMysqlUrl, checkPostgresUrl, type DatabaseTarget } from "./database-url.ts";

export interface DatabaseWish {
  /** Create the database when it is missing. */
  readonly create: boolean;
  /** Where this job reaches the server, should the backend's name for it mean nothing here (`host.docker.internal`). */
  readonly host?: string | undefined;
  /** PEM file with further authorities, as PG_CA_FILE for the backend. */
  readonly caFile?: string | undefined;
  /** A backend of ours may have it open already: its connections are nothing to warn of. */
  readonly shared?: boolean | undefined;
  /** For each connection and what is done on it; 10 s when absent. */
  readonly timeoutMs?: number | undefined;
}

const TIMEOUT_MS = 10_000;

type Client = Sql;

/** The system's roots and those of the backend's PG_CA_FILE, for the name in the URL (contract 1.4). */
function tlsOptions(target: DatabaseTarget, wish: DatabaseWish): Record<string, unknown> {
  const { host } = target;
  const ca = [...getCACertificates("default"), ...getCACertificates("system"), ...ownAuthority(wish)];
  // The library names no host to the check where it is an address, and Node then checks for "localhost".
  return { ca, rejectUnauthorized: true, host, ...(isIP(host) === 0 ? { servername: host } : {}) };
}

function ownAuthority({ caFile }: DatabaseWish): string[] {
  if (caFile === undefined || caFile === "") return [];
  try {
    return [readFileSync(caFile, "utf8")];
  } catch (error) {
    throw new ActionError(
      "database-tls",
      `PG_CA_FILE names ${caFile}, which cannot be read: ${messageOf(error)}.`,
      "Name a file with the certificate of the server's authority, or leave PG_CA_FILE out.",
      { cause: error },
    );
  }
}

async function connect(target: DatabaseTarget, wish: DatabaseWish, database: string, tls: boolean): Promise<Client> {
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

/** The library connects again for ever where something answers that is no Postgres. */
async function late(ms: number): Promise<never> {
  await delay(ms, undefined, { ref: false });
  throw new Error(`no Postgres answered within ${ms / 1000} s`);
}

/** Does `work` on one connection, with TLS as the backend will use it (contract 1.4). */
export async function withClient<T>(
  target: DatabaseTarget,
  wish: DatabaseWish,
  database: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const attempt = async (tls: boolean): Promise<T> => {
    const client = await connect(target, wish, database, tls);
    try {
      return await Promise.race([work(client), late(wish.timeoutMs ?? TIMEOUT_MS)]);
    } finally {
      // Zero: a server that answers nothing does not answer a farewell either.
      await client.end({ timeout: 0 }).catch(() => undefined);
    }
  };
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

interface Facts {
  readonly may_create: boolean;
  readonly replica: boolean;
  readonly others: number;
}

/**
 * Looks whether the backend will be able to open its database, and creates the database when asked to. Never by
 * starting a backend: a start takes the lease from the one that runs (contract 1.4).
 * @returns whether it was created
 * @throws ActionError `database-missing`, `database-refused`, `database-unreachable`, `database-tls`, `database-rights`
 */
export async function prepareDatabase(
  target: DatabaseTarget,
  wish: DatabaseWish,
  deps: Pick<Deps, "log">,
): Promise<{ readonly created: boolean }> {
  let created = false;
  let facts: Facts | undefined;
  try {
    facts = await withClient(target, wish, target.database, look);
  } catch (error) {
    if (systemCode(error) !== "3D000") throw explain(error, target);
    if (!wish.create) throw missing(target);
    created = await create(target, wish);
    deps.log.info(`Created database "${target.database}" on ${target.host}:${target.port}.`);
    facts = await withClient(target, wish, target.database, look).catch((failed: unknown) => {
      throw explain(failed, target);
    });
  }
  judge(wish.shared === true && facts !== undefined ? { ...facts, others: 0 } : facts, target, deps);
  return { created };
}

async function look(client: Client): Promise<Facts | undefined> {
  const [facts] = await client<Facts[]>`
    SELECT has_schema_privilege(current_user, 'public', 'CREATE') AS may_create,
           pg_is_in_recovery() AS replica,
           (SELECT count(*)::int FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend') AS others`;
  return facts;
}

function judge(facts: Facts | undefined, target: DatabaseTarget, deps: Pick<Deps, "log">): void {
  if (facts === undefined) return;
  const where = `"${target.database}" on ${target.host}:${target.port}`;
  if (facts.replica) {
    throw new ActionError(
      "database-rights",
      `Database ${where} is a read-only replica.`,
      "Name the primary in postgres-url.",
    );
  }
  if (!facts.may_create) {
    throw new ActionError(
      "database-rights",
      `User ${target.user} may not create tables in schema public of ${where}; from Postgres 15 on only its owner may.`,
      `ALTER DATABASE "${target.database}" OWNER TO "${target.user}", or GRANT CREATE ON SCHEMA public to it.`,
    );
  }
  if (facts.others > 0) {
    deps.log.warning(
      `Database ${where} has ${facts.others} other connection${facts.others === 1 ? "" : "s"}: if they are another backend's, this start ends it (a database serves one).`,
    );
  }
}

async function create(target: DatabaseTarget, wish: DatabaseWish): Promise<boolean> {
  // Quoted, since Postgres folds bare names to small letters and the backend does not.
  const name = `"${target.database.replaceAll('"', '""')}"`;
  try {
    return await withClient(target, wish, "postgres", async (client) => {
      await client.unsafe(`CREATE DATABASE ${name}`);
      return true;
    });
  } catch (error) {
    const code = systemCode(error);
    // Another job was faster; in the same moment its row shows before its database does.
    if (code === "42P04" || code === "23505") return false;
    if (code !== "42501") throw explain(error, target);
    throw new ActionError(
      "database-rights",
      `User ${target.user} may not create databases on ${target.host}:${target.port}.`,
      `Create it once as an administrator: CREATE DATABASE ${name} OWNER "${target.user}".`,
      { cause: error },
    );
  }
}

function missing(target: DatabaseTarget): ActionError {
  return new ActionError(
    "database-missing",
    `Database "${target.database}" does not exist on ${target.host}:${target.port}.`,
    "Create it, or set create-database: true.",
  );
}

/** Node's codes for certificates, and what the TLS layer says of a server without TLS. */
const TLS_FAULT = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO)/;

export function explain(error: unknown, target: DatabaseTarget): ActionError {
  if (error instanceof ActionError) return error;
  const code = systemCode(error) ?? "";
  const where = `${target.host}:${target.port}`;
  if (code === "28P01" || code === "28000" || code === "SASL_SIGNATURE_MISMATCH") {
    return new ActionError(
      "database-refused",
      `The Postgres server at ${where} refuses user ${target.user} or its password.`,
      "Check user and password in postgres-url; special characters must be percent-encoded.",
      { cause: error },
    );
  }
  if (target.tls === "require" && offersNoTls(error)) {
    return new ActionError(
      "database-tls",
      `The Postgres server at ${where} offers no TLS, and the backend demands it.`,
      "Set DO_NOT_REQUIRE_SSL=true in backend-env for a server of this job or network; turn TLS on in the server otherwise.",
      { cause: error },
    );
  }
  if (TLS_FAULT.test(code)) {
    return new ActionError(
      "database-tls",
      `The certificate of the Postgres server at ${where} is not accepted: ${messageOf(error)}.`,
      "Host name and authority are always checked: name a private authority's file in PG_CA_FILE (backend-env).",
      { cause: error },
    );
  }
  if (/^[0-9A-Z]{5}$/.test(code) && /\d/.test(code)) {
    return new ActionError(
      "database-refused",
      `The Postgres server at ${where} refuses the connection: ${messageOf(error)}.`,
      "Its text names what to change there.",
      { cause: error },
    );
  }
  return new ActionError(
    "database-unreachable",
    `The Postgres server at ${where} cannot be reached: ${messageOf(error)}.`,
    "Check host and port in postgres-url, and that the server was ready before this step (a health check in services:).",
    { cause: error },
  );
}
