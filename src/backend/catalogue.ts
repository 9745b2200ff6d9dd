import { ActionError } from "../runner/errors.ts";
import { parseReference, type Reference } from "./docker/reference.ts";
import { type Release, releases } from "./pins.ts";
import { checkDigest, latestRefused, parseVersion, type Version } from "./version.ts";

export { type Release, releases } from "./pins.ts";

/** Where the official images are. The organisation was renamed to `convex` in 2026; whether image paths moved is not known (contract 10). */
export const DEFAULT_REPOSITORY = "ghcr.io/get-convex/convex-backend";

/** What to pull, and what the result must be. */
export interface ImageChoice {
  /** `repository@digest` where the digest is known, else `repository:tag`. */
  readonly reference: string;
  readonly repository: string;
  /** The digest that the input or the catalogue names; what runs must have it. */
  readonly digest?: string;
  /** The catalogue's or the input's name for it. */
  readonly release?: string;
  /** Full commit or its first 7 digits: the image's revision label begins with it. */
  readonly commit?: string;
  /** The input `version` was left out: it is the release that this action version is tested with. */
  readonly byDefault: boolean;
  readonly warnings: readonly string[];
}

export interface ImageWish {
  readonly version?: string | undefined;
  /** A repository, or a full reference. */
  readonly image?: string | undefined;
  /** Refuse an image that neither the input nor the catalogue names by digest. */
  readonly requireDigest?: boolean | undefined;
}

/** The reference, with the faults that have an error of their own told first. */
function readImage(image: string): Reference {
  // Whoever writes a scheme may have written credentials too: not quoted.
  if (image.includes("://")) {
    throw new ActionError(
      "image-invalid",
      "image: a reference has no scheme and no credentials, as a URL has.",
      "Write <registry>/<path>@sha256:<64 hex digits>; docker login, in a step before, gives the credentials.",
    );
  }
  const at = image.indexOf("@");
  if (at !== -1) checkDigest("image", image.slice(at + 1));
  const reference = parseReference(image);
  if (reference.tag === "latest" && reference.digest === undefined) throw latestRefused("image", image);
  return reference;
}

/** What a version and the catalogue say about the image. */
interface Known {
  readonly release?: string;
  readonly commit?: string;
  readonly digest?: string;
  readonly warnings: readonly string[];
}

function ofRelease(release: Release): Known {
  return {
    release: release.name,
    ...(release.commit === undefined ? {} : { commit: release.commit }),
    ...(release.imageDigest === undefined ? {} : { digest: release.imageDigest }),
    warnings: [],
  };
}

/** The same build may have two dates, and some tags point at a foreign commit: the 7 digits in the name are what counts (contract 10). */
function byShort(short: string, list: readonly Release[]): Release | undefined {
  return list.find((release) => release.name.endsWith(`-${short}`));
}

function known(version: Version, list: readonly Release[]): Known {
  switch (version.kind) {
    case "digest": {
      const release = list.find(({ imageDigest }) => imageDigest === version.digest);
      return release === undefined ? { digest: version.digest, warnings: [] } : ofRelease(release);
    }
    case "commit": {
      const release = byShort(version.commit.slice(0, 7), list);
      if (release === undefined || (release.commit ?? version.commit) !== version.commit) {
        return { commit: version.commit, warnings: [] };
      }
      return { ...ofRelease(release), commit: version.commit };
    }
    case "release": {
      const release = list.find(({ name }) => name === version.name) ?? byShort(version.short, list);
      if (release === undefined) return { release: version.name, commit: version.short, warnings: [] };
      const warnings =
        release.name === version.name
          ? []
          : [`version: ${version.name} is the build that the catalogue knows as ${release.name}.`];
      return { commit: version.short, ...ofRelease(release), warnings };
    }
  }
}

function defaultImage(list: readonly Release[]): Release {
  const release = list.find(({ imageDigest, commit }) => imageDigest !== undefined && commit !== undefined);
  if (release === undefined) throw new Error("pins.json: no release with an image digest");
  return release;
}

/**
 * What to run as a container. Nothing is asked of a registry.
 * @throws ActionError `version-latest`, `version-invalid`, `digest-malformed`, `digest-conflict`, `digest-required`,
 *   `image-invalid`, `release-unknown` (images carry full commits as tags: a name alone leads to none)
 */
export function resolveImage(wish: ImageWish, list: readonly Release[] = releases()): ImageChoice {
  const image = readImage(wish.image ?? DEFAULT_REPOSITORY);
  const byDefault = wish.version === undefined && image.digest === undefined && image.tag === undefined;
  const version = wish.version === undefined ? undefined : parseVersion(wish.version);
  const said =
    version === undefined
      ? byDefault
        ? ofRelease(defaultImage(list))
        : aboutReference(image, list)
      : known(version, list);
  const { repository } = image;
  if (image.digest !== undefined && said.digest !== undefined && image.digest !== said.digest) {
    throw new ActionError(
      "digest-conflict",
      `image names ${image.digest}, and version ${wish.version} is ${said.digest}.`,
      "Leave one of the two out, or make them name the same build.",
    );
  }
  if (image.tag !== undefined && image.digest === undefined && version !== undefined && image.tag !== said.commit) {
    throw new ActionError(
      "digest-conflict",
      `image names the tag ${image.tag}, and version names ${wish.version}.`,
      "Leave the tag out of image, or leave version out.",
    );
  }
  const digest = image.digest ?? said.digest;
  if (digest !== undefined) {
    return { ...said, reference: `${repository}@${digest}`, repository, digest, byDefault };
  }
  const tag = version?.kind === "release" ? fullCommit(said, version.name, list) : (said.commit ?? image.tag);
  if (tag === undefined) throw new Error("an image without digest and tag");
  return unpinned({ ...said, reference: `${repository}:${tag}`, repository, byDefault }, wish.requireDigest ?? false);
}

function aboutReference(image: Reference, list: readonly Release[]): Known {
  const { digest, tag } = image;
  if (digest !== undefined) return known({ kind: "digest", digest }, list);
  return tag !== undefined && /^[0-9a-f]{40}$/.test(tag)
    ? known({ kind: "commit", commit: tag }, list)
    : { warnings: [] };
}

function fullCommit(said: Known, name: string, list: readonly Release[]): string {
  if (said.commit?.length === 40) return said.commit;
  throw new ActionError(
    "release-unknown",
    `version: the catalogue of this action version knows no image of release ${name}, and images are found by full commits only.`,
    `Give the 40 hex digits of the commit that begins with ${said.commit ?? name.slice(-7)}, or a digest, or ${defaultImage(list).name}.`,
  );
}

function unpinned(choice: ImageChoice, requireDigest: boolean): ImageChoice {
  if (requireDigest) {
    throw new ActionError(
      "digest-required",
      `require-digest is set, and neither the inputs nor the catalogue name a digest for ${choice.reference}.`,
      "Give the digest in version (sha256:<64 hex digits>) or in image (<repository>@sha256:…).",
    );
  }
  const warning = `${choice.reference} is not pinned: the catalogue knows no digest for it, so the one that the registry gives is used.`;
  return { ...choice, warnings: [...choice.warnings, warning] };
}
