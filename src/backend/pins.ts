import pins from "./pins.json" with { type: "json" };

/** A public release as far as it is known. An absent field is unknown: the release may well have it. */
export interface Release {
  /** `YYYY-MM-DD-<first 7 hex of the commit>`; the tag is `precompiled-<name>` (contract 10). */
  readonly name: string;
  /** 40 hex digits; the tag of the image. */
  readonly commit?: string;
  /** `sha256:…` of the image's manifest list. */
  readonly imageDigest?: string;
  /** Newest `convex` CLI that was published when the release was. */
  readonly cli?: string;
  /** Target triple → SHA-256 of its zip. */
  readonly binaries?: Readonly<Record<string, string>>;
}

const NAME = /^\d{4}-\d{2}-\d{2}-[0-9a-f]{7}$/;
const COMMIT = /^[0-9a-f]{40}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const SHA256 = /^[0-9a-f]{64}$/;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function optional(entry: Record<string, unknown>, key: string, form: RegExp): boolean {
  const value = entry[key];
  return value === undefined || (typeof value === "string" && form.test(value));
}

function isRelease(entry: unknown): entry is Release {
  if (!isRecord(entry) || typeof entry["name"] !== "string" || !NAME.test(entry["name"])) return false;
  const { binaries } = entry;
  return (
    optional(entry, "commit", COMMIT) &&
    optional(entry, "imageDigest", DIGEST) &&
    optional(entry, "cli", /^\d+\.\d+\.\d+$/) &&
    (binaries === undefined ||
      (isRecord(binaries) && Object.values(binaries).every((sum) => typeof sum === "string" && SHA256.test(sum))))
  );
}

/**
 * Reads the catalogue; newest release first.
 * @throws Error that names the entry; a scheduled pull request changes that file, so its form is not taken on trust
 */
export function readPins(data: unknown): readonly Release[] {
  if (!isRecord(data) || !Array.isArray(data["releases"])) throw new Error("pins.json: no list of releases");
  const list: unknown[] = data["releases"];
  const releases = list.map((entry, index) => {
    if (!isRelease(entry)) throw new Error(`pins.json: release ${index} is malformed`);
    return entry;
  });
  return releases.toSorted((a, b) => (a.name < b.name ? 1 : -1));
}

let known: readonly Release[] | undefined;

/** The releases that this action version knows, newest first. */
export function releases(): readonly Release[] {
  known ??= readPins(pins);
  return known;
}
