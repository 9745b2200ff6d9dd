/**
 * Brings src/backend/pins.json up to date with what is published: the newest release that is complete is added, what is
 * missing of known ones is filled in, and nothing that is known is ever changed. A scheduled workflow makes a pull
 * request of it (.github/workflows/catalogue.yml).
 *
 *     node bin/refresh-catalogue.ts            writes the catalogue, prints what changes as Markdown
 *     node bin/refresh-catalogue.ts --check    prints only; exit code 2 when something would change
 *
 * GITHUB_API_URL and REGISTRY_URL name other servers; GITHUB_TOKEN is sent to the first alone.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readPins } from "../src/backend/pins.ts";
import { type Http, systemHttp } from "../src/system/http.ts";
import { type Found, type Plan, planCatalogue } from "./catalogue/plan.ts";
import { commitOf, type Published, published, type ReleasesApi } from "./catalogue/published.ts";
import { imageDigest } from "./catalogue/registry.ts";

/** How many of the newest releases are looked at for one that is complete. */
const MOST_CANDIDATES = 10;

export interface Sources {
  readonly api: ReleasesApi;
  /** `https://ghcr.io` */
  readonly registry: string;
}

/** Asks the servers, and says what the catalogue should be. */
export async function refresh(pins: unknown, sources: Sources, http: Http): Promise<Plan> {
  const known = readPins(pins);
  const { organisation, releases } = await published(sources.api, http);
  const names = new Set(known.map(({ name }) => name));
  const newest = known[0]?.name ?? "";
  const candidates = releases.filter(({ name }) => name > newest).slice(0, MOST_CANDIDATES);
  const asked = [...candidates, ...releases.filter(({ name }) => names.has(name))];
  const found = new Map<string, Found>();
  for (const { name } of asked) found.set(name, await findImage(name, organisation, sources, http));
  const inSight: Published[] = releases.filter(
    ({ name }) => name <= newest || candidates.some((one) => one.name === name),
  );
  return planCatalogue(known, inSight, found);
}

async function findImage(name: string, organisation: string, sources: Sources, http: Http): Promise<Found> {
  const commit = await commitOf(name, organisation, sources.api, http);
  if (commit === undefined) return {};
  const digest = await imageDigest(sources.registry, commit, http);
  // Without an image nothing is run by commit, so the commit alone says nothing.
  return digest === undefined ? {} : { commit, imageDigest: digest };
}

export function asMarkdown({ changes, notes }: Plan): string {
  const list = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? "" : `${title}\n\n${lines.map((line) => `- ${line}`).join("\n")}\n`;
  return [list("### Changes of the catalogue", changes), list("### To know", notes)]
    .filter((part) => part !== "")
    .join("\n");
}

if (import.meta.main) {
  const file = join(resolve(import.meta.dirname, ".."), "src/backend/pins.json");
  const token = process.env["GITHUB_TOKEN"];
  const sources = {
    api: { url: process.env["GITHUB_API_URL"] ?? "https://api.github.com", ...(token ? { token } : {}) },
    registry: process.env["REGISTRY_URL"] ?? "https://ghcr.io",
  };
  const plan = await refresh(JSON.parse(await readFile(file, "utf8")), sources, systemHttp);
  process.stdout.write(asMarkdown(plan) || "The catalogue is up to date.\n");
  if (process.argv.includes("--check")) process.exitCode = plan.changes.length === 0 ? 0 : 2;
  else if (plan.changes.length > 0)
    await writeFile(file, `${JSON.stringify({ releases: plan.releases }, undefined, 2)}\n`);
}
