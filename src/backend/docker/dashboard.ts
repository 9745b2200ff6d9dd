import type { Deps } from "../../system/deps.ts";
import { freePorts } from "../../system/ports.ts";
import type { BackendState, SaveState } from "../backend.ts";
import { createContainer, removeContainer, startContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { Image } from "./image.ts";
import { jobLabels } from "./labels.ts";
import { isPortTaken } from "./port-taken.ts";

/** The port that the dashboard's image listens on. */
const INNER_PORT = 6791;
const PORT_TRIES = 5;

export interface DashboardOptions {
  /** By digest (the caller sees to it). */
  readonly image: Image;
  /** Where the browser finds the backend. */
  readonly cloudOrigin: string;
  /** As it was saved last; the dashboard is added to it. */
  readonly state: Extract<BackendState, { runtime: "docker" }>;
}

/** Starts a dashboard beside the backend, on a free port of the loopback. It goes with the backend. */
export async function startDashboard(
  engine: Engine,
  options: DashboardOptions,
  save: SaveState,
  deps: Deps,
): Promise<{ readonly url: string; readonly containerId: string }> {
  const { image, cloudOrigin, state } = options;
  const name = `${state.container}-dashboard`;
  save({ ...state, others: [...state.others, name] });
  const labels = await jobLabels(state.owner, "dashboard", deps);
  for (let attempt = 1; ; attempt++) {
    const [port = 0] = await freePorts(1);
    const id = await createContainer(engine, name, {
      Image: image.reference,
      Env: [`NEXT_PUBLIC_DEPLOYMENT_URL=${cloudOrigin}`],
      Labels: labels,
      ExposedPorts: { [`${INNER_PORT}/tcp`]: {} },
      HostConfig: { PortBindings: { [`${INNER_PORT}/tcp`]: [{ HostIp: "127.0.0.1", HostPort: String(port) }] } },
    });
    try {
      await startContainer(engine, id);
      return { url: `http://127.0.0.1:${port}`, containerId: id };
    } catch (error) {
      await removeContainer(engine, id).catch(() => undefined);
      if (!isPortTaken(error) || attempt === PORT_TRIES) throw error;
    }
  }
}
