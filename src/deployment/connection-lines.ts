import dotenv from "dotenv";
import type { Instance } from "../credentials/admin-key.ts";
import { DEFAULT_INSTANCE_NAME } from "../credentials/instance-name.ts";
import { secretDefect } from "../credentials/instance-secret.ts";
import { passwordsOf } from "../credentials/url-password.ts";
import { ActionError } from "../runner/errors.ts";
import { CLI_MANAGED } from "./env-text.ts";

/** The two lines of a project's .env.local that name a self-hosted deployment. */
export const URL_NAME = "CONVEX_SELF_HOSTED_URL";
export const KEY_NAME = "CONVEX_SELF_HOSTED_ADMIN_KEY";

/** The lines of the backend's own settings that do the same: its public address, and what its keys are made from. */
export const ORIGIN_NAME = "CONVEX_CLOUD_ORIGIN";
const SECRET_NAME = "INSTANCE_SECRET";
const INSTANCE_NAME = "INSTANCE_NAME";

const CLOUD_NAMES = ["CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT", "CONVEX_DEPLOYMENT_TOKEN"];

/** Settings of the backend that are told to everybody, or say where something is and not how to get in. */
const PUBLIC_SETTINGS =
  /^(?:CONVEX_(?:CLOUD|SITE)_ORIGIN|NEXT_PUBLIC_DEPLOYMENT_URL|INSTANCE_NAME|AWS_REGION|S3_STORAGE_\w+_BUCKET)$/;

/** Names whose values are in every browser that runs the app, or as public: masked, they would only spoil the log. */
const isPublic = (name: string): boolean =>
  PUBLIC_SETTINGS.test(name) || (CLI_MANAGED.has(name) && !/_(KEY|TOKEN)$/.test(name));

