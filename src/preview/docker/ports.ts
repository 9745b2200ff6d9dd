import type { ContainerEntry } from "../../backend/docker/containers.ts";
import { LABEL } from "../../backend/docker/labels.ts";
import { isPortTaken } from "../../backend/docker/port-taken.ts";
import type { VolumeEntry } from "../../backend/docker/volumes.ts";
import type { Ports } from "./wanted.ts";

/** Which ports are free on another machine only its engine knows: it is tried. */
const TRIES = 12;
/** Below what kernels give to outgoing connections, above what programs usually listen on. */
const [LOWEST, HIGHEST] = [20_000, 31_999] as const;

/** The ports that this preview had before, so that its address stays, then others at random. */
export function* choosePorts(...before: readonly (ContainerEntry | VolumeEntry | undefined)[]): Generator<Ports> {
  for (const one of before) {
    const [port, site, dashboard] = (one?.labels[LABEL.ports] ?? "").split(",").map(Number);
    if (port && site && dashboard) yield [port, site, dashboard];
  }
  for (;;) {
    const first = LOWEST + 3 * Math.floor((Math.random() * (HIGHEST - LOWEST)) / 3);
    yield [first, first + 1, first + 2];
  }
}

/** Does `work` with the first ports, and again with the next ones where the engine finds one of them taken. */
export async function withFreePorts<T>(candidates: Generator<Ports>, work: (ports: Ports) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const next = candidates.next();
    if (next.done === true) throw new Error("no more ports");
    try {
      return await work(next.value);
    } catch (error) {
      if (!isPortTaken(error) || attempt === TRIES) throw error;
    }
  }
}
