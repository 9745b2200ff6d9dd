import { createHmac } from "node:crypto";
import type { DeploymentClient } from "../deployment/client.ts";
import { sendPush } from "../deployment/push-send.ts";
import type { Timeline } from "../runner/timeline.ts";
import { deployAndSeed } from "../start/deploy.ts";
import type { Deps } from "../system/deps.ts";
import { Comparison } from "./compare.ts";
import type { PreparedUp } from "./prepare.ts";
import type { UpReport } from "./report.ts";
import { setVariables, type VariablesSet } from "./variables.ts";

/** The running preview, as it is talked to. */
export interface Reached {
  readonly client: DeploymentClient;
  readonly adminKey: string;
  readonly origins: { readonly cloud: string; readonly site: string };
}

export interface Wish {
  /** Nothing that is deployed is different from what the last whole `up` deployed. */
  readonly unchanged: boolean;
  /** No `up` came to its end on this data yet. */
  readonly seed: boolean;
  /** Whether it is told what the push changes against what is there. */
  readonly compare?: boolean;
}

/** What a whole `up` deployed, as far as it could make a difference; equal means that nothing has to be pushed again. */
export function fingerprintOf({ plan, inputs, deployable, image, instanceSecret, pushFile }: PreparedUp): string {
  const cli = pushFile?.cliVersion ?? deployable.project?.cli.version ?? "";
  const facts = [plan.commit, image.reference, inputs.deploy, inputs.workingDirectory, cli, pushFile !== undefined];
  return createHmac("sha256", instanceSecret).update(JSON.stringify(facts)).digest("hex").slice(0, 32);
}

/**
 * Variables first, then the code, then, once in a preview's life, the seed.
 * @returns the variables that nothing lists any more; they go when all else is done and recorded
 */
export async function deployTo(
  prepared: PreparedUp,
  reached: Reached,
  wish: Wish,
  timeline: Timeline,
  tell: (facts: Partial<UpReport>) => void,
  deps: Deps,
): Promise<readonly string[]> {
  const { client, origins } = reached;
  const { keys, plan, read } = await timeline.phase("env", () =>
    setVariables(prepared.deployable, prepared.inputs, { client, siteOrigin: origins.site }, deps),
  );
  const names = [...plan.add, ...plan.change].sort();
  tell({ variables: names, ...(read === undefined ? {} : { variablesRead: read }) });
  if (wish.unchanged && names.length === 0) {
    deps.log.info(`Commit ${prepared.plan.commit.slice(0, 12)} is deployed already; nothing to push.`);
    tell({ deployed: "unchanged" });
  } else await pushTo(prepared, reached, { wish, keys, plan }, timeline, tell, deps);
  return plan.remove;
}

/** The code and, where it is wished for, the seed; tells what the push changed. */
async function pushTo(
  prepared: PreparedUp,
  { client, adminKey, origins }: Reached,
  { wish, keys, plan }: { readonly wish: Wish } & Pick<VariablesSet, "keys" | "plan">,
  timeline: Timeline,
  tell: (facts: Partial<UpReport>) => void,
  deps: Deps,
): Promise<void> {
  const { deployable, pushFile } = prepared;
  const pushes = pushFile !== undefined || deployable.project !== undefined;
  const comparison =
    wish.compare === true && pushes ? await timeline.phase("compare", () => Comparison.begin(client, deps)) : undefined;
  if (pushFile !== undefined) {
    const sent = await timeline.phase("deploy", () => sendPush(client, pushFile, { clock: deps.clock }));
    tell({ deployed: `a push recorded with convex ${pushFile.cliVersion}` });
    await comparison?.sent(sent);
  }
  const backend = { url: origins.cloud, siteUrl: origins.site, siteOrigin: origins.site };
  const content = wish.seed ? deployable : { ...deployable, imports: [], calls: [] };
  // Previews come and go by themselves; a deploy has its own limits.
  const { signal } = new AbortController();
  const rest = async (through?: string): Promise<void> =>
    await deployAndSeed(content, { backend }, { adminKey, client, keys, signal, through }, timeline, tell, deps);
  await (comparison === undefined || deployable.project === undefined ? rest() : comparison.watch(rest));
  // what the workflow does not list any more is gone only when the backend has let it go
  const changes = await comparison?.changes({ ...plan, remove: [] });
  if (changes !== undefined) tell({ changes });
}
