import type { DeploymentClient } from "../deployment/client.ts";
import type { CallOptions } from "../deployment/connection.ts";
import { asRecord } from "../deployment/json.ts";

/** A function that waits for its time. An import does not touch it: it runs afterwards, on the restored data (contract 7.3). */
export interface Scheduled {
  /** `messages:send`, with the component in front where it is one: `widget/messages:send`. */
  readonly name: string;
  readonly dueAt: Date | undefined;
}

const PAGE = 500;
/** More are counted, and not listed. */
const MOST = 10_000;

/** The paths of the deployment's components with their ids; the root, which has none in arguments, is first. */
async function components(client: DeploymentClient, options: CallOptions): Promise<{ path: string; id?: string }[]> {
  const list = await client.systemQuery("_system/frontend/components:list", {}, options);
  const mounted = (Array.isArray(list) ? list : [])
    .map(asRecord)
    .filter((component) => component["path"] !== "" && component["state"] !== "unmounted");
  return [{ path: "" }, ...mounted.map(({ path, id }) => ({ path: String(path), id: String(id) }))];
}

/** Nanoseconds as a decimal string (contract 11: Int64 in `format: "json"`). */
function dateOf(nanoseconds: unknown): Date | undefined {
  return typeof nanoseconds === "string" && /^\d+$/.test(nanoseconds)
    ? new Date(Number(BigInt(nanoseconds) / 1_000_000n))
    : undefined;
}

/**
 * The functions that are scheduled and have not run, soonest first; undefined on a release that does not tell. The
 * query is the one that the dashboard shows them by.
 */
export async function listScheduled(
  client: DeploymentClient,
  options: CallOptions = {},
): Promise<readonly Scheduled[] | undefined> {
  const found: Scheduled[] = [];
  try {
    for (const { path, id } of await components(client, options)) {
      let cursor: unknown = null;
      for (let isDone = false; !isDone && found.length < MOST; ) {
        const args = { paginationOpts: { cursor, numItems: PAGE }, ...(id === undefined ? {} : { componentId: id }) };
        const page = asRecord(
          await client.systemQuery("_system/frontend/paginatedScheduledJobs:default", args, options),
        );
        const jobs = Array.isArray(page["page"]) ? page["page"].map(asRecord) : [];
        const prefix = path === "" ? "" : `${path}/`;
        for (const job of jobs) {
          const name = `${prefix}${String(job["udfPath"]).replace(".js:", ":")}`;
          found.push({ name, dueAt: dateOf(job["nextTs"]) });
        }
        cursor = page["continueCursor"];
        isDone = page["isDone"] !== false || jobs.length === 0;
      }
    }
  } catch {
    return undefined;
  }
  return found.sort((a, b) => (a.dueAt?.getTime() ?? 0) - (b.dueAt?.getTime() ?? 0));
}

const MOST_NAMES = 5;

/** One sentence for people; undefined where nothing is scheduled. */
export function describeScheduled(scheduled: readonly Scheduled[] | undefined, now: number): string | undefined {
  if (scheduled === undefined) {
    return "Whether functions are scheduled cannot be asked on this release; an import does not touch them, and they run on the restored data.";
  }
  const [first] = scheduled;
  if (first === undefined) return undefined;
  const counts = new Map<string, number>();
  for (const { name } of scheduled) counts.set(name, (counts.get(name) ?? 0) + 1);
  const names = [...counts].slice(0, MOST_NAMES).map(([name, count]) => (count === 1 ? name : `${name} (${count})`));
  const more = counts.size > MOST_NAMES ? ", …" : "";
  const due = scheduled.filter(({ dueAt }) => dueAt !== undefined && dueAt.getTime() <= now).length;
  const count = scheduled.length === 1 ? "1 scheduled function is" : `${scheduled.length} scheduled functions are`;
  return `${count} left from before the restore (${names.join(", ")}${more}), ${due} of them due: an import does not touch them, and they run on the restored data as soon as the deployment is resumed.`;
}
