import { type ContainerEntry, listContainers } from "../../backend/docker/containers.ts";
import type { Engine } from "../../backend/docker/engine.ts";
import { LABEL, type Labels } from "../../backend/docker/labels.ts";
import { listNetworks, type NetworkEntry } from "../../backend/docker/networks.ts";
import { listVolumes, type VolumeEntry } from "../../backend/docker/volumes.ts";
import type { FoundPreview } from "../target.ts";
import { isOurs, KIND_FILTER, labelFilters, namesOf } from "./names.ts";

/** Everything of one preview that the engine has. */
export interface Found {
  readonly preview: string;
  readonly containers: readonly ContainerEntry[];
  readonly volumes: readonly VolumeEntry[];
  readonly networks: readonly NetworkEntry[];
}

/** What carries all our labels for one preview; three calls at once. */
export async function findParts(engine: Engine, repository: string, preview: string): Promise<Found> {
  const label = labelFilters(repository, preview);
  return (await findAmong(engine, repository, preview, label)).found;
}

/** The same, and the containers of all other previews on the host, of whichever repository; no call more. */
export async function findWithOthers(
  engine: Engine,
  repository: string,
  preview: string,
): Promise<{ readonly found: Found; readonly others: readonly ContainerEntry[] }> {
  return await findAmong(engine, repository, preview, [KIND_FILTER]);
}

async function findAmong(
  engine: Engine,
  repository: string,
  preview: string,
  containerFilters: readonly string[],
): Promise<{ found: Found; others: ContainerEntry[] }> {
  const label = labelFilters(repository, preview);
  const names = namesOf(repository, preview);
  const [containers, volumes, networks] = await Promise.all([
    listContainers(engine, { label: containerFilters }),
    listVolumes(engine, label),
    listNetworks(engine, label),
  ]);
  const ours = ({ labels }: { readonly labels: Labels }): boolean => isOurs(labels, names);
  const found = {
    preview,
    containers: containers.filter(ours),
    volumes: volumes.filter(ours),
    networks: networks.filter(ours),
  };
  return { found, others: containers.filter((one) => !ours(one)) };
}

/** The same for every preview of a repository, also of those of which only a volume or a network is left. */
export async function findAll(engine: Engine, repository: string): Promise<Found[]> {
  const label = labelFilters(repository);
  const [containers, volumes, networks] = await Promise.all([
    listContainers(engine, { label }),
    listVolumes(engine, label),
    listNetworks(engine, label),
  ]);
  const all: { readonly labels: Labels }[] = [...containers, ...volumes, ...networks];
  const previews = new Set(all.flatMap(({ labels }) => labels[LABEL.preview] ?? []));
  return [...previews].sort().map((preview) => {
    const names = namesOf(repository, preview);
    const ours = ({ labels }: { readonly labels: Labels }): boolean => isOurs(labels, names);
    return {
      preview,
      containers: containers.filter(ours),
      volumes: volumes.filter(ours),
      networks: networks.filter(ours),
    };
  });
}

export function isEmpty({ containers, volumes, networks }: Found): boolean {
  return containers.length + volumes.length + networks.length === 0;
}

/** The container that holds the backend. */
export function backendOf(found: Found): ContainerEntry | undefined {
  return found.containers.find(({ labels }) => labels[LABEL.role] === "backend");
}

export function dataOf(found: Found): VolumeEntry | undefined {
  return found.volumes.find(({ labels }) => labels[LABEL.role] === "data");
}

/** Marker volumes, newest first: an `up` that was cut short leaves more than one. */
export function markersOf(found: Found): VolumeEntry[] {
  const time = ({ labels }: VolumeEntry): string => labels[LABEL.created] ?? "";
  return found.volumes
    .filter(({ labels }) => labels[LABEL.role] === "marker")
    .sort((a, b) => (time(a) < time(b) ? 1 : -1));
}

/** In the terms of every place. A marker counts for the data that it was written for, and for no other. */
export function describe(repository: string, found: Found): FoundPreview {
  const backend = backendOf(found);
  const data = dataOf(found);
  const [newest] = markersOf(found);
  const marker = newest?.labels[LABEL.data] === data?.labels[LABEL.created] ? newest : undefined;
  const parts = [...found.containers, ...found.volumes, ...found.networks];
  const number = Number(parts.find(({ labels }) => labels[LABEL.number] !== undefined)?.labels[LABEL.number]);
  const times = parts.map(({ created }) => created.getTime()).filter((time) => time > 0);
  const { [LABEL.cloudOrigin]: cloud, [LABEL.siteOrigin]: site } = backend?.labels ?? {};
  return {
    name: found.preview,
    repository,
    ...(number > 0 ? { number } : {}),
    ...facts(marker?.labels ?? {}),
    created: new Date(times.length === 0 ? 0 : Math.min(...times)),
    running: backend?.running ?? false,
    ...(cloud === undefined || site === undefined ? {} : { origins: { cloud, site } }),
  };
}

function facts(marker: Labels): Pick<FoundPreview, "commit" | "lastUp" | "ttlMs" | "deployed"> {
  const { [LABEL.commit]: commit, [LABEL.created]: lastUp, [LABEL.ttl]: ttl, [LABEL.deployed]: deployed } = marker;
  return {
    ...(commit === undefined ? {} : { commit }),
    ...(lastUp === undefined ? {} : { lastUp: new Date(lastUp) }),
    ...(ttl === undefined ? {} : { ttlMs: Number(ttl) }),
    ...(deployed === undefined ? {} : { deployed }),
  };
}
