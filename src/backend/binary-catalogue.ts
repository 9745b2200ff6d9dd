import { ActionError } from "../runner/errors.ts";
import { type Release, releases } from "./pins.ts";
import { parseVersion } from "./version.ts";

/** Which release binary to run. */
export interface BinaryChoice {
  /** `2026-10-06-a3538c6`. */
  readonly release: string;
  /** `x86_64-unknown-linux-gnu`, … */
  readonly target: string;
  /** `convex-local-backend-<target>.zip`. */
  readonly asset: string;
  /** The one file in it. */
  readonly executable: string;
  /** SHA-256 of the zip from the catalogue; absent: the release's own metadata must tell it. */
  readonly sha256?: string;
  readonly byDefault: boolean;
  readonly warnings: readonly string[];
}

export interface BinaryWish {
  readonly version?: string | undefined;
  readonly platform: NodeJS.Platform;
  /** `process.arch`. */
  readonly arch: string;
}

// Contract 10.
const TARGETS: Readonly<Record<string, string>> = {
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-arm64": "aarch64-unknown-linux-gnu",
  "darwin-x64": "x86_64-apple-darwin",
  "darwin-arm64": "aarch64-apple-darwin",
  "win32-x64": "x86_64-pc-windows-msvc",
};

function targetOf(platform: string, arch: string): string {
  const target = TARGETS[`${platform}-${arch}`];
  if (target !== undefined) return target;
  throw new ActionError(
    "platform-unsupported",
    `Convex releases no binary for ${platform} on ${arch}, only for ${Object.keys(TARGETS).join(", ")}.`,
    "Use runtime: docker, a runner of another kind, or binary-path with a binary of your own.",
  );
}

/** Catalogued releases with a binary for that target, the nearest in time to `name` first. */
export function releasesWith(target: string, name: string, list: readonly Release[] = releases()): string[] {
  const day = (release: string): number => Date.parse(release.slice(0, 10));
  return list
    .filter(({ binaries }) => binaries?.[target] !== undefined)
    .map((release) => release.name)
    .toSorted((a, b) => Math.abs(day(a) - day(name)) - Math.abs(day(b) - day(name)));
}

function wantedRelease(text: string, list: readonly Release[]): { readonly name: string; readonly short: string } {
  const version = parseVersion(text);
  if (version.kind === "release") return version;
  if (version.kind === "digest") {
    throw new ActionError(
      "version-invalid",
      `version: ${version.digest} is the digest of an image, and runtime is binary.`,
      "Name a release (2026-10-06-a3538c6), or use runtime: docker.",
    );
  }
  const short = version.commit.slice(0, 7);
  const found = list.find(
    ({ name, commit }) => name.endsWith(`-${short}`) && (commit ?? version.commit) === version.commit,
  );
  if (found !== undefined) return { name: found.name, short };
  throw new ActionError(
    "release-unknown",
    `version: the catalogue knows no release of commit ${version.commit}, and binaries are found by release names only.`,
    `Name the release (YYYY-MM-DD-${short}, as at github.com/get-convex/convex-backend/releases), or use runtime: docker.`,
  );
}

/**
 * Which release binary to run on this machine. Nothing is asked of the network.
 * @throws ActionError `platform-unsupported`, `release-unknown` (a commit outside the catalogue) and those of `parseVersion`
 */
export function resolveBinary(wish: BinaryWish, list: readonly Release[] = releases()): BinaryChoice {
  const target = targetOf(wish.platform, wish.arch);
  const byDefault = wish.version === undefined;
  const wanted = wish.version === undefined ? newestWith(target, list) : wantedRelease(wish.version, list);
  // Assets of one build may be split over two tags with the same digits: the one that has ours counts (contract 10).
  const sameBuild = list.filter(({ name }) => name.endsWith(`-${wanted.short}`));
  const exact = sameBuild.find(({ name }) => name === wanted.name);
  const source = [exact, ...sameBuild].find((release) => release?.binaries?.[target] !== undefined);
  const sha256 = source?.binaries?.[target];
  const warnings =
    sha256 === undefined
      ? [
          `The catalogue knows no checksum of release ${wanted.name} for ${target}: the one in the release's own metadata is used.`,
        ]
      : [];
  return {
    release: source?.name ?? wanted.name,
    target,
    asset: `convex-local-backend-${target}.zip`,
    executable: wish.platform === "win32" ? "convex-local-backend.exe" : "convex-local-backend",
    ...(sha256 === undefined ? {} : { sha256 }),
    byDefault,
    warnings,
  };
}

function newestWith(target: string, list: readonly Release[]): { readonly name: string; readonly short: string } {
  const release = list.find(({ binaries }) => binaries?.[target] !== undefined);
  if (release === undefined) throw new Error(`pins.json: no binary for ${target}`);
  return { name: release.name, short: release.name.slice(-7) };
}
