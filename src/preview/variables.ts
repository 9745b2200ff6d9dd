import type { AuthKeys } from "../credentials/auth-keys.ts";
import { type EnvPlan, planEnvironment } from "../deploy/env-plan.ts";
import { BackendError } from "../deployment/backend-error.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { type CodeScan, listed } from "../deployment/env-reads.ts";
import { ActionError } from "../runner/errors.ts";
import { type Deployable, reportMissing } from "../start/deployable.ts";
import type { Deps } from "../system/deps.ts";
import type { PreviewInputs } from "./inputs.ts";

/** What `auth` makes for the preview's own sign-in: without them everybody would be signed out. */
const OWN = ["JWT_PRIVATE_KEY", "JWKS", "JWT_ISSUER"];
/** What to do about variables that stay. */
export const KEEP_THEM = "list them in env, env-file or env-names, or name them in env-keep";

/** What became of a preview's variables before the push, and what has to go after it. */
export interface VariablesSet {
  readonly keys: AuthKeys | undefined;
  readonly plan: EnvPlan;
  /** What nothing lists and the code reads all the same, with its places. */
  readonly read?: string;
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
  const wish = { wanted, present, prune: true, keep: [...OWN, ...inputs.envKeep], leftOut };
  const { plan, read } = keepRead(planEnvironment(wish), deployable.scan);
  if (read !== undefined) {
    deps.log.notice(`The workflow does not list ${read}, but the code reads them, so they stay: ${KEEP_THEM}.`);
  }
  if (deployable.scan !== undefined) {
    reportMissing(deployable.scan, new Set([...wanted.keys(), ...plan.leave]), deps);
  }
  const set = [...plan.add, ...plan.change];
  if (set.length > 0) await client.updateVariables(set.map((name) => ({ name, value: wanted.get(name) ?? "" })));
  return { keys, plan, ...(read === undefined ? {} : { read }) };
}

/** What the code reads was set by hand or forgotten in the workflow: without it the preview would break, or refuse to let go. */
function keepRead(plan: EnvPlan, scan: CodeScan | undefined): { readonly plan: EnvPlan; readonly read?: string } {
  if (scan === undefined) return { plan };
  const reads = [...scan.reads, ...scan.authReads, ...scan.required].filter(({ name }) => plan.remove.includes(name));
  if (reads.length === 0) return { plan };
  const names = new Set(reads.map(({ name }) => name));
  return {
    plan: {
      ...plan,
      remove: plan.remove.filter((name) => !names.has(name)),
      leave: [...plan.leave, ...names].sort(),
    },
    read: listed(reads),
  };
}

export interface Removal {
  readonly removed: readonly string[];
  /** Still there; each was warned of. */
  readonly refused: readonly string[];
}

/**
 * A preview's variables are those that its workflow lists: what is not listed any more goes, and is named. The preview
 * is up by now, so what cannot be removed is a warning, and the next `up` tries again.
 */
export async function removeVariables(
  names: readonly string[],
  client: DeploymentClient,
  deps: Deps,
): Promise<Removal> {
  const [removed, refused]: [string[], string[]] = [[], []];
  const remove = async (some: readonly string[]): Promise<void> => {
    const error = await refusalOf(some, client);
    if (error === undefined) removed.push(...some);
    // One transaction: one that the backend keeps would keep all others.
    else if (some.length > 1 && isJudged(error)) for (const name of some) await remove([name]);
    else {
      refused.push(...some);
      const why = error.message.split("\n")[0];
      deps.log.warning(
        `[${error.code}] The workflow does not list ${some.join(", ")}, which could not be removed: ${why} → Where they are needed, ${KEEP_THEM}.`,
      );
    }
  };
  await remove(names);
  if (removed.length > 0) {
    deps.log.info(`Removed variables that the workflow does not list: ${removed.join(", ")}.`);
  }
  return { removed, refused };
}

async function refusalOf(names: readonly string[], client: DeploymentClient): Promise<ActionError | undefined> {
  try {
    await client.updateVariables(names.map((name) => ({ name, value: null })));
    return undefined;
  } catch (error) {
    if (!(error instanceof ActionError)) throw error;
    return error;
  }
}

/** The backend had something against these variables; it was not merely out of reach. */
function isJudged(error: ActionError): boolean {
  return !(error instanceof BackendError) || error.status === 400;
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
