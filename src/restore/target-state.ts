import { messageOf } from "../runner/errors.ts";
import { isPaused, pauseTarget, resumeTarget, setBack } from "./pause.ts";
import { note, type Run } from "./run.ts";
import { describeScheduled, listScheduled } from "./scheduled.ts";

/**
 * Stops the target for as long as `work` takes: what functions write during an import is lost, and what they write
 * before it is verified would be a difference (contract 7.3). Whatever becomes of the work, it is set back.
 */
export async function whilePaused<T>(run: Run, work: (was: "running" | "paused") => Promise<T>): Promise<T> {
  const { client, keeper, timeline, deps } = run;
  const was = (await isPaused(client)) ? "paused" : "running";
  // Before the pause: who is killed behind it leaves a state that tells what to go back to.
  keeper.set({ was });
  await timeline.phase("pause", async () => {
    if (was === "running") await pauseTarget(client, deps);
  });
  const scheduled = await listScheduled(client);
  const told = describeScheduled(scheduled, deps.clock.now());
  if (told !== undefined) note(run, told);
  let result: T;
  try {
    result = await work(was);
  } catch (error) {
    await goBack(run, was).catch((failure: unknown) =>
      deps.log.warning(`The deployment could not be set back, the post step tries again: ${messageOf(failure)}`),
    );
    throw error;
  }
  await goBack(run, was);
  return result;
}

/** After an import whose end is not known the target stays paused: the post step waits for that end. */
async function goBack({ client, keeper, tell, told, deps }: Run, was: "running" | "paused"): Promise<void> {
  if (keeper.now.stage === "importing") return;
  await setBack(client, was, deps);
  keeper.set({ settled: true });
  const now = was === "paused" ? "The deployment is paused, as it was." : "Its functions run again, as they did.";
  tell({ state: [...(told().state ?? []), now] });
}

/** Lets functions run for `work` alone; a target that was paused is paused again behind it. */
export async function whileRunning<T>(run: Run, was: "running" | "paused", work: () => Promise<T>): Promise<T> {
  const { client, deps } = run;
  await resumeTarget(client);
  try {
    return await work();
  } finally {
    if (was === "paused") await setBack(client, was, deps);
  }
}
