import type { DeploymentClient } from "../deployment/client.ts";
import { PushError, push } from "../deployment/push.ts";
import { startRelay } from "../deployment/relay.ts";
import { ActionError } from "../runner/errors.ts";
import { seconds } from "../runner/summary.ts";
import type { Deps } from "../system/deps.ts";
import type { Pushed } from "./changes.ts";
import type { Live } from "./live.ts";
import type { Prepared } from "./prepare.ts";
import { rehearsed } from "./rehearsal.ts";
import { PushWatch } from "./watch.ts";

/**
 * Deploys with the project's CLI, looked at by a relay on the way. A dry run ends before anything is stored.
 * @throws PushError; ActionError `schema-vanished`, `index-deletion`, `deploy-timeout`
 */
export async function pushThrough(
  { inputs, project, scan, workspace, variables }: Prepared,
  client: DeploymentClient,
  live: Live,
  deps: Deps,
): Promise<Pushed> {
  const watch = new PushWatch({
    client,
    liveModules: live.modules,
    allowIndexDeletion: inputs.allowIndexDeletion,
    dryRun: inputs.dryRun,
    wanted: new Set(variables.values.keys()),
  });
  await using relay = await startRelay({
    target: client.url,
    answer: (call, forward) => watch.answer(call, forward),
  });
  try {
    const title = `convex deploy in ${inputs.workingDirectory}${inputs.dryRun ? " (dry run)" : ""}`;
    const result = await deps.log.group(title, () =>
      push(deps, {
        project,
        url: client.url,
        through: relay.url,
        adminKey: inputs.adminKey,
        typecheck: inputs.typecheck,
        codegen: inputs.codegen,
        showDocuments: inputs.showDocuments,
        repositoryRoot: workspace,
      }),
    );
    deps.log.info(`Pushed in ${seconds(result.ms)} with convex ${result.cliVersion}.`);
  } catch (error) {
    if (watch.stopped !== undefined) throw watch.stopped;
    if (error instanceof PushError && inputs.dryRun && watch.rehearsed !== undefined && isOurEnd(error)) {
      deps.log.info("The failed call above is how a dry run ends the CLI.");
      return await rehearsed({ watch, how: watch.rehearsed, scan, client, variables: variables.values }, deps);
    }
    if (relay.lastFault !== undefined) deps.log.info(`The last call did not reach ${client.url}: ${relay.lastFault}.`);
    throw error;
  }
  const told = watch.facts.modules !== undefined;
  const notes = told
    ? []
    : [
        `convex ${project.cli.version} pushes in the way of 1.27 and before: functions are not compared, deleted indexes are not looked for, and it is not checked whether another deploy overtook this one.`,
      ];
  return { facts: watch.facts, notes };
}

/** The relay's own answer ended the CLI; a type error or a refusal of the backend is another matter. */
function isOurEnd(error: PushError): boolean {
  return error.message.includes("Dry run: ends here");
}

/**
 * Compares what is served with what was pushed: with an equal schema the backend lets the last push win, also one with
 * older code (contract 5.2).
 * @throws ActionError deploy-overtaken
 */
export async function checkServed(client: DeploymentClient, pushed: ReadonlyMap<string, string>): Promise<void> {
  const served = await client.moduleHashes();
  const paths = new Set([...pushed.keys(), ...served.keys()]);
  const differing = [...paths].filter((path) => pushed.get(path) !== served.get(path)).sort();
  if (differing.length === 0) return;
  const own = differing.filter((path) => !path.startsWith("_deps/"));
  const named = (own.length > 0 ? own : differing).slice(0, 5).join(", ");
  throw new ActionError(
    "deploy-overtaken",
    `Another deploy finished after this one, and its code is what is served now: ${named}${own.length > 5 ? ", …" : ""} differ from what was pushed.`,
    "Run this deploy again if it is the newer one, and give deploys of one deployment a concurrency group in the workflow.",
  );
}
