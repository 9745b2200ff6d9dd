import { ActionError } from "../runner/errors.ts";

/** What the input `version` names. */
export type Version =
  | { readonly kind: "release"; readonly name: string; readonly short: string }
  | { readonly kind: "commit"; readonly commit: string }
  | { readonly kind: "digest"; readonly digest: string };

const ALLOWED =
  "Name a release (2026-09-28-5c7cb5b), a full commit (40 hex digits) or an image digest (sha256:<64 hex digits>)";

/**
 * Reads the input `version`.
 * @throws ActionError `version-latest`, `digest-malformed`, `version-invalid`
 */
export function parseVersion(text: string): Version {
  const version = text.trim();
  if (/^(.*:)?latest$/i.test(version)) throw latestRefused("version", version);
  const release = /^(?:precompiled-)?(\d{4}-\d{2}-\d{2}-([0-9a-f]{7}))$/.exec(version);
  if (release?.[1] !== undefined && release[2] !== undefined && !Number.isNaN(Date.parse(release[1].slice(0, 10)))) {
    return { kind: "release", name: release[1], short: release[2] };
  }
  if (/^[0-9a-f]{40}$/.test(version)) return { kind: "commit", commit: version };
  if (/^sha\d+:/i.test(version)) return { kind: "digest", digest: checkDigest("version", version) };
  throw new ActionError(
    "version-invalid",
    `version: ${JSON.stringify(version)} is not a release, a commit or a digest${why(version)}.`,
    `${ALLOWED}, or leave the input out to use the release this action version is tested with.`,
  );
}

function why(version: string): string {
  if (/^[0-9a-f]{5,39}$/i.test(version)) return "; a shortened commit is ambiguous, and images carry the full one";
  if (/^v?\d+\.\d+/.test(version)) return "; the backend has no such version numbers (the convex package on npm has)";
  if (/^[0-9A-F]{40}$/i.test(version)) return "; commits are written in small letters";
  return "";
}

/**
 * @returns the digest as given
 * @throws ActionError `digest-malformed`
 */
export function checkDigest(input: string, digest: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  const length = digest.slice(digest.indexOf(":") + 1).length;
  throw new ActionError(
    "digest-malformed",
    `${input}: ${JSON.stringify(digest)} is not a digest (${length} characters after the colon).`,
    "A digest is sha256: and 64 hex digits in small letters, as docker buildx imagetools inspect prints it.",
  );
}

export function latestRefused(input: string, value: string): ActionError {
  return new ActionError(
    "version-latest",
    `${input}: ${JSON.stringify(value)} is not accepted: it changes under you, and backends do not migrate back.`,
    `Name a release, for example 2026-09-28-5c7cb5b, or leave the input out to use the one this action version is tested with.`,
  );
}
