import type { Deps } from "../../system/deps.ts";
import type { TeardownStep } from "../backend.ts";
import { jobIsAlive } from "../process-table.ts";
import type { Environment } from "./address.ts";
import { type ContainerEntry, listContainers } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { LABEL, type Labels, machineName } from "./labels.ts";
import { endContainer } from "./teardown.ts";

/** A container of ours whose job is over. */
export interface Leftover {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  /** For people: `container convex-… of acme/app, job test, run 42`. */
  readonly what: string;
}

/** GitHub ends every job after five days at the latest. */
const LONGEST_JOB_MS = 5 * 24 * 60 * 60 * 1000;

/** Containers that an earlier job left behind: its runner was killed before the post step. Only those whose job is surely over. */
export async function findLeftovers(engine: Engine, deps: Deps): Promise<Leftover[]> {
  const ours = await listContainers(engine, { label: [`${LABEL.kind}=job`] });
  const over = await Promise.all(ours.map(({ labels }) => isOver(labels, deps)));
  return ours.filter((_, index) => over[index]).map(leftover);
}

/** Removes them; each is tried whatever became of the others. */
export async function reclaim(engine: Engine, leftovers: readonly Leftover[], deps: Deps): Promise<TeardownStep[]> {
  return await Promise.all(
    leftovers.map(async ({ id, owner, what }) => {
      try {
        await endContainer(engine, id, owner, 1_000, deps);
        return { what: `remove the ${what}` };
      } catch (error) {
        return { what: `remove the ${what}`, error };
      }
    }),
  );
}

async function isOver(labels: Labels, deps: Deps): Promise<boolean> {
  if (isEarlierAttempt(labels, deps.env)) return true;
  const process = labels[LABEL.process];
  if (process !== undefined && labels[LABEL.machine] === machineName()) {
    const alive = await jobIsAlive(process, deps);
    if (alive !== undefined) return !alive;
  }
  const created = Date.parse(labels[LABEL.created] ?? "");
  return deps.clock.now() - created > LONGEST_JOB_MS;
}

/** A run can only be attempted again when it is over. */
function isEarlierAttempt(labels: Labels, env: Environment): boolean {
  return (
    labels[LABEL.repository] !== undefined &&
    labels[LABEL.repository] === env["GITHUB_REPOSITORY"] &&
    labels[LABEL.run] === env["GITHUB_RUN_ID"] &&
    Number(labels[LABEL.attempt]) < Number(env["GITHUB_RUN_ATTEMPT"])
  );
}

function leftover({ id, name, labels }: ContainerEntry): Leftover {
  const { [LABEL.repository]: repository, [LABEL.job]: job, [LABEL.run]: run } = labels;
  const from = [repository && `of ${repository}`, job && `job ${job}`, run && `run ${run}`].filter(Boolean).join(", ");
  return { id, name, owner: labels[LABEL.owner] ?? "", what: `container ${name}${from === "" ? "" : ` ${from}`}` };
}
