import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { type DatabaseTarget, type DatabaseWish, prepareDatabase } from "./database.ts";
import { explain, withClient } from "./database-postgres.ts";

/** A database that we make and remove; the mark, its comment, tells it from everybody else's of that name. */
export interface OwnDatabase {
  readonly target: DatabaseTarget;
  readonly mark: string;
}

/** With the maintenance database, since one cannot drop the database that one is connected to. */
const MAINTENANCE = "postgres";

interface Row {
  readonly mark: string | null;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/**
 * Makes the database where it is missing, and marks it as ours.
 * @throws ActionError those of `prepareDatabase`, `database-not-ours`
 */
export async function claimDatabase({ target, mark }: OwnDatabase, wish: Omit<DatabaseWish, "create">, deps: Deps) {
  const { created } = await prepareDatabase(target, { ...wish, create: true, shared: true }, deps);
  await ask(target, { ...wish, create: true }, async (sql) => {
    const [row] = await sql<Row[]>`
      SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = ${target.database}`;
    // An interruption between creation and mark leaves it without one.
    if (row?.mark === null) {
      const text = mark.replaceAll("'", "''");
      await sql.unsafe(`COMMENT ON DATABASE ${quoted(target.database)} IS '${text}'`);
    } else if (row?.mark !== mark) throw notOurs(target);
  });
  return { created };
}

/**
 * Drops it, connections and all. Its backend must be gone: one that runs would go on answering (contract 1.4).
 * @returns false when there was none
 * @throws ActionError `database-not-ours`, `database-refused`, `database-unreachable`, `database-tls`
 */
export async function dropDatabase(
  { target, mark }: OwnDatabase,
  wish: Omit<DatabaseWish, "create">,
): Promise<boolean> {
  return await ask(target, { ...wish, create: false }, async (sql) => {
    const [row] = await sql<Row[]>`
      SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = ${target.database}`;
    if (row === undefined) return false;
    if (row.mark !== mark) throw notOurs(target);
    await sql.unsafe(`DROP DATABASE IF EXISTS ${quoted(target.database)} WITH (FORCE)`);
    return true;
  });
}

async function ask<T>(
  target: DatabaseTarget,
  wish: DatabaseWish,
  work: Parameters<typeof withClient<T>>[3],
): Promise<T> {
  try {
    return await withClient(target, wish, MAINTENANCE, work);
  } catch (error) {
    throw error instanceof ActionError ? error : explain(error, target);
  }
}

function notOurs(target: DatabaseTarget): ActionError {
  return new ActionError(
    "database-not-ours",
    `Database "${target.database}" on ${target.host}:${target.port} is there and does not carry the mark of this preview, so it was left alone.`,
    "Look who made it, and rename or drop it by hand if nobody needs it.",
  );
}
