import { checkMysqlUrl, checkPostgresUrl, type DatabaseTarget, prepareDatabase } from "../backend/database.ts";
import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { StartInputs } from "./inputs.ts";

/** The name by which containers reach services of this machine; the job itself calls them 127.0.0.1. */
export const HOST_ALIAS = "host.docker.internal";

/**
 * Checks the database inputs by the backend's rules; connects to nothing.
 * @returns the database, where one is named
 * @throws ActionError `database-url-invalid`
 */
export function checkDatabase(
  inputs: StartInputs,
  backendEnv: Readonly<Record<string, string>>,
  deps: Deps,
): DatabaseTarget | undefined {
  // Any value but the empty one turns it on, "false" too (contract 1.2).
  const requireSsl = (backendEnv["DO_NOT_REQUIRE_SSL"] ?? "") === "";
  const { postgresUrl, mysqlUrl, instanceName } = inputs;
  const target =
    postgresUrl !== undefined
      ? checkPostgresUrl(postgresUrl, instanceName, { requireSsl })
      : mysqlUrl !== undefined
        ? checkMysqlUrl(mysqlUrl, instanceName, { requireSsl })
        : undefined;
  if (target === undefined) return undefined;
  if (target.password !== undefined) deps.log.mask(target.password);
  for (const warning of target.warnings) deps.log.warning(warning);
  return target;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/**
 * Makes sure that the backend will be able to open its database, and creates it when asked to.
 * @throws ActionError `database-host-loopback` and those of `prepareDatabase`
 */
export async function readyDatabase(
  target: DatabaseTarget,
  inputs: StartInputs,
  runtime: "docker" | "binary",
  backendEnv: Readonly<Record<string, string>>,
  deps: Deps,
): Promise<void> {
  if (runtime === "docker" && isLoopback(target.host)) {
    throw new ActionError(
      "database-host-loopback",
      `${inputs.postgresUrl === undefined ? "mysql-url" : "postgres-url"} names ${target.host}, which is the backend's own container there, not this machine.`,
      `Name the host ${HOST_ALIAS}; the server must listen on more than 127.0.0.1. runtime: binary reaches ${target.host}.`,
    );
  }
  const caFile = backendEnv[target.kind === "postgres" ? "PG_CA_FILE" : "MYSQL_CA_FILE"];
  const wish = {
    create: inputs.createDatabase,
    ...(target.host === HOST_ALIAS ? { host: "127.0.0.1" } : {}),
    ...(caFile === undefined ? {} : { caFile }),
  };
  try {
    await prepareDatabase(target, wish, deps);
  } catch (error) {
    // A name of the containers' network means nothing here; the backend will say whether it does there.
    const elsewhere = error instanceof ActionError && error.code === "database-unreachable" && runtime === "docker";
    if (!elsewhere || inputs.createDatabase) throw error;
    deps.log.debug(error.text);
  }
}
