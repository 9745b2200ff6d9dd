import { removeContainer } from "../../backend/docker/containers.ts";
import { type Engine, EngineFault } from "../../backend/docker/engine.ts";
import { ensureImage, type Image, type PullPolicy, type WantedImage } from "../../backend/docker/image.ts";
import { LABEL } from "../../backend/docker/labels.ts";
import { createNetwork, removeNetwork } from "../../backend/docker/networks.ts";
import { probeOrigins } from "../../backend/docker/probe.ts";
import { createVolume, removeVolume } from "../../backend/docker/volumes.ts";
import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { previewRemoved } from "../removed.ts";
import type { Applied, FoundPreview, Health, PreviewSpec, Target } from "../target.ts";
import { checkClaims } from "./claims.ts";
import {
  backendOf,
  dataOf,
  describe,
  type Found,
  findAll,
  findParts,
  findWithOthers,
  isEmpty,
  markersOf,
} from "./found.ts";
import { healthOf } from "./health.ts";
import { isOurs, type Names, namesOf, nameTaken, ownerLabels } from "./names.ts";
import { choosePorts, withFreePorts } from "./ports.ts";
import { findProxyNetwork } from "./proxy-network.ts";
import { type Change, reconcile } from "./reconcile.ts";
import type { ProxyKind } from "./routes.ts";
import { usageOf } from "./usage.ts";
import { type Entrance, ownNetwork, wantedContainers } from "./wanted.ts";

export interface DockerTargetOptions {
  readonly repository: string;
  readonly image: WantedImage;
  readonly dashboardImage?: WantedImage | undefined;
  readonly pull: PullPolicy;
  readonly proxy: ProxyKind | "none";
  /** Found by looking at the proxy's container when absent. */
  readonly proxyNetwork?: string | undefined;
  readonly certResolver?: string | undefined;
  /** With `proxy: none`: the address that ports are published on, and what others call it. */
  readonly bind: string;
  readonly host: string;
}

/** Previews as containers of one Docker engine. */
export class DockerTarget implements Target {
  readonly where: string;
  readonly #engine: Engine;
  readonly #options: DockerTargetOptions;
  readonly #deps: Deps;
  readonly #close: () => Promise<void>;
  /** As `apply` left it, so that `confirm` does not have to ask again. */
  readonly #known = new Map<string, Found>();
  #image: Image | undefined;

  constructor(engine: Engine, options: DockerTargetOptions, deps: Deps, close: () => Promise<void> = async () => {}) {
    this.where = engine.where;
    this.#engine = engine;
    this.#options = options;
    this.#deps = deps;
    this.#close = close;
  }

  /** What runs, once `apply` has seen it. */
  get image(): Image | undefined {
    return this.#image;
  }

