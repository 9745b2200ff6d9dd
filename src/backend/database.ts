import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { type DatabaseEngine, type DatabaseFacts, type DatabaseWish, NAMES, placeOf } from "./database-engine.ts";
import { mysqlEngine } from "./database-mysql.ts";
import { postgresEngine } from "./database-postgres.ts";
import type { DatabaseTarget } from "./database-url.ts";

export type { DatabaseWish } from "./database-engine.ts";
export { checkMysqlUrl, checkPostgresUrl, type DatabaseTarget } from "./database-url.ts";

/**
 * Looks whether the backend will be able to open its database, and creates the database when asked to. Never by
 * starting a backend: a start takes the lease from the one that runs (contract 1.4).
 * @returns whether it was created
 * @throws ActionError `database-missing`, `database-refused`, `database-unreachable`, `database-tls`, `database-rights`,
 *   `database-unsupported`
 */
export async function prepareDatabase(
  target: DatabaseTarget,
  wish: DatabaseWish,
  deps: Pick<Deps, "log">,
): Promise<{ readonly created: boolean }> {
  const engine = target.kind === "postgres" ? postgresEngine(target, wish) : mysqlEngine(target, wish);
  const explained = (error: unknown): never => {
    throw error instanceof ActionError ? error : engine.explain(error);
  };
  try {
    judge(await engine.look(), engine, target, wish, deps);
    return { created: false };
  } catch (error) {
    if (!engine.isMissing(error)) return explained(error);
  }
  if (!wish.create) throw missing(target);
  const created = await engine.create().catch(explained);
  deps.log.info(`Created database "${target.database}" on ${placeOf(target)}.`);
  judge(await engine.look().catch(explained), engine, target, wish, deps);
  return { created };
}

function judge(
  facts: DatabaseFacts,
  engine: DatabaseEngine,
  target: DatabaseTarget,
  { shared = false }: DatabaseWish,
  deps: Pick<Deps, "log">,
): void {
  const where = `"${target.database}" on ${placeOf(target)}`;
  if (facts.readOnly) {
    throw new ActionError(
      "database-rights",
      `Database ${where} is a read-only replica.`,
      `Name the primary in ${NAMES[target.kind].input}.`,
    );
  }
  if (!facts.mayCreateTables) {
    const place = target.kind === "postgres" ? `schema public of ${where}` : where;
    const why = target.kind === "postgres" ? "; from Postgres 15 on only its owner may" : "";
    throw new ActionError(
      "database-rights",
      `User ${target.user} may not create tables in ${place}${why}.`,
      engine.grant,
    );
  }
  if (facts.others > 0 && !shared) {
    deps.log.warning(
      `Database ${where} has ${facts.others} other connection${facts.others === 1 ? "" : "s"}: if they are another backend's, this start ends it (a database serves one).`,
    );
  }
}

function missing(target: DatabaseTarget): ActionError {
  return new ActionError(
    "database-missing",
    `Database "${target.database}" does not exist on ${placeOf(target)}.`,
    "Create it, or set create-database: true.",
  );
}
