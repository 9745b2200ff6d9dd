import { ActionError } from "../runner/errors.ts";

type Cause = { readonly cause?: unknown };

/** A key that is taken. */
export function exists(location: string, key: string, options?: Cause): ActionError {
  return new ActionError(
    "store-exists",
    `${location} has ${key} already; it was not overwritten.`,
    "Run the job again: a new run writes under a name of its own. Twice the same name means two jobs write the same backup.",
    options,
  );
}

/** An object (or the whole folder) that is not there. */
export function missing(location: string, what: string, hint: string, options?: Cause): ActionError {
  return new ActionError("store-missing", `${location} has no ${what}.`, hint, options);
}

/** @param why a full sentence */
export function refused(why: string, hint: string, options?: Cause): ActionError {
  return new ActionError("store-refused", why, hint, options);
}

export function unreachable(location: string, why: string, options?: Cause): ActionError {
  return new ActionError(
    "store-unreachable",
    `${location} cannot be reached: ${why}.`,
    "Check that the store runs and that this job reaches it; hosted runners reach no private network.",
    options,
  );
}

export function full(location: string, why: string, options?: Cause): ActionError {
  return new ActionError(
    "store-full",
    `${location} has no space left: ${why}. What was written of the object is removed.`,
    "Make room or raise the quota; keep-last and the other keep-* inputs remove old backups by themselves.",
    options,
  );
}

export function locked(location: string, keys: readonly string[], until: string, options?: Cause): ActionError {
  const rest = keys.length > 1 ? ` (and ${keys.length - 1} more)` : "";
  return new ActionError(
    "store-locked",
    `${location} keeps ${keys[0]}${rest} under an object lock ${until}; nothing of it was removed.`,
    "Wait until the lock ends; the next run removes it then.",
    options,
  );
}

export function unsupported(location: string, what: string, hint: string, options?: Cause): ActionError {
  return new ActionError("store-unsupported", `${location} cannot ${what}.`, hint, options);
}

/** Bytes that are not those that were stored. */
export function damaged(location: string, key: string, why: string, options?: Cause): ActionError {
  return new ActionError(
    "store-damaged",
    `${key} in ${location} is not as it was stored: ${why}.`,
    "Run the job again: if the same object fails again, it is damaged in the store. Use another backup.",
    options,
  );
}
