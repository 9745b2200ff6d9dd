import { isAbsolute, resolve } from "node:path";
import { ActionError } from "../runner/errors.ts";
import type { Inputs } from "../runner/inputs.ts";
import { BUCKET_RULE, isBucketName } from "./bucket-name.ts";
import { isBackupKey } from "./keys.ts";

/** Where backups live, as the workflow names it. */
export type Destination =
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string }
  | { readonly kind: "directory"; readonly path: string }
  /** `prefix` is empty where no name was given. */
  | { readonly kind: "artifact"; readonly prefix: string };

/** The `s3-*` inputs, which every action with a destination or a source has. */
export interface S3Inputs {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly forcePathStyle: boolean;
}

/** What opens a store. */
export interface StoreSettings extends S3Inputs {
  readonly destination: Destination;
}

export const DESTINATION_FORMS = "s3://bucket/prefix, dir:path, artifact or artifact:name";

const SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._=@+-]+$/;
/** What names of artifacts may hold, and keys of stores too. */
const ARTIFACT_PREFIX = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function refuse(name: string, value: string, why: string, allowed = DESTINATION_FORMS): ActionError {
  return new ActionError("input-invalid", `${name}: ${JSON.stringify(value)} ${why}.`, `Allowed: ${allowed}.`);
}

function parseS3(name: string, text: string): Destination {
  const rest = text.slice("s3://".length);
  if (/[?#]/.test(rest)) {
    throw refuse(name, text, "has parameters", "s3://bucket/prefix; s3-endpoint, s3-region are inputs of their own");
  }
  if (rest.includes("@")) {
    const shown = `s3://***@${rest.slice(rest.lastIndexOf("@") + 1)}`;
    if (!rest.slice(rest.indexOf("/") + 1).includes("@") || rest.indexOf("@") < rest.indexOf("/")) {
      throw refuse(name, shown, "holds credentials", "s3://bucket/prefix; keys come by AWS_ACCESS_KEY_ID or OIDC");
    }
  }
  const slash = rest.indexOf("/");
  const bucket = slash === -1 ? rest : rest.slice(0, slash);
  const prefix = slash === -1 ? "" : rest.slice(slash + 1).replace(/\/$/, "");
  if (!isBucketName(bucket)) {
    throw refuse(name, text, "names no bucket", `s3://bucket/prefix, the bucket in ${BUCKET_RULE}`);
  }
  if (prefix !== "" && !prefix.split("/").every((part) => SEGMENT.test(part))) {
    throw refuse(name, text, "has a prefix with odd parts", "letters, digits and . _ = @ + - between single slashes");
  }
  return { kind: "s3", bucket, prefix };
}

function parseDirectory(name: string, text: string, base: string): Destination {
  const path = text.slice("dir:".length);
  if (path.trim() === "" || path.includes("\0")) throw refuse(name, text, "names no folder", "dir:path");
  if (path.startsWith("~")) {
    throw refuse(
      name,
      text,
      "begins with ~, which only a shell knows",
      "dir: with an absolute path, or one relative to the workspace",
    );
  }
  return { kind: "directory", path: isAbsolute(path) ? resolve(path) : resolve(base, path) };
}

function parseArtifact(name: string, text: string): Destination {
  const prefix = text.slice("artifact:".length);
  if (isBackupKey(`${prefix}/`)) {
    throw refuse(name, text, "names one backup", "artifact, or artifact:name; one backup is named in backup-id");
  }
  if (!ARTIFACT_PREFIX.test(prefix)) {
    throw refuse(
      name,
      text,
      "has a name with odd characters, or none",
      "artifact:name, with up to 64 letters, digits and . _ -, such as artifact:production",
    );
  }
  return { kind: "artifact", prefix };
}

/**
 * Reads a destination.
 * @param name of the input, for the message
 * @param base what relative folders are relative to: the workspace
 * @throws ActionError `input-invalid`
 */
export function parseDestination(name: string, text: string, base: string): Destination {
  if (text === "artifact") return { kind: "artifact", prefix: "" };
  if (text.startsWith("s3://")) return parseS3(name, text);
  if (text.startsWith("dir:")) return parseDirectory(name, text, base);
  if (text.startsWith("artifact:")) return parseArtifact(name, text);
  if (/^https?:/i.test(text)) {
    throw refuse(
      name,
      withoutLogin(text),
      "is a web address",
      `${DESTINATION_FORMS}; the store's address goes into s3-endpoint`,
    );
  }
  if (/^[./~]/.test(text)) throw refuse(name, text, "has no kind", `${DESTINATION_FORMS}; for a folder dir:${text}`);
  throw refuse(name, text, "is not accepted");
}

/**
 * Reads the input that names where backups live.
 * @throws ActionError `input-missing`, `input-invalid`
 */
export function readDestination(inputs: Inputs, name: string, base: string): Destination {
  const text = inputs.optional(name);
  if (text !== undefined) return parseDestination(name, text, base);
  throw new ActionError(
    "input-missing",
    `${name} is not set.`,
    `Set ${name}: to where the backups live: ${DESTINATION_FORMS}.`,
  );
}

function withoutLogin(text: string): string {
  return text.replace(/\/\/[^/]*@/, "//***@");
}

/**
 * Reads `s3-endpoint`, `s3-region` and `s3-force-path-style`.
 * @throws ActionError `input-invalid`
 */
export function readS3Inputs(inputs: Inputs): S3Inputs {
  const endpoint = inputs.optional("s3-endpoint");
  const region = inputs.optional("s3-region");
  if (endpoint !== undefined) checkEndpoint(endpoint);
  if (region !== undefined && !/^[a-z0-9][a-z0-9-]{0,62}$/.test(region)) {
    throw refuse(
      "s3-region",
      region,
      "is not accepted",
      "a region's name, such as eu-central-1 (auto for Cloudflare R2)",
    );
  }
  return { endpoint, region, forcePathStyle: inputs.boolean("s3-force-path-style", false) };
}

function checkEndpoint(text: string): void {
  const allowed = "http:// or https:// with a host, and a path where the store has one";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw refuse("s3-endpoint", withoutLogin(text), "is not accepted", allowed);
  }
  if (url.username !== "" || url.password !== "") {
    throw refuse("s3-endpoint", withoutLogin(text), "holds a login", "keys come by AWS_ACCESS_KEY_ID or OIDC");
  }
  if (url.search !== "" || url.hash !== "") throw refuse("s3-endpoint", withoutLogin(text), "has parameters", allowed);
}

