import {
  type ContainerEntry,
  createContainer,
  removeContainer,
  startContainer,
  stopContainer,
} from "../../backend/docker/containers.ts";
import { type Engine, EngineFault } from "../../backend/docker/engine.ts";
import { LABEL } from "../../backend/docker/labels.ts";
import { connectNetwork } from "../../backend/docker/networks.ts";
import { isPortTaken } from "../../backend/docker/port-taken.ts";
import { ActionError } from "../../runner/errors.ts";
import { nameTaken } from "./names.ts";
import type { Wanted } from "./wanted.ts";

export type Change = "created" | "recreated" | "started" | "unchanged";

/** The database survives a kill; what is asked for here is only time for open requests. */
const PATIENCE_S = 5;

/**
 * Makes one container be as it should. Right after any interruption: what was created and never started may lack its
 * second network, so it is made anew; the data is in a volume.
 * @throws ActionError `preview-name-taken`, `preview-busy`, `proxy-network-missing`, `engine-refused`
 */
export async function reconcile(engine: Engine, wanted: Wanted, found: ContainerEntry | undefined): Promise<Change> {
  if (found !== undefined && found.labels[LABEL.settings] === wanted.settings) {
    if (found.running) return "unchanged";
    if (found.state === "exited" && (await startAgain(engine, found))) return "started";
  }
  if (found !== undefined) await replace(engine, found);
  await createAndStart(engine, wanted);
  return found === undefined ? "created" : "recreated";
}

/** False when it cannot be started any more (its network is gone), so that it is made anew. */
async function startAgain(engine: Engine, { id }: ContainerEntry): Promise<boolean> {
  try {
    await startContainer(engine, id);
    return true;
  } catch (error) {
    if (error instanceof EngineFault && !isPortTaken(error)) return false;
    throw error;
  }
}

async function replace(engine: Engine, { id, running }: ContainerEntry): Promise<void> {
  if (running) await stopContainer(engine, id, PATIENCE_S);
  await removeContainer(engine, id);
}

async function createAndStart(engine: Engine, { name, config, joins }: Wanted): Promise<void> {
  const id = await create(engine, name, config);
  try {
    if (joins !== undefined) await connectNetwork(engine, joins, id);
    await startContainer(engine, id);
  } catch (error) {
    // The name is needed for the next try.
    await removeContainer(engine, id).catch(() => undefined);
    throw error instanceof EngineFault && /network .*not found|No such network/i.test(error.reason)
      ? networkMissing(engine, error)
      : error;
  }
}

async function create(engine: Engine, name: string, config: Wanted["config"]): Promise<string> {
  try {
    return await createContainer(engine, name, config);
  } catch (error) {
    if (!(error instanceof EngineFault) || error.status !== 409) throw error;
    // It was not among ours a moment ago: somebody else's, or another job makes the same preview now.
    throw nameTaken("container", name, engine.where);
  }
}

function networkMissing(engine: Engine, cause: EngineFault): ActionError {
  return new ActionError(
    "proxy-network-missing",
    `A network of the preview is not there on ${engine.where}: ${cause.reason}.`,
    "Correct proxy-network: the Docker network that the proxy's container is on (docker network ls).",
    { cause },
  );
}