/** What is secret whatever else it is a part of. */
const CREDENTIALS = [KEY_NAME, SECRET_NAME, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/** Every value that the text holds: of a name that is there twice, too, and of a line inside of another's quotes. */
function pairsIn(text: string): (readonly [name: string, value: string])[] {
  return [text, ...text.split(/\r\n|[\r\n]/)].flatMap((part) => Object.entries(dotenv.parse(part)));
}

/**
 * What of the lines is not to be seen: the text, the key or what it is made from, and all that stands beside them in a
 * whole file. The address and the instance's name are what logs and reports are about, so what is a part of these stays
 * readable.
 */
export function connectionSecrets(text: string): string[] {
  const pairs = pairsIn(text);
  const names = pairs.map(([name, value]) => (name === KEY_NAME ? (value.split("|")[0] ?? "") : value));
  const shown = names.filter((_, at) => isPublic(pairs[at]?.[0] ?? "") || pairs[at]?.[0] === KEY_NAME);
  const secret = pairs.filter(([name, value]) => {
    return CREDENTIALS.includes(name) || (!isPublic(name) && !shown.some((one) => one.includes(value)));
  });
  // A quote that nothing closes belongs to the value, as dotenv reads it; the key does not have it.
  const bare = secret.map(([, value]) => value.replace(/^["'`]|["'`]$/g, ""));
  return [text, ...secret.map(([, value]) => value), ...bare, ...bare.flatMap(passwordsOf)];
}

const refused = (what: string, hint: string): ActionError => new ActionError("connection-invalid", what, hint);

const WRITE = `Give the lines ${URL_NAME}=… and ${KEY_NAME}=…; if your .env.local is about that deployment: grep '^CONVEX_SELF_HOSTED_' .env.local | gh secret set CONVEX_CONNECTION --env production. Or give ${ORIGIN_NAME}=… and ${SECRET_NAME}=… (and ${INSTANCE_NAME}=…) as the backend itself has them.`;

/** How often a name is set; dotenv takes the last one in silence. */
export function countOf(name: string, text: string): number {
  return text.match(new RegExp(`^\\s*(?:export\\s+)?${name}(?:\\s*=|:\\s)`, "gm"))?.length ?? 0;
}

/** What a connection says of its deployment. */
export interface Connection {
  /** Absent where no line has it: another input has to, then. */
  readonly url: string | undefined;
  /** The admin key, or the instance that one is made for. */
  readonly key: string | Instance;
}

type Read = (name: string) => string;

/** Reads the lines that count; each of them says one thing, as it is written. */
function reader(text: string): Read {
  const values = dotenv.parse(text);
  const read: Read = (name) => (Object.hasOwn(values, name) ? (values[name] ?? "").trim() : "");
  for (const name of [URL_NAME, KEY_NAME, ORIGIN_NAME, SECRET_NAME, INSTANCE_NAME]) {
    if (countOf(name, text) > 1) {
      throw refused(
        `connection sets ${name} more than once, so it does not say which deployment is meant.`,
        "Leave the lines of one deployment in it.",
      );
    }
    if (!/\$\{|\$\w/.test(read(name))) continue;
    throw refused(
      `connection takes ${name} from another variable, which Docker Compose puts in and nobody does here.`,
      "Write the value itself into the line.",
    );
  }
  return read;
}

const originOf = (url: string): string => (URL.canParse(url) ? new URL(url).origin : url);

/** Whether two URLs, as they were written, are of one server. */
export const sameAddress = (one: string, other: string): boolean => originOf(one) === originOf(other);

function urlOf(read: Read): string | undefined {
  const [url, origin] = [read(URL_NAME), read(ORIGIN_NAME)];
  if (url !== "" && origin !== "" && !sameAddress(url, origin)) {
    throw refused(
      `${URL_NAME} and ${ORIGIN_NAME} in connection are different addresses, so it does not say which deployment is meant.`,
      "Leave the one out that the job does not reach the backend by.",
    );
  }
  return url || origin || undefined;
}

function instanceOf(read: Read): Instance {
  const [instanceName, instanceSecret] = [read(INSTANCE_NAME) || DEFAULT_INSTANCE_NAME, read(SECRET_NAME)];
  const why = secretDefect(instanceSecret);
  if (why !== undefined) {
    throw refused(
      `${SECRET_NAME} in connection is not 64 hex digits: ${why}.`,
      "Copy it from where the backend has it, or give the line of an admin key.",
    );
  }
  if (!/^[a-zA-Z0-9_-]+$/.test(instanceName)) {
    throw refused(
      `${INSTANCE_NAME} in connection has something else in it than letters, digits, - and _.`,
      "Copy it from where the backend has it.",
    );
  }
  return { instanceName, instanceSecret };
}

/**
 * What dotenv text says: URL and admin key as a project's .env.local has them, or address and instance secret as the
 * backend's own settings have them. Other names in it are passed over, so that a whole file does; a key that is there
 * goes before one that is made.
 * @throws ActionError `connection-invalid`; it shows nothing of the text
 */
export function parseConnection(text: string): Connection {
  const read = reader(text);
  const [url, key] = [urlOf(read), read(KEY_NAME)];
  if (key !== "") return { url, key };
  if (read(SECRET_NAME) !== "") return { url, key: instanceOf(read) };
  const cloud = CLOUD_NAMES.find((name) => read(name) !== "");
  if (url === undefined && cloud !== undefined) {
    throw refused(
      `connection has ${cloud}, which names a deployment in Convex's cloud, and neither ${KEY_NAME} nor ${SECRET_NAME}.`,
      `This action works on self-hosted deployments. ${WRITE}`,
    );
  }
  throw refused(`connection has no line with a value for ${KEY_NAME} or ${SECRET_NAME}.`, WRITE);
}

/** For a connection without an address, where no input has one either. */
export function addressMissing(): ActionError {
  return refused(`connection has no line with a value for ${URL_NAME} or ${ORIGIN_NAME}, and url is not set.`, WRITE);
}
