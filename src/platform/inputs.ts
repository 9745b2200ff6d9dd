import { DEFAULT_INSTANCE_NAME } from "../credentials/instance-name.ts";
import { checkInstanceSecret } from "../credentials/instance-secret.ts";
import { passwordsOf } from "../credentials/url-password.ts";
import { connectionSecrets } from "../deployment/connection-lines.ts";
import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { parseSettings, type Settings } from "./settings.ts";

export const PLATFORMS = ["server", "coolify", "dokploy", "fly", "railway", "kubernetes", "coder"] as const;
export type Platform = (typeof PLATFORMS)[number];

/**
 * The inputs of the platform action, each read and checked by itself, and what a connection says in their place; its names
 * for things are judged in origins.ts.
 */
export interface PlatformInputs {
  readonly platform: Platform;
  readonly app: string | undefined;
  readonly domain: string | undefined;
  readonly siteDomain: string | undefined;
  readonly workspace: string | undefined;
  readonly instanceName: string;
  readonly instanceSecret: string | undefined;
  readonly postgresUrl: string | undefined;
  readonly createDatabase: boolean;
  readonly version: string | undefined;
  readonly settings: Settings | undefined;
}

function createsDatabase(inputs: Inputs, postgresUrl: string | undefined): boolean {
  const wanted = inputs.boolean("create-database", false);
  if (!wanted || postgresUrl !== undefined) return wanted;
  throw new ActionError(
    "input-missing",
    "create-database is true, but neither postgres-url nor the line POSTGRES_URL of connection is set: the data would not be in Postgres.",
    "Add the line POSTGRES_URL=<connection string> to connection (in the template for Neon: the secret CONVEX_CONNECTION), or leave create-database out.",
  );
}

/** The lines of a connection, with all that is secret in them masked. */
function readConnection(inputs: Inputs, mask: (secret: string) => void): string | undefined {
  const text = inputs.raw("connection");
  if (text.trim() === "") return undefined;
  for (const secret of connectionSecrets(text)) mask(secret);
  return text;
}

/** What is said twice has to be the same: which of two is right cannot be told. */
function agreed(input: string, own: string | undefined, line: string, other: string | undefined): string | undefined {
  if (own === undefined || other === undefined || own === other) return own ?? other;
  throw new ActionError(
    "input-conflict",
    `${input} and ${line} in connection differ.`,
    `Leave ${input} out, or the line.`,
  );
}

function checkedName(instanceName: string): string {
  if (/^[a-zA-Z0-9_-]+$/.test(instanceName)) return instanceName;
  throw new ActionError(
    "input-invalid",
    `instance-name: ${JSON.stringify(instanceName)} is not accepted.`,
    "Allowed: letters, digits, - and _, as in INSTANCE_NAME of the backend.",
  );
}

/**
 * @throws ActionError `input-invalid`, `input-missing`, `input-conflict`, `input-too-large`, `secret-too-short`,
 *   `instance-secret-invalid`, those of `parseSettings`
 */
export function readPlatformInputs(read: ReadInput, mask: (secret: string) => void = () => {}): PlatformInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const connection = readConnection(inputs, mask);
  const secrets = [inputs.secret("instance-secret")?.trim(), inputs.secret("postgres-url")?.trim()] as const;
  for (const password of passwordsOf(secrets[1] ?? "")) mask(password);
  const settings = connection === undefined ? undefined : parseSettings(connection);
  const instanceSecret = agreed("instance-secret", secrets[0], "INSTANCE_SECRET", settings?.instanceSecret);
  const postgresUrl = agreed("postgres-url", secrets[1], "POSTGRES_URL", settings?.postgresUrl);
  const name = agreed("instance-name", inputs.optional("instance-name"), "INSTANCE_NAME", settings?.instanceName);
  if (instanceSecret !== undefined) checkInstanceSecret(instanceSecret);
  return {
    platform: inputs.choice("platform", PLATFORMS, "server"),
    app: inputs.optional("app"),
    domain: inputs.optional("domain"),
    siteDomain: inputs.optional("site-domain"),
    workspace: inputs.optional("workspace"),
    instanceName: checkedName(name ?? DEFAULT_INSTANCE_NAME),
    instanceSecret,
    postgresUrl,
    createDatabase: createsDatabase(inputs, postgresUrl),
    version: inputs.optional("version"),
    settings,
  };
}
