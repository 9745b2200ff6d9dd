import type { DeploymentClient } from "../deployment/client.ts";
import { seconds } from "../runner/summary.ts";
import type { Timeline } from "../runner/timeline.ts";
import { readBackendEnv } from "../start/prepare.ts";
import type { Deps } from "../system/deps.ts";
import { databaseOf, makeDatabase, removeDatabase } from "./database.ts";
import { deployTo, fingerprintOf } from "./deploy.ts";
import type { PreviewInputs } from "./inputs.ts";
import type { PreparedUp } from "./prepare.ts";
import { previewRemoved } from "./removed.ts";
import type { UpReport } from "./report.ts";
import type { PreviewRun } from "./run.ts";
import type { Applied, PreviewSpec, Target } from "./target.ts";
import { removeVariables } from "./variables.ts";
import { waitInPublic } from "./wait.ts";

export interface UpRun {
  readonly prepared: PreparedUp;
  readonly target: Target;
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<UpReport>) => void;
  /** Called once it is reached and before anything is pushed, so that outputs are there for `if: failure()` steps too. */
  readonly reached: (facts: { readonly applied: Applied; readonly adminKey: string }) => void;
  /** Called when no `up` came to its end on it yet, and it can be seen by others; goes beside the rest. Never fails. */
  readonly made: () => Promise<void>;
  readonly deps: Deps;
}

export function specOf(prepared: PreparedUp): PreviewSpec {
  const { plan, inputs, repository, instanceName, instanceSecret, backendEnv, database } = prepared;
  return {
    name: plan.name,
    repository,
    instanceName,
    instanceSecret,
    backendEnv,
    isolated: plan.fork,
    ...(database === undefined ? {} : { postgresUrl: database.url }),
    ...(plan.number === undefined ? {} : { number: plan.number }),
    ...(plan.origins === undefined ? {} : { origins: plan.origins }),
    ...(inputs.dashboard && plan.origins !== undefined ? { dashboardOrigin: dashboardOrigin(plan.origins.cloud) } : {}),
    ...(inputs.memory === undefined ? {} : { memory: inputs.memory }),
    ...(inputs.cpus === undefined ? {} : { cpus: inputs.cpus }),
  };
}

/** Below the same wildcard name as the API. */
function dashboardOrigin(cloud: string): string {
  return cloud.replace(/^(https?:\/\/[^.]+)/, "$1-dashboard");
}

/**
 * Makes the preview be there with this commit's code. Every step may be repeated: whatever was interrupted, the next
 * `up` carries on, and only a whole one is confirmed.
 */
export async function up(run: UpRun): Promise<void> {
  const { prepared, target, timeline, tell, deps } = run;
  const { plan, inputs, database, backendEnv } = prepared;
  if (database !== undefined) await timeline.phase("database", () => makeDatabase(database, backendEnv, deps));
  const applied = await timeline.phase("apply", () => target.apply(specOf(prepared)));
  const { origins, outcome, before, dashboardUrl } = applied;
  tell({
    outcome,
    url: origins.cloud,
    siteUrl: origins.site,
    ...(dashboardUrl === undefined ? {} : { dashboardUrl }),
  });
  deps.log.info(`Preview ${plan.name} on ${target.where}: ${SAID[outcome]}.`);
  const made = before?.lastUp === undefined ? run.made() : undefined;
  try {
    await fill(run, applied);
  } catch (error) {
    throw (await isGone(run)) ? previewRemoved(plan.name, target.where, error) : error;
  } finally {
    await made;
  }
  if (inputs.ttlMs !== undefined) tell({ expires: new Date(deps.clock.now() + inputs.ttlMs) });
}

/** Another job took it away, which shows as whatever it breaks. */
async function isGone({ prepared, target, deps }: UpRun): Promise<boolean> {
  try {
    return (await target.find(prepared.plan.name)) === undefined;
  } catch (error) {
    deps.log.debug(String(error));
    return false;
  }
}

