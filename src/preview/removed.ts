import { ActionError } from "../runner/errors.ts";

/** It was there when this `up` began; another job removed it. */
export function previewRemoved(name: string, where: string, cause?: unknown): ActionError {
  return new ActionError(
    "preview-removed",
    `Preview ${name} was removed from ${where} while this job updated it: by a sweep, because its pull request was closed, or to make room for a new one (max-previews).`,
    "Run the job again if it is still wanted: the preview is made anew, and seeded.",
    { cause },
  );
}
