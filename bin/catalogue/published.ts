import type { Http } from "../../src/system/http.ts";
import { getJson, isRecord } from "./json.ts";

/** A release as GitHub shows it. */
export interface Published {
  /** `2026-10-06-a3538c6` */
  readonly name: string;
  /** Target triple → SHA-256 of its zip, as GitHub itself computed it. */
  readonly binaries: Readonly<Record<string, string>>;
  /** Assets for which GitHub gives no digest: those uploaded before it made any. */
  readonly withoutDigest: readonly string[];
}

export interface ReleasesApi {
  /** `https://api.github.com` */
  readonly url: string;
  readonly token?: string;
}

/** The organisation was renamed; GitHub redirects the old name until somebody takes it (contract 10). */
export const ORGANISATIONS = ["get-convex", "convex"];
const PER_PAGE = 100;
const MOST_PAGES = 3;
const TAG = /^precompiled-(\d{4}-\d{2}-\d{2}-[0-9a-f]{7})$/;
const ASSET = /^convex-local-backend-(.+)\.zip$/;

function readRelease(value: unknown): Published | undefined {
  if (!isRecord(value) || typeof value["tag_name"] !== "string" || !Array.isArray(value["assets"])) {
    throw new Error("the releases API answers something that is no release");
  }
  const name = TAG.exec(value["tag_name"])?.[1];
  if (name === undefined) return undefined;
  const binaries: Record<string, string> = {};
  const withoutDigest: string[] = [];
  for (const asset of value["assets"] as unknown[]) {
    if (!isRecord(asset)) throw new Error(`${name}: an asset is no record`);
    const target = ASSET.exec(String(asset["name"]))?.[1];
    if (target === undefined) continue;
    const sha256 = /^sha256:([0-9a-f]{64})$/.exec(String(asset["digest"]))?.[1];
    if (sha256 === undefined) withoutDigest.push(target);
    else binaries[target] = sha256;
  }
  return { name, binaries, withoutDigest };
}

async function pagesOf(base: string, token: string | undefined, http: Http): Promise<unknown[] | undefined> {
  const all: unknown[] = [];
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const list = await getJson(`${base}?per_page=${PER_PAGE}&page=${page}`, token, http);
    if (list === undefined) return page === 1 ? undefined : all;
    if (!Array.isArray(list)) throw new Error(`${base}: no list of releases`);
    all.push(...(list as unknown[]));
    if (list.length < PER_PAGE) break;
  }
  return all;
}

/** The newest releases, newest first, and the organisation that has them. */
export async function published(
  api: ReleasesApi,
  http: Http,
): Promise<{ readonly organisation: string; readonly releases: readonly Published[] }> {
  for (const organisation of ORGANISATIONS) {
    const base = `${api.url}/repos/${organisation}/convex-backend/releases`;
    const list = await pagesOf(base, api.token, http);
    if (list === undefined) continue;
    const releases = list.flatMap((one) => readRelease(one) ?? []);
    return { organisation, releases: releases.sort((a, b) => (a.name < b.name ? 1 : -1)) };
  }
  throw new Error(`neither ${ORGANISATIONS.join(" nor ")} has a repository convex-backend at ${api.url}`);
}

/** The full commit of a release, by the seven digits in its name: the tag itself may point elsewhere (contract 10). */
export async function commitOf(
  name: string,
  organisation: string,
  api: ReleasesApi,
  http: Http,
): Promise<string | undefined> {
  const short = name.slice(-7);
  const url = `${api.url}/repos/${organisation}/convex-backend/commits/${short}`;
  const commit = await getJson(url, api.token, http);
  const sha = isRecord(commit) ? String(commit["sha"]) : "";
  return /^[0-9a-f]{40}$/.test(sha) && sha.startsWith(short) ? sha : undefined;
}
