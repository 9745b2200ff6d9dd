import type { Deps } from "../../system/deps.ts";
import { freePorts } from "../../system/ports.ts";
import type { BackendSpec, RunningBackend, SaveState } from "../backend.ts";
import { checkAlias } from "./alias.ts";
import { backendConfig, hostConfig } from "./config.ts";
import { createContainer, removeContainer, startContainer as startCreated } from "./containers.ts";
import { dataMount, type Mount } from "./data.ts";
import type { Engine } from "./engine.ts";
import type { Fields } from "./fields.ts";
import type { Image } from "./image.ts";
import { jobLabels, type Labels } from "./labels.ts";
import { API_PORT, networkOrigins, type Origins, publishedOrigins, SITE_PORT } from "./origins.ts";
import { findPlace, type Place } from "./place.ts";
import { isPortTaken, portTaken, takenPort } from "./port-taken.ts";
import { reachableHost } from "./publish.ts";
import { watch } from "./watch.ts";

/** Tries with other ports when those chosen for `port: 0` were taken in between. */
const PORT_TRIES = 5;

export interface ContainerOptions {
  readonly image: Image;
  /** Unique a step; the container's name and the value of its owner label. */
  readonly owner: string;
  /** Input `network`. */
  readonly network?: string;
}

interface Plan {
  readonly spec: BackendSpec;
  readonly options: ContainerOptions;
  readonly place: Place;
  readonly labels: Labels;
}

/**
 * Creates and starts the backend's container. `save` is called before anything is created.
 * @returns once it is started, ready or not
 * @throws ActionError `port-taken`, `origin-port-crossed`, `job-network`, `alias-taken`, `bind-unreachable`, `data-directory`, `data-not-shared`, `engine-refused`, `engine-lost`
 */
export async function startContainer(
  engine: Engine,
  spec: BackendSpec,
  options: ContainerOptions,
  save: SaveState,
  deps: Deps,
): Promise<RunningBackend> {
  const [place, labels] = await Promise.all([
    findPlace(engine, options.network),
    jobLabels(options.owner, spec.instanceName, deps),
  ]);
  const plan = { spec, options, place, labels };
  const mounts = spec.data === undefined ? [] : [dataMount(spec.data, place, deps)];
  save({
    runtime: "docker",
    engine: engine.address,
    container: options.owner,
    owner: options.owner,
    keepsData: spec.data !== undefined,
    others: [],
  });
  const { id, origins } =
    place.kind === "network"
      ? await startOnNetwork(engine, plan, place.network, mounts)
      : await startPublished(engine, plan, mounts, deps);
  const { image } = options;
  return {
    ...origins,
    containerId: id,
    ...(image.digest === undefined ? {} : { imageDigest: image.digest }),
    ...(image.revision === undefined ? {} : { revision: image.revision }),
    ...watch(engine, id, deps),
  };
}

async function startOnNetwork(
  engine: Engine,
  plan: Plan,
  network: string,
  mounts: readonly Mount[],
): Promise<{ id: string; origins: Origins }> {
  const { spec } = plan;
  await checkAlias(engine, network, spec.instanceName);
  const origins = networkOrigins(spec, spec.instanceName);
  const id = await createContainer(engine, plan.options.owner, {
    ...backendConfig(plan.spec, origins, plan.options.image, plan.labels),
    HostConfig: { ...hostConfig(mounts), NetworkMode: network },
    NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [spec.instanceName] } } },
  });
  await startOrRemove(engine, id);
  return { id, origins };
}

async function startPublished(
  engine: Engine,
  plan: Plan,
  mounts: readonly Mount[],
  deps: Deps,
): Promise<{ id: string; origins: Origins }> {
  const { spec } = plan;
  for (let attempt = 1; ; attempt++) {
    const ports = await choosePorts(spec);
    try {
      return await publish(engine, plan, mounts, ports);
    } catch (error) {
      if (!isPortTaken(error)) throw error;
      const port = takenPort(error, ports);
      const input = port === ports[0] ? "port" : "site-port";
      const ours = (input === "port" ? spec.port : spec.sitePort) === 0;
      if (!ours || attempt === PORT_TRIES) throw await portTaken(engine, error, { bind: spec.bind, port, input }, deps);
      deps.log.debug(`Port ${port} was taken in between; trying others.`);
    }
  }
}

async function publish(
  engine: Engine,
  plan: Plan,
  mounts: readonly Mount[],
  [port, sitePort]: Ports,
): Promise<{ id: string; origins: Origins }> {
  const { spec, options, place } = plan;
  const origins = publishedOrigins(spec, reachableHost(spec.bind, place), port, sitePort);
  const bindings = (outer: number): Fields[] => [{ HostIp: spec.bind, HostPort: String(outer) }];
  const network = place.kind === "network" ? undefined : place.network;
  const id = await createContainer(engine, options.owner, {
    ...backendConfig(plan.spec, origins, plan.options.image, plan.labels),
    HostConfig: {
      ...hostConfig(mounts),
      ...(network === undefined ? {} : { NetworkMode: network }),
      PortBindings: { [`${API_PORT}/tcp`]: bindings(port), [`${SITE_PORT}/tcp`]: bindings(sitePort) },
    },
  });
  await startOrRemove(engine, id);
  return { id, origins };
}

/** What could not be started is removed at once: the name is needed for the next try. */
async function startOrRemove(engine: Engine, id: string): Promise<void> {
  try {
    await startCreated(engine, id);
  } catch (error) {
    await removeContainer(engine, id).catch(() => undefined);
    throw error;
  }
}

type Ports = readonly [port: number, sitePort: number];

async function choosePorts(spec: BackendSpec): Promise<Ports> {
  const [first = 0, second = 0] = spec.port === 0 || spec.sitePort === 0 ? await freePorts(2, spec.bind) : [];
  return [spec.port || first, spec.sitePort || second];
}
