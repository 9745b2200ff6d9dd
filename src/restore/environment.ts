import { ActionError, messageOf } from "../runner/errors.ts";
import type { Backup } from "./backup.ts";
import type { Run } from "./run.ts";
import type { ChangedVariables } from "./state.ts";
import { describeSet } from "./variables.ts";

type Present = ReadonlyMap<string, string>;

/** Asked for, and not there: found before anything changes. */
export function checkEnvironment({ inputs }: Run, { manifest, settings }: Backup): void {
  if (!inputs.restoreEnv || settings?.variables !== undefined) return;
  throw new ActionError(
    "restore-env-missing",
    `restore-env is true, and backup ${manifest.id} does not hold the values of variables. Nothing was changed.`,
    "Leave restore-env out and set the variables by hand; for the next time back up with include-env: true.",
  );
}

/** Sets the backed-up variables in one request; others of the target stay. */
async function setVariables(run: Run, variables: Present, present: Present): Promise<void> {
  const names = [...variables.keys()].sort();
  const changed: ChangedVariables = {
    replaced: names.filter((name) => present.has(name) && present.get(name) !== variables.get(name)),
    added: names.filter((name) => !present.has(name)),
  };
  // Before it is asked for: who is killed behind it leaves a state that tells what to go back to.
  if (changed.replaced.length + changed.added.length > 0) run.keeper.set({ variables: changed });
  const changes = [...variables].map(([name, value]) => ({ name, value }));
  if (changes.length > 0) await run.client.updateVariables(changes);
  run.tell({ restoredVariables: names });
}

/** The former values are known here, and in no later step. */
async function takeBack(
  { client, keeper, tell, told }: Run,
  changed: ChangedVariables,
  present: Present,
): Promise<void> {
  await client.updateVariables([
    ...changed.replaced.map((name) => ({ name, value: present.get(name) ?? "" })),
    ...changed.added.map((name) => ({ name, value: null })),
  ]);
  keeper.set({ variables: undefined });
  tell({ restoredVariables: [], state: [...(told().state ?? []), "Its variables have their former values again."] });
}

/** Never throws. */
async function settleVariables(run: Run, present: Present): Promise<void> {
  const { keeper, tell, told, deps } = run;
  const { variables, stage, safetyBackup } = keeper.now;
  if (variables === undefined) return;
  if (stage === "untouched") {
    try {
      await takeBack(run, variables, present);
      return;
    } catch (failure) {
      deps.log.warning(`The variables could not be set back: ${messageOf(failure)}`);
    }
  }
  const text = describeSet(variables, safetyBackup);
  deps.log.warning(text);
  tell({ state: [...(told().state ?? []), text] });
}

/**
 * Sets the backed-up variables, where that is asked for, for the work that brings the data. Where the work fails and
 * brought none, they are set back; where that is not possible, or the data are there, it is said which were set, and
 * where their former values are.
 */
export async function withVariables(
  run: Run,
  backup: Backup,
  present: Present,
  work: () => Promise<void>,
): Promise<void> {
  const { inputs, timeline } = run;
  const variables = inputs.restoreEnv ? backup.settings?.variables : undefined;
  try {
    if (variables !== undefined) await timeline.phase("variables", () => setVariables(run, variables, present));
    await work();
  } catch (error) {
    await settleVariables(run, present);
    throw error;
  }
}
