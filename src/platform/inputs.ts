import { checkInstanceSecret } from "../credentials/instance-secret.ts";
import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { DEFAULT_INSTANCE_NAME } from "../start/inputs.ts";

export const PLATFORMS = ["server", "coolify", "dokploy", "fly", "railway", "kubernetes", "coder"] as const;
export type Platform = (typeof PLATFORMS)[number];

/** The inputs of the platform action, each read and checked by itself; its names for things are judged in origins.ts. */
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
}

/** What comes before `@`, as both Postgres and the backend read it; a password is a secret by itself, too. */
function passwordOf(url: string): string | undefined {
  return /^[a-z]+:\/\/[^:/?#]*:(.*)@[^@]*$/i.exec(url)?.[1];
}

function createsDatabase(inputs: Inputs, postgresUrl: string | undefined): boolean {
  const wanted = inputs.boolean("create-database", false);
  if (!wanted || postgresUrl !== undefined) return wanted;
  throw new ActionError(
    "input-missing",
    "create-database is true, but postgres-url is not set: the data would not be in Postgres.",
    "Set postgres-url: from a secret (in the template for Neon: CONVEX_DATABASE_URL), or leave create-database out.",
  );
}

/** @throws ActionError `input-invalid`, `input-missing`, `input-too-large`, `secret-too-short`, `instance-secret-invalid` */
export function readPlatformInputs(read: ReadInput, mask: (secret: string) => void = () => {}): PlatformInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const instanceSecret = inputs.secret("instance-secret")?.trim();
  const postgresUrl = inputs.secret("postgres-url")?.trim();
  const password = postgresUrl === undefined ? undefined : passwordOf(postgresUrl);
  if (password !== undefined) mask(password);
  if (instanceSecret !== undefined) checkInstanceSecret(instanceSecret);
  const instanceName = inputs.optional("instance-name") ?? DEFAULT_INSTANCE_NAME;
  if (!/^[a-zA-Z0-9_-]+$/.test(instanceName)) {
    throw new ActionError(
      "input-invalid",
      `instance-name: ${JSON.stringify(instanceName)} is not accepted.`,
      "Allowed: letters, digits, - and _, as in INSTANCE_NAME of the backend.",
    );
  }
  return {
    platform: inputs.choice("platform", PLATFORMS, "server"),
    app: inputs.optional("app"),
    domain: inputs.optional("domain"),
    siteDomain: inputs.optional("site-domain"),
    workspace: inputs.optional("workspace"),
    instanceName,
    instanceSecret,
    postgresUrl,
    createDatabase: createsDatabase(inputs, postgresUrl),
    version: inputs.optional("version"),
  };
}