/** Waits until it answers, puts this commit's code there, and confirms that. */
async function fill(run: UpRun, applied: Applied): Promise<void> {
  const { prepared, target, timeline, tell, deps } = run;
  const { plan, inputs, instanceName } = prepared;
  const { origins, outcome, before } = applied;
  const { client, adminKey } = await timeline.phase("ready", () =>
    waitInPublic(
      target,
      { name: plan.name, instanceName, origins, timeoutMs: inputs.readyTimeoutMs, key: prepared.key },
      deps,
    ),
  );
  const readyMs = deps.clock.now() - timeline.start;
  tell({ readyMs });
  deps.log.info(`It answers at ${origins.cloud} after ${seconds(readyMs)}.`);
  run.reached({ applied, adminKey });
  const deployed = fingerprintOf(prepared);
  const unchanged = before?.deployed === deployed && (outcome === "unchanged" || outcome === "started");
  const former = before?.commit === plan.commit ? undefined : before?.commit;
  if (former !== undefined) tell({ after: former });
  const wish = { unchanged, seed: before?.lastUp === undefined, compare: former !== undefined };
  const advice = fresh(outcome) ? target.selfCheck(plan.name, { instanceName, origins }) : Promise.resolve([]);
  advice.catch(() => undefined);
  const unlisted = await deployTo(prepared, { client, adminKey, origins }, wish, timeline, tell, deps);
  const { ttlMs } = inputs;
  const facts = { commit: plan.commit, deployed, ...(ttlMs === undefined ? {} : { ttlMs }) };
  await Promise.all([timeline.phase("confirm", () => target.confirm(plan.name, facts)), tellAdvice(advice, deps)]);
  if (unlisted.length > 0) await prune(run, unlisted, client);
}

/** Comes after the confirmation: whatever becomes of it, this commit need not be pushed again. */
async function prune(
  { timeline, tell, deps }: UpRun,
  names: readonly string[],
  client: DeploymentClient,
): Promise<void> {
  const { removed, refused } = await timeline.phase("prune", () => removeVariables(names, client, deps));
  if (removed.length > 0) tell({ variablesRemoved: removed });
  if (refused.length > 0) tell({ variablesRefused: refused });
}

const fresh = (outcome: Applied["outcome"]): boolean => outcome === "created" || outcome === "recreated";

/** What is only told must not fail the step. */
async function tellAdvice(advice: Promise<readonly string[]>, deps: Deps): Promise<void> {
  try {
    for (const what of await advice) {
      deps.log.warning(`${what} The preview host must reach its own public address, and trust its certificate.`);
    }
  } catch (error) {
    deps.log.debug(String(error));
  }
}

const SAID: Readonly<Record<Applied["outcome"], string>> = {
  created: "created",
  recreated: "made anew with other settings, its data kept",
  started: "started again",
  unchanged: "runs already as wanted",
};

/**
 * Removes one preview and its database; returns what was removed, in the place's own words. What somebody else has
 * under the same name stays.
 * @param preview with the pull request that it goes for; without, whosever it is
 */
export async function down(
  { name, number }: { readonly name: string; readonly number?: number },
  target: Target,
  run: PreviewRun,
): Promise<readonly string[]> {
  const { inputs, repository, timeline, deps } = run;
  const found = number === undefined ? undefined : await target.find(name);
  if (found !== undefined && found.number !== number) {
    const whose = found.number === undefined ? "a branch" : `pull request ${found.number}`;
    deps.log.notice(`Preview ${name} on ${target.where} is that of ${whose}, and stays.`);
    return [];
  }
  const removed = await timeline.phase("remove", async () => [
    ...(await target.remove(name)),
    ...(await dropOf(name, inputs, repository, deps)),
  ]);
  if (removed.length === 0) deps.log.info(`Preview ${name} is not on ${target.where}; nothing to remove.`);
  else deps.log.info(`Removed preview ${name} from ${target.where}: ${removed.join(", ")}.`);
  return removed;
}

async function dropOf(
  name: string,
  { postgresUrl, backendEnv }: PreviewInputs,
  repository: string,
  deps: Deps,
): Promise<readonly string[]> {
  if (postgresUrl === undefined) return [];
  const env = readBackendEnv(backendEnv);
  return await removeDatabase(databaseOf(postgresUrl, { repository, name }, env, deps), env);
}
