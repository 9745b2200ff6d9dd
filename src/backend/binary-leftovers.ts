import type { Deps } from "../system/deps.ts";
import { endOwned } from "./binary-stop.ts";
import { jobIsAlive, type MarkedProcess, processTable } from "./process-table.ts";

/** A backend of ours whose job is gone, as a crashed runner leaves it on a machine that is kept. */
export interface Leftover {
  readonly owner: string;
  readonly pid: number;
  readonly directory?: string;
  /** For a message. */
  readonly what: string;
}

type Machine = Pick<Deps, "exec" | "platform" | "clock">;

/** Backends whose job has ended; what cannot be told is not among them. Windows shows none. */
export async function findLeftovers(deps: Machine): Promise<Leftover[]> {
  const byOwner = new Map<string, MarkedProcess>();
  for (const process of await processTable(deps).marked()) {
    const known = byOwner.get(process.owner);
    if (known === undefined || process.pid === process.group) byOwner.set(process.owner, process);
  }
  const leftovers: Leftover[] = [];
  for (const { owner, pid, job, directory } of byOwner.values()) {
    if (job === undefined || (await jobIsAlive(job, deps)) !== false) continue;
    const what = `backend process ${pid} of a job that has ended`;
    leftovers.push({ owner, pid, what, ...(directory === undefined ? {} : { directory }) });
  }
  return leftovers;
}

/** Ends a leftover and removes its directory (data that was kept elsewhere stays). */
export async function endLeftover(leftover: Leftover, deps: Machine): Promise<void> {
  await endOwned(leftover.owner, leftover.directory, deps);
}
