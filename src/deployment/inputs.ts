import { adminKeySecrets, type Instance, isKeyOf, issueAdminKey } from "../credentials/admin-key.ts";
import { ActionError } from "../runner/errors.ts";
import type { Inputs } from "../runner/inputs.ts";
import { mask } from "../runner/mask.ts";
import {
  addressMissing,
  connectionSecrets,
  KEY_NAME,
  ORIGIN_NAME,
  parseConnection,
  sameAddress,
  URL_NAME,
} from "./connection-lines.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** Which deployment an action works on, by its inputs or the CLI's own variables, which the root action sets. */
export interface DeploymentNamed {
  /** As written; its form is judged with the deployment. */
  readonly url: string | undefined;
  readonly adminKey: string | undefined;
  /** Both in the lines of an .env.local, or of the backend's settings; judged by `requireDeployment`. */
  readonly connection: string | undefined;
}

/** The lines of a connection, with all that is secret in them masked. */
function readConnection(inputs: Inputs): string | undefined {
  const text = inputs.raw("connection");
  if (text.trim() === "") return undefined;
  for (const secret of connectionSecrets(text)) mask(secret);
  return text;
}

/**
 * Reads `connection` and `admin-key`, which are masked, and `url`. To be read first: no error may come before secrets are
 * masked. The variables of the root action count where `connection` is not given: it names a deployment by itself.
 */
export function readDeployment(inputs: Inputs, env: Env): DeploymentNamed {
  const connection = readConnection(inputs);
  const from = connection === undefined ? env : {};
  const adminKey = inputs.secret("admin-key", from[KEY_NAME])?.trim() || undefined;
  const url = inputs.optional("url") ?? (from[URL_NAME]?.trim() || undefined);
  return { url, adminKey, connection };
}

function missing(name: string, variable: string, hint: string): ActionError {
  return new ActionError(
    "input-missing",
    `${name} is not set, nor is connection, and neither is the variable ${variable}.`,
    hint,
  );
}

/** The key of a connection; one that is made is another each time, and masked before anybody has it. */
function keyFrom(key: string | Instance): string {
  if (typeof key === "string") return key;
  const made = issueAdminKey(key);
  for (const secret of adminKeySecrets(made)) mask(secret);
  return made;
}

const agrees = (given: string, key: string | Instance): boolean =>
  typeof key === "string" ? given === key : isKeyOf(key, given);

/**
 * A second name for the deployment has to mean the same one: which of two is right cannot be told, and a backup, deploy or
 * restore of the wrong one is worse than none.
 */
function agreeing({ url, adminKey }: DeploymentNamed, text: string): { url: string; adminKey: string } {
  const connection = parseConnection(text);
  if (url !== undefined && connection.url !== undefined && !sameAddress(url, connection.url)) {
    throw new ActionError(
      "input-conflict",
      "url and connection name different deployments.",
      `Leave url (in the reusable workflows: the variable CONVEX_URL) out, or give the same address as ${URL_NAME} or ${ORIGIN_NAME} in connection.`,
    );
  }
  if (adminKey !== undefined && !agrees(adminKey, connection.key)) {
    throw new ActionError(
      "input-conflict",
      typeof connection.key === "string"
        ? "admin-key and connection hold different keys."
        : "admin-key is no key of the instance that connection has the INSTANCE_SECRET of.",
      "Leave admin-key (in the reusable workflows: the secret CONVEX_ADMIN_KEY) out, or connection.",
    );
  }
  const address = url ?? connection.url;
  if (address === undefined) throw addressMissing();
  return { url: address, adminKey: keyFrom(connection.key) };
}

/** The admin key alone, for a post step that knows its deployment by what the main step saved. */
export function adminKeyOf({ adminKey, connection }: DeploymentNamed): string | undefined {
  return connection === undefined ? adminKey : keyFrom(parseConnection(connection).key);
}

/** @throws ActionError `input-missing`, `input-conflict`, `connection-invalid` */
export function requireDeployment(named: DeploymentNamed): { url: string; adminKey: string } {
  const { url, adminKey, connection } = named;
  if (connection !== undefined) return agreeing(named, connection);
  if (url === undefined) {
    throw missing(
      "url",
      URL_NAME,
      "Set connection: from a secret that holds the two lines of .env.local or of the backend's settings (CONVEX_CONNECTION in the reusable workflows), or url: to the URL of the deployment's API, for example from vars.CONVEX_URL; after the root action it is found by itself. Runs of forks and Dependabot get no secrets: skip this step there.",
    );
  }
  if (adminKey === undefined) {
    throw missing(
      "admin-key",
      KEY_NAME,
      "Set connection: or admin-key: from a secret. Runs of forks and Dependabot get no secrets: skip this step there.",
    );
  }
  return { url, adminKey };
}