/**
 * Judges destination and `s3-*` inputs together.
 * @throws ActionError `input-conflict`, `input-invalid`
 */
export function checkStoreSettings(settings: StoreSettings, name: string): void {
  const { destination, endpoint, region, forcePathStyle } = settings;
  if (destination.kind === "s3") return;
  const given = [
    ["s3-endpoint", endpoint !== undefined],
    ["s3-region", region !== undefined],
    ["s3-force-path-style", forcePathStyle],
  ]
    .filter(([, set]) => set)
    .map(([input]) => input);
  if (given.length === 0) return;
  throw new ActionError(
    "input-conflict",
    `${given.join(", ")} ${given.length === 1 ? "is" : "are"} set, but ${name} is no bucket.`,
    `Set ${name}: s3://bucket/prefix, or leave them out.`,
  );
}

/**
 * Reads `object-lock-days`; undefined when it is not set.
 * @throws ActionError `input-invalid`, `input-conflict` when the destination is no bucket
 */
export function readLockDays(inputs: Inputs, destination: Destination): number | undefined {
  // 100 years is what S3 takes; a typo of that size could be undone by nobody, so it ends earlier.
  const days = inputs.integer("object-lock-days", { least: 0, most: 3650 }, 0);
  if (days === 0) return undefined;
  if (destination.kind !== "s3") {
    throw new ActionError(
      "input-conflict",
      "object-lock-days is set, but the destination is no bucket; only S3 locks objects.",
      "Leave it out, or set destination: s3://bucket/prefix.",
    );
  }
  return days;
}
