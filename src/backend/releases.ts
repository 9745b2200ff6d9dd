import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { type BinaryChoice, releasesWith } from "./binary-catalogue.ts";
import { releases } from "./pins.ts";
import { fetchRemote, type ReleasesSource, readText } from "./remote.ts";

export const DEFAULT_RELEASES_URL = "https://api.github.com/repos/get-convex/convex-backend/releases";

/** Where an asset can be had, and the SHA-256 that the release's metadata give for it. */
export interface Asset {
  readonly url: string;
  readonly sha256?: string;
}

interface ReleaseAsset {
  readonly name: string;
  readonly url?: string;
  readonly browser_download_url?: string;
  /** `sha256:…`; null for assets uploaded before GitHub made digests. */
  readonly digest?: string | null;
}

interface GithubRelease {
  readonly tag_name: string;
  readonly assets: readonly ReleaseAsset[];
}

const LARGEST_ANSWER = 16 * 1024 * 1024;
const JSON_TYPE = "application/vnd.github+json";

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isAsset(value: unknown): value is ReleaseAsset {
  if (!isRecord(value) || typeof value["name"] !== "string") return false;
  const text = (key: string): boolean => value[key] === undefined || typeof value[key] === "string";
  return text("url") && text("browser_download_url") && (value["digest"] === null || text("digest"));
}

function isRelease(value: unknown): value is GithubRelease {
  return (
    isRecord(value) &&
    typeof value["tag_name"] === "string" &&
    Array.isArray(value["assets"]) &&
    value["assets"].every(isAsset)
  );
}

async function getJson(url: string, source: ReleasesSource, deps: Deps): Promise<unknown> {
  const text = await fetchRemote(url, source, JSON_TYPE, (answer) => readText(answer, LARGEST_ANSWER), deps);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw unreadable(url, "it is no JSON", error);
  }
}

function unreadable(url: string, why: string, cause?: unknown): ActionError {
  return new ActionError(
    "releases-answer-unreadable",
    `${url} answers something that is not GitHub's releases API: ${why}.`,
    "Check releases-url: it must end in /repos/<owner>/<repository>/releases, or serve the same paths.",
    { cause },
  );
}

/** The tags that one build may be under: jobs of a build that crossed midnight split its assets over two dates (contract 10). */
function tagsOf(release: string): string[] {
  const short = release.slice(-7);
  const day = Date.parse(release.slice(0, 10));
  const dated = (offset: number): string => new Date(day + offset * 86_400_000).toISOString().slice(0, 10);
  return [0, 1, -1].map((offset) => `precompiled-${dated(offset)}-${short}`);
}

/** The organisation was renamed; GitHub redirects the old name until somebody takes it (contract 10). */
function sourcesOf(source: ReleasesSource): ReleasesSource[] {
  if (source.url !== DEFAULT_RELEASES_URL) return [source];
  return [source, { ...source, url: source.url.replace("/get-convex/", "/convex/") }];
}

/**
 * Where the asset can be had without asking the API, whose limit without a token is shared by all who use the same
 * address: for GitHub itself, and only where the checksum is known already.
 */
export function directAsset(choice: BinaryChoice, source: ReleasesSource): Asset | undefined {
  if (source.url !== DEFAULT_RELEASES_URL || choice.sha256 === undefined) return undefined;
  const base = "https://github.com/get-convex/convex-backend/releases/download";
  return { url: `${base}/precompiled-${choice.release}/${choice.asset}`, sha256: choice.sha256 };
}

function download(asset: ReleaseAsset, source: ReleasesSource): string | undefined {
  // With a token the API's own address, since the browser's one does not take tokens.
  const links =
    source.token === undefined ? [asset.browser_download_url, asset.url] : [asset.url, asset.browser_download_url];
  const link = links.find((candidate) => candidate !== undefined);
  return link === undefined ? undefined : new URL(link, source.url).href;
}

/**
 * Asks the releases API for the asset.
 * @throws ActionError `release-unknown` (names near releases), `release-without-binary` (names the nearest with one),
 *   `releases-answer-unreadable`, and those of `fetchRemote`
 */
export async function findAsset(choice: BinaryChoice, source: ReleasesSource, deps: Deps): Promise<Asset> {
  let found = false;
  for (const place of sourcesOf(source)) {
    for (const tag of tagsOf(choice.release)) {
      const url = `${place.url}/tags/${tag}`;
      const release = await getJson(url, place, deps);
      if (release === undefined) continue;
      if (!isRelease(release)) throw unreadable(url, "the release has not the fields tag_name and assets");
      found = true;
      const asset = release.assets.find(({ name }) => name === choice.asset);
      const link = asset === undefined ? undefined : download(asset, place);
      if (asset === undefined || link === undefined) continue;
      const digest = /^sha256:([0-9a-f]{64})$/.exec(asset.digest ?? "")?.[1];
      return { url: link, ...(digest === undefined ? {} : { sha256: digest }) };
    }
  }
  throw found ? withoutBinary(choice) : await unknown(choice, source, deps);
}

function withoutBinary(choice: BinaryChoice): ActionError {
  const [nearest] = releasesWith(choice.target, choice.release);
  return new ActionError(
    "release-without-binary",
    `Release ${choice.release} has no binary for ${choice.target}; not every release has one for every platform.`,
    nearest === undefined
      ? "Name another release, or use runtime: docker."
      : `Use version: ${nearest}, the nearest known release that has it, or runtime: docker.`,
  );
}

async function unknown(choice: BinaryChoice, source: ReleasesSource, deps: Deps): Promise<ActionError> {
  const near = await nearReleases(choice.release, source, deps);
  return new ActionError(
    "release-unknown",
    `version: neither the catalogue nor ${source.url} knows release ${choice.release}.`,
    near.length === 0 ? "Check the name." : `Check the name; near it are ${near.join(", ")}.`,
  );
}

/** Up to three releases near that date, from the API or else from the catalogue. */
async function nearReleases(name: string, source: ReleasesSource, deps: Deps): Promise<string[]> {
  let names = releases().map((release) => release.name);
  try {
    const list = await getJson(`${source.url}?per_page=100`, source, deps);
    const listed = (Array.isArray(list) ? list : [])
      .filter(isRelease)
      .flatMap(({ tag_name }) => /^precompiled-(\d{4}-\d{2}-\d{2}-[0-9a-f]{7})$/.exec(tag_name)?.[1] ?? []);
    if (listed.length > 0) names = listed;
  } catch (error) {
    deps.log.debug(`no list of releases: ${String(error)}`);
  }
  const far = (release: string): number => Math.abs(Date.parse(release.slice(0, 10)) - Date.parse(name.slice(0, 10)));
  return names.toSorted((a, b) => far(a) - far(b)).slice(0, 3);
}
