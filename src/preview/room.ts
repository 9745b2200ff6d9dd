import { messageOf } from "../runner/errors.ts";
import type { PreviewRun } from "./run.ts";
import { choose, removeAll } from "./sweep.ts";
import type { Target } from "./target.ts";

/**
 * Keeps to `max-previews` when there is one preview more: what a sweep would remove goes first, then those idle longest,
 * each told on its pull request. To be called once the new one can be seen by others: of several jobs at once the last
 * to look sees all, and nobody's new preview is taken away. Whatever fails here the next sweep makes up for.
 * @param made name of the new preview, which stays
 */
export async function makeRoom(run: PreviewRun, target: Target, made: string): Promise<void> {
  const { inputs, timeline, deps } = run;
  const { maxPreviews } = inputs;
  if (maxPreviews === 0) return;
  try {
    await timeline.phase("room", async () => {
      const found = await target.list({ usage: false });
      if (found.length <= maxPreviews) return;
      // Whether others are still wanted as drafts or by their labels is the sweep's to judge: forks have other inputs.
      const plan = await choose(run, found, { made, policy: { drafts: true } });
      const gone = await removeAll(run, target, plan);
      const left = found.length - gone.filter(({ error }) => error === undefined).length;
      if (left <= maxPreviews) return;
      deps.log.notice(
        `There are ${left} previews, and max-previews allows ${maxPreviews}: those that are being made now stay; the next sweep or new preview makes up for it.`,
      );
    });
  } catch (error) {
    deps.log.warning(
      `Whether there are more previews than max-previews allows is left to the next sweep: ${messageOf(error)}`,
    );
  }
}
