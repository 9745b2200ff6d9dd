import dotenv from "dotenv";
import { ActionError } from "../runner/errors.ts";
import { CLI_MANAGED } from "./env-text.ts";

/** The two lines of a project's .env.local that name a self-hosted deployment. */
export const URL_NAME = "CONVEX_SELF_HOSTED_URL";
export const KEY_NAME = "CONVEX_SELF_HOSTED_ADMIN_KEY";

const CLOUD_NAMES = ["CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT", "CONVEX_DEPLOYMENT_TOKEN"];

/** Names for the CLI whose values are in every browser that runs the app: masked, they would only spoil the log. */
const isPublic = (name: string): boolean => CLI_MANAGED.has(name) && !/_(KEY|TOKEN)$/.test(name);

/** Every value that the text holds: of a name that is there twice, too, and of a line inside of another's quotes. */
function pairsIn(text: string): (readonly [name: string, value: string])[] {
  return [text, ...text.split(/\r\n|[\r\n]/)].flatMap((part) => Object.entries(dotenv.parse(part)));
}

/**
 * What of the lines is not to be seen: the text, the key, and all that stands beside them in a whole .env.local. The
 * address and the instance's name are what logs and reports are about, so what is a part of these stays readable.
 */
export function connectionSecrets(text: string): string[] {
  const pairs = pairsIn(text);
  const names = pairs.map(([name, value]) => (name === KEY_NAME ? (value.split("|")[0] ?? "") : value));
  const shown = names.filter((_, at) => isPublic(pairs[at]?.[0] ?? "") || pairs[at]?.[0] === KEY_NAME);
  const secret = pairs.filter(([name, value]) => {
    return name === KEY_NAME || (!isPublic(name) && !shown.some((one) => one.includes(value)));
  });
  // A quote that nothing closes belongs to the value, as dotenv reads it; the key does not have it.
  const bare = secret.map(([, value]) => value.replace(/^["'`]|["'`]$/g, ""));
  return [text, ...secret.map(([, value]) => value), ...bare];
}

const refused = (what: string, hint: string): ActionError => new ActionError("connection-invalid", what, hint);

const WRITE = `Give the lines ${URL_NAME}=… and ${KEY_NAME}=…; if your .env.local is about that deployment: grep '^CONVEX_SELF_HOSTED_' .env.local | gh secret set CONVEX_CONNECTION --env production`;

/** How often a name is set; dotenv takes the last one in silence. */
function countOf(name: string, text: string): number {
  return text.match(new RegExp(`^\\s*(?:export\\s+)?${name}(?:\\s*=|:\\s)`, "gm"))?.length ?? 0;
}

/**
 * URL and admin key of dotenv text; other names in it are passed over, so that a whole .env.local does.
 * @throws ActionError `connection-invalid`; it shows nothing of the text
 */
export function parseConnection(text: string): { readonly url: string; readonly adminKey: string } {
  const values = dotenv.parse(text);
  const read = (name: string): string => (Object.hasOwn(values, name) ? (values[name] ?? "").trim() : "");
  const [url, adminKey] = [read(URL_NAME), read(KEY_NAME)];
  for (const name of [URL_NAME, KEY_NAME]) {
    if (countOf(name, text) < 2) continue;
    throw refused(
      `connection sets ${name} more than once, so it does not say which deployment is meant.`,
      "Leave the lines of one deployment in it.",
    );
  }
  const missing = [...(url === "" ? [URL_NAME] : []), ...(adminKey === "" ? [KEY_NAME] : [])];
  if (missing.length === 0) return { url, adminKey };
  const cloud = CLOUD_NAMES.find((name) => read(name) !== "");
  if (missing.length === 2 && cloud !== undefined) {
    throw refused(
      `connection has ${cloud}, which names a deployment in Convex's cloud, and neither ${URL_NAME} nor ${KEY_NAME}.`,
      `This action works on self-hosted deployments. ${WRITE}`,
    );
  }
  throw refused(`connection has no line with a value for ${missing.join(" and none for ")}.`, WRITE);
}