  async apply(spec: PreviewSpec): Promise<Applied> {
    const names = namesOf(spec.repository, spec.name);
    const { dashboardImage, pull } = this.#options;
    const [{ found, others }, image, dashboard, network] = await Promise.all([
      findWithOthers(this.#engine, spec.repository, spec.name),
      ensureImage(this.#engine, this.#options.image, pull, this.#deps),
      dashboardImage === undefined ? undefined : ensureImage(this.#engine, dashboardImage, pull, this.#deps),
      this.#proxyNetwork(),
    ]);
    this.#image = image;
    checkClaims(spec, found, others, this.where);
    const { data, made } = await this.#data(names, spec, found);
    this.#known.set(spec.name, { ...found, volumes: made ? [...found.volumes, data] : found.volumes });
    return await withFreePorts(choosePorts(backendOf(found), data), async (ports) => {
      const entrance = this.#entrance(network, ports);
      const origins = spec.origins ?? this.#published(ports);
      const dashboardOrigin = spec.dashboardOrigin ?? `http://${this.#options.host}:${ports[2]}`;
      if (ownNetwork(spec, entrance)) await this.#network(names, spec, found);
      const wanted = wantedContainers(spec, {
        names,
        image,
        entrance,
        origins,
        ...(dashboard === undefined ? {} : { dashboard: { image: dashboard, origin: dashboardOrigin } }),
      });
      const changes = await Promise.all(
        wanted.map((one) =>
          reconcile(
            this.#engine,
            one,
            found.containers.find(({ labels }) => labels[LABEL.role] === one.role),
          ),
        ),
      );
      await this.#removeUnwanted(found, new Set<string>(wanted.map(({ role }) => role)));
      return {
        outcome: outcomeOf(changes, made),
        origins,
        ...(dashboard === undefined ? {} : { dashboardUrl: dashboardOrigin }),
        ...(isEmpty(found) ? {} : { before: describe(spec.repository, found) }),
      };
    });
  }

  async confirm(
    name: string,
    facts: { readonly commit: string; readonly ttlMs?: number; readonly deployed?: string },
  ): Promise<void> {
    const { repository } = this.#options;
    const names = namesOf(repository, name);
    const found = this.#known.get(name) ?? (await findParts(this.#engine, repository, name));
    const data = dataOf(found);
    const now = this.#deps.clock.now();
    const number = Number(data?.labels[LABEL.number]);
    const marker = await createVolume(this.#engine, names.marker(now), {
      ...ownerLabels(names, number > 0 ? number : undefined),
      [LABEL.role]: "marker",
      [LABEL.created]: new Date(now).toISOString(),
      [LABEL.commit]: facts.commit,
      ...(facts.ttlMs === undefined ? {} : { [LABEL.ttl]: String(facts.ttlMs) }),
      ...(facts.deployed === undefined ? {} : { [LABEL.deployed]: facts.deployed }),
      ...(data?.labels[LABEL.created] === undefined ? {} : { [LABEL.data]: data.labels[LABEL.created] }),
    });
    const former = markersOf(found).filter((one) => one.name !== marker.name);
    const there = await Promise.all(former.map((one) => removeVolume(this.#engine, one.name)));
    if (there.every((was) => was) || dataOf(await findParts(this.#engine, repository, name)) !== undefined) return;
    await removeVolume(this.#engine, marker.name);
    throw previewRemoved(name, this.where);
  }

  async find(name: string): Promise<FoundPreview | undefined> {
    const { repository } = this.#options;
    const found = await findParts(this.#engine, repository, name);
    return isEmpty(found) ? undefined : describe(repository, found);
  }

  async health(name: string): Promise<Health> {
    return await healthOf(this.#engine, namesOf(this.#options.repository, name), this.#deps);
  }

  async selfCheck(
    name: string,
    { instanceName, origins }: { instanceName: string; origins: { cloud: string; site: string } },
  ): Promise<readonly string[]> {
    const { id } = namesOf(this.#options.repository, name);
    const asked = { cloudOrigin: origins.cloud, siteOrigin: origins.site, instanceName };
    return (await probeOrigins(this.#engine, id, asked)).map(({ what }) => what);
  }

  async remove(name: string): Promise<readonly string[]> {
    const found = await findParts(this.#engine, this.#options.repository, name);
    this.#known.delete(name);
    const removed = await Promise.all(
      found.containers.map(async (one) =>
        (await removeContainer(this.#engine, one.id)) ? [`container ${one.name}`] : [],
      ),
    );
    const rest = await Promise.all([
      ...found.volumes.map(async (one) => ((await removeVolume(this.#engine, one.name)) ? [`volume ${one.name}`] : [])),
      ...found.networks.map(async (one) =>
        (await removeNetwork(this.#engine, one.id)) ? [`network ${one.name}`] : [],
      ),
    ]);
    return [...removed, ...rest].flat().filter((what) => !what.includes(".up-"));
  }

  async list(wish: { readonly usage: boolean }): Promise<readonly FoundPreview[]> {
    const { repository } = this.#options;
    const all = await findAll(this.#engine, repository);
    const usage = wish.usage ? await usageOf(this.#engine, all) : undefined;
    return all.map((found) => ({ ...describe(repository, found), ...usage?.get(found.preview) }));
  }

  async close(): Promise<void> {
    await this.#close();
  }

  async #proxyNetwork(): Promise<string | undefined> {
    const { proxy, proxyNetwork } = this.#options;
    if (proxy === "none") return undefined;
    return proxyNetwork ?? (await findProxyNetwork(this.#engine, proxy));
  }

  #entrance(network: string | undefined, ports: readonly [number, number, number]): Entrance {
    const { proxy, certResolver, bind } = this.#options;
    if (proxy === "none" || network === undefined) return { kind: "ports", bind, ports };
    return { kind: "proxy", proxy, network, certResolver };
  }

  #published([port, sitePort]: readonly [number, number, number]): { cloud: string; site: string } {
    const { host } = this.#options;
    return { cloud: `http://${host}:${port}`, site: `http://${host}:${sitePort}` };
  }

  async #data(names: Names, spec: PreviewSpec, found: Found) {
    const there = dataOf(found);
    if (there !== undefined) return { data: there, made: false };
    const data = await createVolume(this.#engine, names.data, {
      ...ownerLabels(names, spec.number),
      [LABEL.role]: "data",
      [LABEL.created]: new Date(this.#deps.clock.now()).toISOString(),
    });
    if (!isOurs(data.labels, names)) throw nameTaken("volume", names.data, this.where);
    return { data, made: true };
  }

  async #network(names: Names, spec: PreviewSpec, found: Found): Promise<void> {
    if (found.networks.length > 0) return;
    try {
      await createNetwork(this.#engine, names.network, { ...ownerLabels(names, spec.number), [LABEL.role]: "network" });
    } catch (error) {
      if (!(error instanceof EngineFault)) throw error;
      if (error.status === 409) {
        // Made by the try before with other ports, or by another job.
        const now = await findParts(this.#engine, spec.repository, spec.name);
        if (now.networks.length > 0) return;
        throw nameTaken("network", names.network, this.where);
      }
      throw /address pool/i.test(error.reason) ? poolExhausted(this.where, error) : error;
    }
  }

  async #removeUnwanted(found: Found, roles: ReadonlySet<string>): Promise<void> {
    const unwanted = found.containers.filter(({ labels }) => !roles.has(labels[LABEL.role] ?? ""));
    await Promise.all(unwanted.map(({ id }) => removeContainer(this.#engine, id)));
  }
}

function outcomeOf(changes: readonly Change[], made: boolean): Applied["outcome"] {
  const [backend = "unchanged", ...others] = changes;
  if (backend === "created") return made ? "created" : "recreated";
  if (backend !== "unchanged") return backend;
  return others.every((change) => change === "unchanged") ? "unchanged" : "started";
}

function poolExhausted(where: string, cause: EngineFault): ActionError {
  return new ActionError(
    "network-pool-exhausted",
    `The Docker engine on ${where} has no addresses left for one more network; by default some thirty fit.`,
    "Remove networks that nobody needs (docker network prune), lower max-previews, or give the engine more in default-address-pools of /etc/docker/daemon.json.",
    { cause },
  );
}
