import type { Release } from "../../src/backend/pins.ts";
import type { Published } from "./published.ts";

export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
];

/** What is known of a release's image and commit beside its assets. */
export interface Found {
  readonly commit?: string;
  readonly imageDigest?: string;
}

export interface Plan {
  readonly releases: readonly Release[];
  /** What changes, one line of Markdown each. Empty: nothing. */
  readonly changes: readonly string[];
  /** What somebody should know all the same: builds that are split over two tags, assets that are missing. */
  readonly notes: readonly string[];
}

const shortOf = (name: string): string => name.slice(-7);

/** Names of all tags of a build: its jobs may have crossed midnight (contract 10). */
function tagsOf(name: string, all: readonly Published[]): Published[] {
  return all.filter((one) => shortOf(one.name) === shortOf(name));
}

/** Targets that no tag of the build has. */
export function missingTargets(name: string, all: readonly Published[]): string[] {
  const there = new Set(tagsOf(name, all).flatMap(({ binaries }) => Object.keys(binaries)));
  return TARGETS.filter((target) => !there.has(target));
}

/**
 * The newest release that is not known yet and has everything; the newer ones that lack something are told in notes.
 */
export function newestComplete(
  known: readonly Release[],
  all: readonly Published[],
  found: ReadonlyMap<string, Found>,
): { readonly release?: Published; readonly notes: readonly string[] } {
  const newest =
    known
      .map(({ name }) => name)
      .sort()
      .at(-1) ?? "";
  const notes: string[] = [];
  for (const release of all.filter(({ name }) => name > newest)) {
    const missing = missingTargets(release.name, all);
    if (found.get(release.name)?.imageDigest === undefined) missing.push("image");
    if (missing.length === 0) return { release, notes };
    notes.push(`\`${release.name}\` is left out: it lacks ${missing.join(", ")}.`);
  }
  return { notes };
}

/**
 * What must not change behind our back: an asset or an image that the catalogue knows has another digest now.
 * @throws Error that names it; somebody has to look
 */
function refuseChanged(before: Release, published: Published | undefined, found: Found): void {
  for (const [target, sha256] of Object.entries(before.binaries ?? {})) {
    const now = published?.binaries[target];
    if (now !== undefined && now !== sha256)
      throw new Error(`${before.name}: the asset for ${target} has changed from ${sha256} to ${now}`);
  }
  for (const field of ["commit", "imageDigest"] as const) {
    const [then, now] = [before[field], found[field]];
    if (then !== undefined && now !== undefined && then !== now)
      throw new Error(`${before.name}: ${field} has changed from ${then} to ${now}`);
  }
}

function completed(before: Release, published: Published | undefined, found: Found): Release {
  refuseChanged(before, published, found);
  const binaries = { ...published?.binaries, ...before.binaries };
  return {
    ...found,
    ...before,
    ...(Object.keys(binaries).length === 0 ? {} : { binaries: sorted(binaries) }),
  };
}

const sorted = (binaries: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(TARGETS.flatMap((target) => (binaries[target] === undefined ? [] : [[target, binaries[target]]])));

function gained(before: Release, after: Release): string[] {
  const fields = (["commit", "imageDigest"] as const).filter(
    (name) => before[name] === undefined && after[name] !== undefined,
  );
  const targets = Object.keys(after.binaries ?? {}).filter((target) => before.binaries?.[target] === undefined);
  return [...fields, ...targets];
}

/**
 * The catalogue as it should be. Pure.
 * @param found by name of release
 * @throws Error when something that is known has changed
 */
export function planCatalogue(
  known: readonly Release[],
  all: readonly Published[],
  found: ReadonlyMap<string, Found>,
): Plan {
  const byName = new Map(all.map((release) => [release.name, release]));
  const changes: string[] = [];
  const releases: Release[] = known.map((before) => {
    const after = completed(before, byName.get(before.name), found.get(before.name) ?? {});
    const more = gained(before, after);
    if (more.length > 0) changes.push(`\`${before.name}\`: now known are ${more.join(", ")}`);
    return after;
  });
  const { release, notes } = newestComplete(known, all, found);
  if (release !== undefined) {
    // A split build is one entry for each tag: where an asset is downloaded from has to be right.
    for (const tag of tagsOf(release.name, all)) {
      releases.push({ ...completed({ name: tag.name }, tag, found.get(tag.name) ?? {}), name: tag.name });
      changes.push(`\`${tag.name}\`: new, with ${Object.keys(tag.binaries).length} binaries and its image`);
    }
  }
  const split = all.filter(({ name }) => releases.some((one) => one.name === name) && tagsOf(name, all).length > 1);
  const unsigned = all.filter(
    ({ name, withoutDigest }) => releases.some((one) => one.name === name) && withoutDigest.length > 0,
  );
  return {
    releases: releases.toSorted((a, b) => (a.name < b.name ? 1 : -1)),
    changes,
    notes: [
      ...notes,
      ...split.map(({ name }) => `\`${name}\` is one of several tags of the same build.`),
      ...unsigned.map(
        ({ name, withoutDigest }) => `\`${name}\`: GitHub gives no digest for ${withoutDigest.join(", ")}.`,
      ),
    ],
  };
}
