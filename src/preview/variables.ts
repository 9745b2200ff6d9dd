import type { AuthKeys } from "../credentials/auth-keys.ts";
import { type EnvPlan, planEnvironment } from "../deploy/env-plan.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { type Deployable, reportMissing } from "../start/deployable.ts";
import type { Deps } from "../system/deps.ts";
import type { PreviewInputs } from "./inputs.ts";

/** What `auth` makes for the preview's own sign-in: without them everybody would be signed out. */
const OWN = ["JWT_PRIVATE_KEY", "JWKS", "JWT_ISSUER"];

/** What became of a preview's variables before the push, and what has to go after it. */
export interface VariablesSet {
  readonly keys: AuthKeys | undefined;
  readonly plan: EnvPlan;
}

/**
 * Sets what differs, in one batch. What the workflow lists no more goes after the push (`removeVariables`): code that
 * still runs may read it, and the backend keeps what the live auth config reads (contract 4).
 * @throws ActionError `auth-variable-missing`, or what the backend has against a variable
 */
export async function setVariables(
  deployable: Deployable,
  inputs: Pick<PreviewInputs, "jwtPrivateKey" | "envKeep">,
  { client, siteOrigin }: { readonly client: DeploymentClient; readonly siteOrigin: string },
  deps: Deps,
): Promise<VariablesSet> {
  const present = await client.listVariables();
  const keys = await keysFor(deployable, inputs.jwtPrivateKey !== undefined, present, deps);
  const { values: wanted, leftOut } = deployable.variables(siteOrigin, keys);
  const plan = planEnvironment({ wanted, present, prune: true, keep: [...OWN, ...inputs.envKeep], leftOut });
  if (deployable.scan !== undefined) {
    reportMissing(deployable.scan, new Set([...wanted.keys(), ...plan.leave]), deps);
  }
  const set = [...plan.add, ...plan.change];
  if (set.length > 0) await client.updateVariables(set.map((name) => ({ name, value: wanted.get(name) ?? "" })));
  return { keys, plan };
}

/** A preview's variables are those that its workflow lists: what is not listed any more goes, and is named. */
export async function removeVariables(names: readonly string[], client: DeploymentClient, deps: Deps): Promise<void> {
  if (names.length === 0) return;
  await client.updateVariables(names.map((name) => ({ name, value: null })));
  deps.log.info(`Removed variables that the workflow does not list: ${names.join(", ")}.`);
}

/** Keys that the preview made for its sign-in stay: new ones would sign everybody out. */
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
