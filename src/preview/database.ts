import { createHash } from "node:crypto";
import { claimDatabase, dropDatabase, type OwnDatabase } from "../backend/database-own.ts";
import { checkPostgresUrl } from "../backend/database-url.ts";
import type { Deps } from "../system/deps.ts";
import type { PreviewIdentity } from "./credentials.ts";

/** A preview's own database on a server that the user names. */
export interface PreviewDatabase extends OwnDatabase {
  /** For the backend: with the database's name in it. */
  readonly url: string;
}

const HOST_ALIAS = "host.docker.internal";

/**
 * Names and checks it; connects to nothing. The name is unique to repository and preview, and at most 63 bytes long.
 * @throws ActionError `database-url-invalid`
 */
export function databaseOf(
  postgresUrl: string,
  { repository, name }: PreviewIdentity,
  backendEnv: Readonly<Record<string, string>>,
  deps: Deps,
): PreviewDatabase {
  const hash = createHash("sha256").update(repository.toLowerCase()).digest("hex").slice(0, 8);
  const database = `convex_preview_${hash}_${name.replaceAll("-", "_")}`.slice(0, 63);
  // Any value but the empty one turns it on, "false" too (contract 1.2).
  const requireSsl = (backendEnv["DO_NOT_REQUIRE_SSL"] ?? "") === "";
  checkPostgresUrl(postgresUrl, name, { requireSsl });
  const url = new URL(postgresUrl);
  url.searchParams.set("dbname", database);
  const target = checkPostgresUrl(url.href, name, { requireSsl });
  if (target.password !== undefined) deps.log.mask(target.password);
  deps.log.mask(url.href);
  for (const warning of target.warnings) deps.log.warning(warning);
  return { target, url: url.href, mark: `convex-selfhost preview ${name} of ${repository.toLowerCase()}` };
}

function wishOf({ target }: PreviewDatabase, backendEnv: Readonly<Record<string, string>>) {
  const caFile = backendEnv["PG_CA_FILE"];
  return {
    ...(target.host === HOST_ALIAS ? { host: "127.0.0.1" } : {}),
    ...(caFile === undefined ? {} : { caFile }),
  };
}

/** @throws ActionError those of `claimDatabase` */
export async function makeDatabase(
  database: PreviewDatabase,
  backendEnv: Readonly<Record<string, string>>,
  deps: Deps,
): Promise<void> {
  await claimDatabase(database, wishOf(database, backendEnv), deps);
}

/** What was removed, in words; empty when there was none. */
export async function removeDatabase(
  database: PreviewDatabase,
  backendEnv: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const gone = await dropDatabase(database, wishOf(database, backendEnv));
  return gone ? [`database ${database.target.database}`] : [];
}
