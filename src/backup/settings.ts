import { createHmac, randomBytes } from "node:crypto";
import { ActionError, messageOf } from "../runner/errors.ts";
import { Field, FieldFault } from "./fields.ts";
import type { Manifest, ManifestVariable } from "./manifest.ts";

const SETTINGS_VERSION = 1;
const LARGEST_SETTINGS = 64 * 1024 * 1024;

/** What a full recovery needs beside the data. It exists only encrypted: the object `env.json.age`. */
export interface BackupSettings {
  /** Of the backup, so that the settings of another one cannot be put in its place. */
  readonly id: string;
  readonly instanceName: string;
  /** The origins that the backend gave out; undefined where it did not tell. */
  readonly origins: { readonly cloud: string; readonly site: string } | undefined;
  /** Of the fingerprints in the manifest. */
  readonly fingerprintKey: Buffer;
  /** The variables with their values; undefined when they were not asked for (`include-env`). */
  readonly variables: ReadonlyMap<string, string> | undefined;
}

export function newFingerprintKey(): Buffer {
  return randomBytes(32);
}

/** Tells whether a value is still the same, without telling the value to anybody who has not got the key. */
export function fingerprintOf(key: Buffer, name: string, value: string): string {
  return createHmac("sha256", key)
    .update(JSON.stringify([name, value]))
    .digest("hex");
}

/** @param key undefined where there is no encrypted bundle that could keep it: names only */
export function describeVariables(
  variables: ReadonlyMap<string, string>,
  key: Buffer | undefined,
): readonly ManifestVariable[] {
  const names = [...variables.keys()].sort();
  return names.map((name) =>
    key === undefined ? { name } : { name, fingerprint: fingerprintOf(key, name, variables.get(name) ?? "") },
  );
}

/** How the variables of a deployment differ from those that the data was written under. Names only. */
export interface VariableDifference {
  readonly missing: readonly string[];
  readonly added: readonly string[];
  readonly changed: readonly string[];
  /** The backup has names alone, or its key is not there. */
  readonly valuesUnknown: boolean;
}

/** @param key undefined where the bundle was not decrypted */
export function compareVariables(
  manifest: Manifest,
  key: Buffer | undefined,
  current: ReadonlyMap<string, string>,
): VariableDifference {
  const then = new Map(manifest.env.variables.map(({ name, fingerprint }) => [name, fingerprint]));
  const both = [...then].filter(([name]) => current.has(name));
  const changed = both.filter(
    ([name, fingerprint]) =>
      key !== undefined &&
      fingerprint !== undefined &&
      fingerprintOf(key, name, current.get(name) ?? "") !== fingerprint,
  );
  return {
    missing: [...then.keys()].filter((name) => !current.has(name)).sort(),
    added: [...current.keys()].filter((name) => !then.has(name)).sort(),
    changed: changed.map(([name]) => name).sort(),
    valuesUnknown: key === undefined || both.some(([, fingerprint]) => fingerprint === undefined),
  };
}

export function settingsBytes(settings: BackupSettings): Buffer {
  const { id, instanceName, origins, fingerprintKey, variables } = settings;
  return Buffer.from(
    JSON.stringify({
      version: SETTINGS_VERSION,
      id,
      instanceName,
      origins: origins ?? null,
      fingerprintKey: fingerprintKey.toString("base64"),
      variables: variables === undefined ? null : Object.fromEntries(variables),
    }),
  );
}

function invalid(id: string, problem: string): ActionError {
  return new ActionError(
    "backup-damaged",
    `The settings in backup ${id} cannot be used: ${problem}.`,
    "Use another backup, and find out who or what changed this one in its store.",
  );
}

function readVariables(field: Field): ReadonlyMap<string, string> | undefined {
  if (field.isNull) return undefined;
  return new Map(field.members().map(([name, value]) => [name, value.content()]));
}

/**
 * Reads decrypted settings. The text of an error shows no value.
 * @throws ActionError `backup-damaged`
 */
export function parseSettings(bytes: Uint8Array, id: string): BackupSettings {
  if (bytes.length > LARGEST_SETTINGS) throw invalid(id, `they are larger than ${LARGEST_SETTINGS} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid(id, "they are no JSON");
  }
  try {
    const root = new Field(json);
    if (root.at("version").count() !== SETTINGS_VERSION) throw root.at("version").fault("is not known");
    if (root.at("id").text() !== id) throw root.at("id").fault("is that of another backup");
    const origins = root.at("origins");
    return {
      id,
      instanceName: root.at("instanceName").text(/./),
      origins: origins.isNull ? undefined : { cloud: origins.at("cloud").text(), site: origins.at("site").text() },
      fingerprintKey: Buffer.from(root.at("fingerprintKey").text(/^[A-Za-z0-9+/]{43}=$/), "base64"),
      variables: readVariables(root.at("variables")),
    };
  } catch (error) {
    throw error instanceof FieldFault ? invalid(id, messageOf(error)) : error;
  }
}
