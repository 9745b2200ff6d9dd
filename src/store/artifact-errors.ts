import type { ActionError } from "../runner/errors.ts";
import { messageOf } from "../runner/errors.ts";
import { exists, full, refused, unreachable, unsupported } from "./faults.ts";

/** The error for a failed upload; `@actions/artifact` tells what happened in words only. */
export function explainUpload(failure: unknown, location: string, key: string): ActionError {
  const said = messageOf(failure);
  const cause = { cause: failure };
  const status = /Failed request: \((\d{3})\)/.exec(said)?.[1];
  if (status === "409") return exists(location, key, cause);
  if (/quota/i.test(said)) {
    return full(
      location,
      "the artifact storage of this account is used up (GitHub counts it anew every 6 to 12 hours)",
      cause,
    );
  }
  if (/not currently supported on GHES/.test(said)) return noServer(location, cause);
  if (status === "401" || status === "403") {
    return refused(
      `GitHub does not let this job write artifacts: ${said}`,
      "A job's token for artifacts ends with the job; run it again.",
      cause,
    );
  }
  return unreachable(location, `the upload of ${key} failed: ${said}`, cause);
}

/** GitHub Enterprise Server has artifacts of version 3 only, which cannot be written by this library. */
export function noServer(location: string, options?: { readonly cause?: unknown }): ActionError {
  return unsupported(
    location,
    "be used on GitHub Enterprise Server, which lacks artifacts of version 4",
    "Set destination: s3://bucket/prefix or dir:path.",
    options,
  );
}
