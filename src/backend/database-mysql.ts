import { connect as connectTo, isIP } from "node:net";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { ActionError, systemCode } from "../runner/errors.ts";
import { loadMysql2 } from "../system/libraries.ts";
import {
  authorities,
  badCertificate,
  type DatabaseEngine,
  type DatabaseFacts,
  type DatabaseWish,
  mayNotCreate,
  noTls,
  placeOf,
  refusedBy,
  TIMEOUT_MS,
  unreachable,
  within,
  wrongLogin,
} from "./database-engine.ts";
import type { DatabaseTarget } from "./database-url.ts";

/** A MySQL server as the backend will use it (contract 1.4). */
export function mysqlEngine(target: DatabaseTarget, wish: DatabaseWish): DatabaseEngine {
  const name = quoted(target.database);
  return {
    look: () => withConnection(target, wish, target.database, (connection) => look(connection, target)),
    // Who may not open it is told "denied", whether it is there or not.
    isMissing: (error) =>
      systemCode(error) === "ER_BAD_DB_ERROR" || (wish.create && systemCode(error) === "ER_DBACCESS_DENIED_ERROR"),
    create: () => create(target, wish),
    explain: (error) => explain(error, target),
    grant: `GRANT ALL PRIVILEGES ON ${name}.* TO the user, once as an administrator.`,
  };
}

const quoted = (name: string): string => `\`${name.replaceAll("`", "``")}\``;

async function open(target: DatabaseTarget, wish: DatabaseWish, database: string | undefined): Promise<Connection> {
  const { createConnection } = await loadMysql2();
  const { host, port, user, password = "" } = target;
  const connection = await createConnection({
    host,
    port,
    user,
    password,
    ...(database === undefined ? {} : { database }),
    connectTimeout: wish.timeoutMs ?? TIMEOUT_MS,
    // The certificate is for the name in the URL, wherever this job finds the server.
    stream: () => connectTo(port, wish.host ?? host),
    // The library would check the certificate of an address for "localhost": the backend itself will check that one.
    ...(target.tls === "require"
      ? { ssl: { ca: authorities(target, wish), rejectUnauthorized: true, verifyIdentity: isIP(host) === 0 } }
      : {}),
  });
  // What breaks later ends the call that is under way, which tells it.
  connection.on("error", () => undefined);
  return connection;
}

interface LookRow extends RowDataPacket {
  readonly version: string;
  readonly readOnly: number;
  readonly others: number;
}

async function look(connection: Connection, target: DatabaseTarget): Promise<DatabaseFacts> {
  const [[row]] = await connection.query<LookRow[]>(
    `SELECT VERSION() AS version, @@GLOBAL.read_only AS readOnly,
            (SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()) AS others`,
  );
  const [grants] = await connection.query<RowDataPacket[]>("SHOW GRANTS");
  const lines = grants.flatMap((grant) => Object.values(grant).map(String));
  return {
    mayCreateTables: mayCreateTables(lines, target.database),
    readOnly: row?.readOnly === 1,
    others: Number(row?.others ?? 0),
  };
}

/**
 * Reads what SHOW GRANTS tells. What a role holds is not told there, so that a role counts as enough.
 * @param lines ``GRANT SELECT, CREATE ON `lab\_a`.* TO `user`@`%` ``
 */
export function mayCreateTables(lines: readonly string[], database: string): boolean {
  return lines.some((line) => {
    const [, rights = "", place] = /^GRANT (.*?) ON (\*|`(?:[^`]|``)*`)\.\* TO /.exec(line) ?? [];
    if (place === undefined) return !/ ON /.test(line);
    const covers = place === "*" || fits(database, place.slice(1, -1).replaceAll("``", "`"));
    return covers && rights.split(/, */).some((right) => right === "ALL PRIVILEGES" || right === "CREATE");
  });
}

/** In a grant `_` and `%` stand for any characters unless a backslash is in front. */
function fits(name: string, pattern: string): boolean {
  const source = pattern.replace(/\\?[\s\S]/g, (part) => {
    if (part === "%") return ".*";
    if (part === "_") return ".";
    return (part.length === 2 ? part.slice(1) : part).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${source}$`).test(name);
}

/** MariaDB speaks the protocol and lacks `FOR SHARE`: the backend ends at its start, with its tables left behind (contract 1.4). */
async function refuseMariaDb(connection: Connection, target: DatabaseTarget): Promise<void> {
  const [[row]] = await connection.query<LookRow[]>("SELECT VERSION() AS version");
  const version = row?.version ?? "";
  if (!/mariadb/i.test(version)) return;
  throw new ActionError(
    "database-unsupported",
    `The server at ${placeOf(target)} is MariaDB (${version}), and the backend works with MySQL 8 only: it would end at its start with a syntax error.`,
    "Use an image like mysql:8, or postgres-url.",
  );
}

/** Does `work` on one connection, with TLS as the backend will use it. */
async function withConnection<T>(
  target: DatabaseTarget,
  wish: DatabaseWish,
  database: string | undefined,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const timeoutMs = wish.timeoutMs ?? TIMEOUT_MS;
  const connection = await within(timeoutMs, "MySQL", open(target, wish, database));
  try {
    return await within(
      timeoutMs,
      "MySQL",
      refuseMariaDb(connection, target).then(() => work(connection)),
    );
  } finally {
    connection.destroy();
  }
}

async function create(target: DatabaseTarget, wish: DatabaseWish): Promise<boolean> {
  const statement = `CREATE DATABASE ${quoted(target.database)}`;
  try {
    await withConnection(target, wish, undefined, (connection) => connection.query(statement));
    return true;
  } catch (error) {
    const code = systemCode(error);
    // Another job was faster.
    if (code === "ER_DB_CREATE_EXISTS") return false;
    if (code !== "ER_DBACCESS_DENIED_ERROR" && code !== "ER_SPECIFIC_ACCESS_DENIED_ERROR") throw error;
    throw mayNotCreate(target, statement, error);
  }
}

function explain(error: unknown, target: DatabaseTarget): ActionError {
  const code = systemCode(error) ?? "";
  switch (code) {
    case "ER_ACCESS_DENIED_ERROR":
    case "ER_ACCESS_DENIED_NO_PASSWORD_ERROR":
      return wrongLogin(target, error);
    case "ER_DBACCESS_DENIED_ERROR":
      return new ActionError(
        "database-rights",
        `User ${target.user} may not use a database "${target.database}" on ${placeOf(target)}, if there is one.`,
        `As an administrator: CREATE DATABASE ${quoted(target.database)}, and GRANT ALL PRIVILEGES ON ${quoted(target.database)}.* TO the user.`,
        { cause: error },
      );
    case "HANDSHAKE_NO_SSL_SUPPORT":
      return noTls(target, error);
    case "HANDSHAKE_SSL_ERROR":
      return badCertificate(target, error);
    case "ER_SECURE_TRANSPORT_REQUIRED":
      return new ActionError(
        "database-tls",
        `The MySQL server at ${placeOf(target)} takes only TLS connections, and DO_NOT_REQUIRE_SSL turns TLS off.`,
        "Leave DO_NOT_REQUIRE_SSL out of backend-env, or add ?require_ssl=true to mysql-url.",
        { cause: error },
      );
    default:
      return code.startsWith("ER_") ? refusedBy(target, error) : unreachable(target, error);
  }
}
