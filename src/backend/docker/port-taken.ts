import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { whoHolds } from "../../system/ports.ts";
import { type ContainerEntry, listContainers } from "./containers.ts";
import { type Engine, EngineFault } from "./engine.ts";
import { isOfThisJob, LABEL } from "./labels.ts";

/** The engine's words for it since 20.10, with its own proxy and without, and Docker Desktop's. */
const TAKEN = /port is already allocated|address already in use|failed to bind host port|ports are not available/i;

/** Whether a start failed because a port was taken. */
export function isPortTaken(error: unknown): error is EngineFault {
  return error instanceof EngineFault && TAKEN.test(error.reason);
}

/** Which of the wanted ports it was; the first where the engine does not say. */
export function takenPort(fault: EngineFault, ports: readonly number[]): number {
  return ports.find((port) => new RegExp(`:${port}\\b`).test(fault.reason)) ?? ports[0] ?? 0;
}

/** The error that names who holds the port. */
export async function portTaken(
  engine: Engine,
  fault: EngineFault,
  taken: { readonly bind: string; readonly port: number; readonly input: "port" | "site-port" },
  deps: Deps,
): Promise<ActionError> {
  const container = await containerOn(engine, taken.port);
  const where = `Port ${taken.port} on ${taken.bind} is in use`;
  if (container !== undefined && isOfThisJob(container.labels, deps.env)) {
    return new ActionError(
      "port-taken",
      `${where} by another backend of this job: ${stepOf(container)}.`,
      "Give this one other ports (port and site-port; 0 takes any free one) and another instance-name.",
      { cause: fault },
    );
  }
  const holder = container === undefined ? await whoHolds(taken.port, deps) : describe(container);
  return new ActionError(
    "port-taken",
    `${where}${holder === undefined ? "" : ` by ${holder}`}.`,
    `Free it, or set ${taken.input}: 0 to let the backend take any free port.`,
    { cause: fault },
  );
}

async function containerOn(engine: Engine, port: number): Promise<ContainerEntry | undefined> {
  const containers = await listContainers(engine, { publish: [String(port)] });
  return containers.find(({ running, publicPorts }) => running && publicPorts.includes(port));
}

/** Steps without an id of their own are called `__owner_action` by the runner, which tells a person nothing. */
function stepOf(container: ContainerEntry): string {
  const step = container.labels[LABEL.step];
  return step === undefined || step.startsWith("__")
    ? `an earlier step (container ${container.name})`
    : `step "${step}" (container ${container.name})`;
}

function describe(container: ContainerEntry): string {
  const { [LABEL.repository]: repository, [LABEL.job]: job, [LABEL.run]: run } = container.labels;
  if (container.labels[LABEL.owner] === undefined) return `container "${container.name}" (${container.image})`;
  return `the backend of another job, ${job ?? "?"} of ${repository ?? "?"} run ${run ?? "?"} (container ${container.name})`;
}
