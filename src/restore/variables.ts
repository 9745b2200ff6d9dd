import { createHmac } from "node:crypto";

/** Names of variables by how the target has them, compared with the deployment that the data were written under. */
export interface VariableDifferences {
  /** The backup's deployment had them, the target has not. */
  readonly missing: readonly string[];
  /** Both have them, with other values. */
  readonly different: readonly string[];
  /** Only the target has them. */
  readonly extra: readonly string[];
  /** Both have them; whether the values are the same cannot be told without the fingerprints' key. */
  readonly unknown: readonly string[];
}

/** How a variable is told in a manifest: never its value. */
export interface KnownVariable {
  readonly name: string;
  /** Keyed with a key that is only in the encrypted bundle; absent in backups without encryption. */
  readonly fingerprint?: string;
}

/**
 * Compares what the manifest says of the variables with those of the target.
 * @param fingerprint of a value, with the backup's key; undefined where the key is not known
 */
export function compareVariables(
  known: readonly KnownVariable[],
  present: ReadonlyMap<string, string>,
  fingerprint: ((name: string, value: string) => string) | undefined,
): VariableDifferences {
  const names = new Set(known.map(({ name }) => name));
  const missing: string[] = [];
  const different: string[] = [];
  const unknown: string[] = [];
  for (const { name, fingerprint: before } of known) {
    const value = present.get(name);
    if (value === undefined) missing.push(name);
    else if (before === undefined || fingerprint === undefined) unknown.push(name);
    else if (fingerprint(name, value) !== before) different.push(name);
  }
  const extra = [...present.keys()].filter((name) => !names.has(name));
  return { missing: missing.sort(), different: different.sort(), extra: extra.sort(), unknown: unknown.sort() };
}

const MOST_NAMES = 20;

function names(list: readonly string[]): string {
  const shown = list.slice(0, MOST_NAMES).join(", ");
  return list.length > MOST_NAMES ? `${shown}, and ${list.length - MOST_NAMES} more` : shown;
}

/** What a person has to know before the restored app meets its users; one sentence each. */
export function describeDifferences({ missing, different, extra, unknown }: VariableDifferences): string[] {
  const lines: string[] = [];
  if (missing.length > 0) {
    lines.push(`Variables of the backed-up deployment that this one lacks: ${names(missing)}.`);
  }
  if (different.length > 0) {
    lines.push(
      `Variables that have other values here than when the data were written: ${names(different)}. Secrets that data depend on (such as BETTER_AUTH_SECRET) must be the same.`,
    );
  }
  if (unknown.length > 0) {
    lines.push(`Variables that both have, with values that cannot be compared: ${names(unknown)}.`);
  }
  if (extra.length > 0) lines.push(`Variables that only this deployment has: ${names(extra)}.`);
  return lines;
}

/** A keyed fingerprint of one variable; two variables with the same value have different ones. */
export function hmacFingerprint(key: Uint8Array): (name: string, value: string) => string {
  return (name, value) => createHmac("sha256", key).update(`${name}\0${value}`).digest("hex");
}
