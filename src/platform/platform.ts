import { resolveImage } from "../backend/catalogue.ts";
import { prepareDatabase } from "../backend/database.ts";
import { issueAdminKey } from "../credentials/admin-key.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput, setSecretOutput } from "../runner/outputs.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { type BackendDatabase, backendDatabase } from "./database.ts";
import { readPlatformInputs } from "./inputs.ts";
import { checkAgreement, originsOn, withSettings } from "./origins.ts";
import { settingLines } from "./settings.ts";

/** Its database, made where it is missing. The backend may be there already, and has connections then. */
async function makeDatabase({ target, named }: BackendDatabase, deps: Deps): Promise<void> {
  const wish = { create: true, shared: true, maintenance: named === target.database ? undefined : named };
  const { created } = await prepareDatabase(target, wish, deps);
  if (!created) deps.log.info(`Database "${target.database}" is there.`);
}

/**
 * The platform action: what a platform's own names mean for a backend that runs there. Asks nobody and changes nothing,
 * but for the database with `create-database`.
 * @throws ActionError `input-missing`, `input-invalid`, `input-conflict`, `instance-secret-invalid`, `database-url-invalid`,
 *   `connection-invalid`, `s3-settings-invalid`, those of the version and of `prepareDatabase`
 */
export async function platform(read: ReadInput, deps: Deps): Promise<void> {
  const inputs = readPlatformInputs(read, deps.log.mask);
  const { instanceName, instanceSecret, postgresUrl, createDatabase, version, settings } = inputs;
  const origins = originsOn(withSettings(inputs, settings), deps.env["GITHUB_REPOSITORY"] ?? "");
  if (origins !== undefined && settings !== undefined) checkAgreement(origins, settings);
  const database = postgresUrl === undefined ? undefined : backendDatabase(postgresUrl, instanceName);
  const image = resolveImage({ version, requireDigest: true });
  const directory = tempOf(deps);
  setOutput("instance-name", instanceName, directory);
  setOutput("image", image.reference, directory);
  if (instanceSecret !== undefined) setSecretOutput("admin-key", issueAdminKey({ instanceName, instanceSecret }));
  const lines = settingLines({ instanceSecret, postgresUrl: database?.url }, settings?.others ?? new Map());
  if (lines !== "") setSecretOutput("settings", lines);
  if (origins !== undefined) {
    setOutput("cloud-origin", origins.cloud, directory);
    setOutput("site-origin", origins.site, directory);
    setOutput("app", origins.app ?? "", directory);
    deps.log.info(`The API is at ${origins.cloud}, HTTP actions are at ${origins.site}.`);
  }
  for (const text of settings?.notices ?? []) deps.log.notice(text);
  if (database === undefined) return;
  setSecretOutput("postgres-url", database.url);
  setOutput("database", database.database, directory);
  for (const text of database.notices) deps.log.notice(text);
  if (createDatabase) await makeDatabase(database, deps);
}
