import { createHmac } from "node:crypto";
import type { AuthKeys } from "../credentials/auth-keys.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { sendPush } from "../deployment/push-send.ts";
import type { Timeline } from "../runner/timeline.ts";
import { deployAndSeed } from "../start/deploy.ts";
import { type Deployable, reportMissing } from "../start/deployable.ts";
import type { Deps } from "../system/deps.ts";
import { Comparison } from "./compare.ts";
import type { PreparedUp } from "./prepare.ts";
import type { UpReport } from "./report.ts";

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

/** Variables first, then the code, then, once in a preview's life, the seed. */
export async function deployTo(
  prepared: PreparedUp,
  reached: Reached,
  wish: Wish,
  timeline: Timeline,
  tell: (facts: Partial<UpReport>) => void,
  deps: Deps,
): Promise<void> {
  const { deployable } = prepared;
  const { client, adminKey, origins } = reached;
  const { keys, added, changed } = await timeline.phase("env", () => setVariables(deployable, prepared, reached, deps));
  const names = [...added, ...changed].sort();
  tell({ variables: names });
  if (wish.unchanged && names.length === 0) {
    deps.log.info(`Commit ${prepared.plan.commit.slice(0, 12)} is deployed already; nothing to push.`);
    tell({ deployed: "unchanged" });
    return;
  }
  const { pushFile } = prepared;
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
  const changes = await comparison?.changes({ added, changed });
  if (changes !== undefined) tell({ changes });
}

/**
 * Sets what differs, in one batch. Keys that the preview made for its sign-in stay: new ones would sign everybody out.
 * @returns the names of those that were set, sorted
 */
async function setVariables(
  deployable: Deployable,
  { inputs }: PreparedUp,
  { client, origins }: Reached,
  deps: Deps,
): Promise<{
  readonly keys: AuthKeys | undefined;
  readonly added: readonly string[];
  readonly changed: readonly string[];
}> {
  const present = await client.listVariables();
  const keys = await keysFor(deployable, inputs.jwtPrivateKey !== undefined, present, deps);
  const { values } = deployable.variables(origins.site, keys);
  if (deployable.scan !== undefined) {
    reportMissing(deployable.scan, new Set([...present.keys(), ...values.keys()]), deps);
  }
  const differing = [...values].filter(([name, value]) => present.get(name) !== value);
  if (differing.length > 0) await client.updateVariables(differing.map(([name, value]) => ({ name, value })));
  const names = differing.map(([name]) => name).sort();
  const added = names.filter((name) => !present.has(name));
  return { keys, added, changed: names.filter((name) => present.has(name)) };
}

async function keysFor(
  { authKeys }: Deployable,
  given: boolean,
  present: ReadonlyMap<string, string>,
  deps: Deps,
): Promise<AuthKeys | undefined> {
  if (authKeys === undefined) return undefined;
  const [jwtPrivateKey, jwks] = [present.get("JWT_PRIVATE_KEY"), present.get("JWKS")];
  if (given || jwtPrivateKey === undefined || jwks === undefined) return await authKeys;
  deps.log.mask(jwtPrivateKey);
  return { jwtPrivateKey, jwks };
}
