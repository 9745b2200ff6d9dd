import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Deps } from "../../system/deps.ts";
import { jobProcess } from "../process-table.ts";
import type { Environment } from "./address.ts";

/** Everything that we make in an engine carries labels with this prefix; what lacks them is never touched. */
const PREFIX = "dev.convex-selfhost.action";

export const LABEL = {
  /** Unique a step; the state of the post step names it. */
  owner: `${PREFIX}.owner`,
  /** What it is for: `job` goes with the job, `preview` with its pull request. */
  kind: `${PREFIX}.kind`,
  instance: `${PREFIX}.instance`,
  repository: `${PREFIX}.repository`,
  run: `${PREFIX}.run`,
  attempt: `${PREFIX}.attempt`,
  job: `${PREFIX}.job`,
  step: `${PREFIX}.step`,
  runner: `${PREFIX}.runner`,
  created: `${PREFIX}.created`,
  /** Where pids mean what they mean to us. */
  machine: `${PREFIX}.machine`,
  /** The process that lives as long as the job, as `jobProcess` writes it. */
  process: `${PREFIX}.process`,
  /** A preview's name below its repository. */
  preview: `${PREFIX}.preview`,
  /** Pull request of a preview. */
  number: `${PREFIX}.number`,
  /** What a container of a preview is for: `backend`, `gateway`, `dashboard`. */
  role: `${PREFIX}.role`,
  /** Keyed hash of all settings of a container: equal means that nothing has to change. */
  settings: `${PREFIX}.settings`,
  /** The origins of a preview, and the ports that were chosen for it. */
  cloudOrigin: `${PREFIX}.cloud-origin`,
  siteOrigin: `${PREFIX}.site-origin`,
  ports: `${PREFIX}.ports`,
  /** Of a marker volume: the commit, how long it lives from the volume's time on, what was deployed, onto which data. */
  commit: `${PREFIX}.commit`,
  ttl: `${PREFIX}.ttl`,
  deployed: `${PREFIX}.deployed`,
  data: `${PREFIX}.data`,
} as const;

export type Labels = Readonly<Record<string, string>>;

/** Host name and, on Linux, the pid namespace: two runners in containers of one engine do not see each other's processes. */
export function machineName(): string {
  try {
    return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

/** The labels of a container or volume that goes with this job. */
export async function jobLabels(owner: string, instance: string, deps: Deps): Promise<Labels> {
  const process = await jobProcess(deps);
  return {
    [LABEL.owner]: owner,
    [LABEL.kind]: "job",
    [LABEL.instance]: instance,
    ...runLabels(deps.env),
    [LABEL.created]: new Date(deps.clock.now()).toISOString(),
    ...(process === undefined ? {} : { [LABEL.process]: process, [LABEL.machine]: machineName() }),
  };
}

function runLabels(env: Environment): Labels {
  const known = {
    [LABEL.repository]: env["GITHUB_REPOSITORY"],
    [LABEL.run]: env["GITHUB_RUN_ID"],
    [LABEL.attempt]: env["GITHUB_RUN_ATTEMPT"],
    [LABEL.job]: env["GITHUB_JOB"],
    [LABEL.step]: env["GITHUB_ACTION"],
    [LABEL.runner]: env["RUNNER_NAME"],
  };
  return Object.fromEntries(Object.entries(known).flatMap(([name, value]) => (value ? [[name, value]] : [])));
}

/** Whether these labels were written by a step of the very job that runs now (legs of a matrix are different jobs on different runners). */
export function isOfThisJob(labels: Labels, env: Environment): boolean {
  const ours = runLabels(env);
  return [LABEL.repository, LABEL.run, LABEL.attempt, LABEL.job, LABEL.runner].every(
    (name) => labels[name] !== undefined && labels[name] === ours[name],
  );
}
