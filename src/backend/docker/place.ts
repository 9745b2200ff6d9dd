import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { ActionError } from "../../runner/errors.ts";
import { type ContainerInfo, inspectContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { isLoopback } from "./origins.ts";

/** Where this job runs, as seen from the engine. */
export type Place =
  /** Beside the engine: published ports are on our loopback. `network` is joined besides, for other containers' sake. */
  | { readonly kind: "host"; readonly network?: string; readonly own?: ContainerInfo }
  /** In a container (`container:`) on `network`: the backend is reached by a name there. */
  | { readonly kind: "network"; readonly network: string; readonly own?: ContainerInfo }
  /** The engine is on another machine. */
  | { readonly kind: "remote"; readonly host: string; readonly network?: string };

/**
 * Finds out where this job runs. `network` is the input; the job's own container tells the network as well.
 * @param root of the file system (for tests)
 * @throws ActionError `job-network`
 */
export async function findPlace(engine: Engine, network: string | undefined, root = ""): Promise<Place> {
  const joined = network === undefined ? {} : { network };
  if (engine.host !== undefined && !isLoopback(engine.host)) {
    // A job container and its engine may still meet on a network (Docker in Docker with TCP).
    const own = await ownContainer(engine, root);
    if (own === undefined) return { kind: "remote", host: engine.host, ...joined };
    return inContainer(own, network);
  }
  if (!isInContainer(root)) return { kind: "host", ...joined };
  const own = await ownContainer(engine, root);
  if (own !== undefined) return inContainer(own, network);
  // The engine does not know our container (a pod with an engine beside it): its loopback is ours, unless the job says otherwise.
  return network === undefined ? { kind: "host" } : { kind: "network", network };
}

function inContainer(own: ContainerInfo, network: string | undefined): Place {
  if (own.networkMode === "host") return { kind: "host", own, ...(network === undefined ? {} : { network }) };
  const networks = Object.keys(own.networks).filter((name) => name !== "bridge");
  const chosen = network !== undefined && networks.includes(network) ? network : networks[0];
  if (chosen !== undefined) return { kind: "network", network: chosen, own };
  throw new ActionError(
    "job-network",
    `This job runs in the container ${own.name}, which is on Docker's default network only; containers have no names there, so the backend could not be reached.`,
    "Start that container on a network of its own (docker network create; --network), or on the host's (--network host).",
  );
}

function isInContainer(root: string): boolean {
  return existsSync(`${root}/.dockerenv`) || existsSync(`${root}/run/.containerenv`);
}

/** Our own container: its id is the host name unless the job gave it another, then the engine's mounts tell it. */
async function ownContainer(engine: Engine, root: string): Promise<ContainerInfo | undefined> {
  if (!isInContainer(root)) return undefined;
  for (const id of [idFromMounts(root), hostname()]) {
    const found = id === undefined ? undefined : await inspectContainer(engine, id);
    if (found?.running) return found;
  }
  return undefined;
}

/** The engine mounts /etc/hostname and its like from `…/containers/<id>/` (proc(5), mountinfo). */
function idFromMounts(root: string): string | undefined {
  try {
    const mounts = readFileSync(`${root}/proc/self/mountinfo`, "utf8");
    return /\/containers\/([0-9a-f]{64})\/\S+ \/etc\/(?:hostname|hosts|resolv\.conf) /.exec(mounts)?.[1];
  } catch {
    return undefined;
  }
}
