import { asRecord } from "../deployment/json.ts";
import type { GitHub } from "./client.ts";
import { answerOf } from "./failure.ts";
import { isLimit } from "./limits.ts";

/** GitHub refuses longer descriptions. */
const LONGEST_DESCRIPTION = 140;

export type DeploymentState = "queued" | "in_progress" | "success" | "failure" | "inactive";

export interface DeploymentOf {
  /** The environment under which people see it. */
  readonly environment: string;
  /** Tells the deployments of one preview from all others of the environment. */
  readonly task: string;
}

export interface Status {
  readonly state: DeploymentState;
  readonly description?: string;
  /** Where the deployed thing is. */
  readonly url?: string;
  /** The run's page. */
  readonly logUrl?: string;
}

const need = (what: DeploymentOf) => ({
  failed: `The deployment in environment ${JSON.stringify(what.environment)} could not be shown`,
  permission: "deployments: write",
});

/** @returns the id by which its states are set */
export async function createDeployment(
  github: GitHub,
  what: DeploymentOf & { readonly commit: string; readonly description: string },
): Promise<number> {
  return await github.ask(need(what), async () => {
    const { data } = await github.rest.repos.createDeployment({
      ...github.place,
      ref: what.commit,
      task: what.task,
      environment: what.environment,
      description: what.description.slice(0, LONGEST_DESCRIPTION),
      // Neither merged with the base nor held up by checks, of which the job itself is one.
      auto_merge: false,
      required_contexts: [],
      transient_environment: true,
      production_environment: false,
    });
    const { id } = asRecord(data);
    if (typeof id !== "number")
      throw new Error(`it answered without a deployment: ${String(asRecord(data)["message"])}`);
    return id;
  });
}

/** Never `auto_inactive`: the success of one pull request would retire the deployments of all others. */
export async function setState(github: GitHub, what: DeploymentOf, id: number, status: Status): Promise<void> {
  await github.ask(need(what), async () => {
    await github.rest.repos.createDeploymentStatus({
      ...github.place,
      deployment_id: id,
      state: status.state,
      auto_inactive: false,
      ...(status.description === undefined ? {} : { description: status.description.slice(0, LONGEST_DESCRIPTION) }),
      ...(status.url === undefined ? {} : { environment_url: status.url }),
      ...(status.logUrl === undefined ? {} : { log_url: status.logUrl }),
    });
  });
}

/**
 * Makes the deployments of one preview inactive, all but `keep`. The newest come first, and the search ends at the first
 * that is inactive: those before it are made so from the oldest on, so that a run that ends early leaves no gap.
 * @returns how many were changed
 */
export async function retire(github: GitHub, what: DeploymentOf, keep?: number): Promise<number> {
  return await github.ask(need(what), async () => {
    const { rest, paginate, place } = github;
    const active: number[] = [];
    const filter = { environment: what.environment, task: what.task, per_page: 100 };
    search: for await (const { data } of paginate.iterator(rest.repos.listDeployments, { ...place, ...filter })) {
      for (const { id } of data) {
        if (id === keep) continue;
        if ((await stateOf(github, id)) === "inactive") break search;
        active.push(id);
      }
    }
    for (const id of active.reverse()) await setState(github, what, id, { state: "inactive" });
    return active.length;
  });
}

async function stateOf(github: GitHub, id: number): Promise<string | undefined> {
  const { data } = await github.rest.repos.listDeploymentStatuses({ ...github.place, deployment_id: id, per_page: 1 });
  return data[0]?.state;
}

/**
 * Removes an environment with everything in it. The job's own token never may: it takes the right to administer.
 * @returns `left` when the token may not
 */
export async function removeEnvironment(github: GitHub, environment: string): Promise<"removed" | "absent" | "left"> {
  const failed = `The environment ${JSON.stringify(environment)} could not be removed`;
  return await github.ask({ failed, permission: "administration: write" }, async () => {
    try {
      await github.rest.repos.deleteAnEnvironment({ ...github.place, environment_name: environment });
      return "removed";
    } catch (error) {
      const answer = answerOf(error);
      if (answer.status === 404) return "absent";
      if (answer.status === 403 && !isLimit(answer)) return "left";
      throw error;
    }
  });
}
