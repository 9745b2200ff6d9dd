/**
 * A Postgres database as a start uses it (contract 1.4): tables made if absent, the lease taken before anything else is
 * checked, and lost to the next start. Returns which local file holds the stand-in's data for this very database.
 */
import { randomUUID } from "node:crypto";
import { StartError } from "./database.ts";
import type { Log } from "./log.ts";
import { PostgresConnection, PostgresError } from "./postgres.ts";
import { readPostgresUrl } from "./postgres-url.ts";

const TABLES = [
  "CREATE TABLE IF NOT EXISTS public.documents (id BYTEA, ts BIGINT NOT NULL, table_id BYTEA, json_value BYTEA)",
  "INSERT INTO public.documents (ts) SELECT 0 WHERE FALSE",
  "CREATE TABLE IF NOT EXISTS public.indexes (index_id BYTEA, key_prefix BYTEA, ts BIGINT)",
  "CREATE TABLE IF NOT EXISTS public.leases (id BIGINT PRIMARY KEY, ts BIGINT NOT NULL)",
  "CREATE TABLE IF NOT EXISTS public.read_only (id BIGINT PRIMARY KEY)",
  "CREATE TABLE IF NOT EXISTS public.persistence_globals (key TEXT PRIMARY KEY, json_value BYTEA NOT NULL)",
];

const POLL_MS = 500;

export interface Lease {
  /** Names this database for as long as it exists: dropped and made again, it is another one. */
  databaseId: string;
  fresh: boolean;
  /** Calls once when another start has taken the lease. */
  watch(lost: () => void): void;
  release(): void;
}

/** Connects and takes the lease. @throws StartError */
export async function takeLease(
  options: { url: string; instanceName: string; requireSsl: boolean; env: NodeJS.ProcessEnv },
  log: Log,
): Promise<Lease> {
  const target = readPostgresUrl(options.url, options.instanceName, options.requireSsl);
  const pool = options.env["POSTGRES_MAX_CONNECTIONS"] ?? "128";
  log.write("INFO", "postgres::connection", `Postgres connection pool max size ${pool}`);
  const caFile = options.env["PG_CA_FILE"] || options.env["SSL_CERT_FILE"];
  const connection = await PostgresConnection.open(target, caFile);
  try {
    return await acquire(connection, log);
  } catch (error) {
    connection.close();
    throw error instanceof PostgresError ? new StartError("db error", error.message) : error;
  }
}

async function acquire(connection: PostgresConnection, log: Log): Promise<Lease> {
  for (const statement of TABLES) await connection.query(statement);
  log.write("INFO", "postgres", "attempting to acquire lease");
  const ts = BigInt(Date.now()) * 1_000_000n + BigInt(process.pid);
  await connection.query(
    `INSERT INTO public.leases (id, ts) VALUES (1, ${ts}) ON CONFLICT (id) DO UPDATE SET ts = EXCLUDED.ts`,
  );
  log.write("INFO", "postgres", `lease acquired with ts ${ts}`);
  const made = await connection.query(
    `INSERT INTO public.persistence_globals VALUES ('standin_id', convert_to('${randomUUID()}', 'UTF8')) ON CONFLICT DO NOTHING RETURNING key`,
  );
  const [[databaseId] = []] = await connection.query(
    "SELECT convert_from(json_value, 'UTF8') FROM public.persistence_globals WHERE key = 'standin_id'",
  );
  let timer: NodeJS.Timeout | undefined;
  const poll = async (lost: () => void): Promise<void> => {
    const rows = await connection.query("SELECT ts FROM public.leases WHERE id = 1").catch(() => undefined);
    // a server that went away does not end a backend; another owner of the lease does
    if (rows?.[0] !== undefined && rows[0][0] !== String(ts)) return lost();
    if (rows !== undefined) timer = setTimeout(() => void poll(lost), POLL_MS).unref();
  };
  return {
    databaseId: databaseId ?? "",
    fresh: made.length > 0,
    watch: (lost) => void poll(lost),
    release: () => {
      clearTimeout(timer);
      connection.close();
    },
  };
}
