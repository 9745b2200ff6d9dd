import { checkFreshness, type Freshness } from "../backup/freshness.ts";
import { snapshotTimeOf } from "../backup/manifest-reader.ts";
import { ActionError } from "../runner/errors.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import { error, type Finding, ok, type Verdict } from "./finding.ts";

/** Id of the check, a heading of docs/doctor.md. */
export const BACKUPS = "backups";

const LATE =
  "What is written after the newest backup is lost with the server, and a backup that fails silently is noticed only then.";
const UNREAD = "Backups that cannot be read restore nothing, and whether they are there at all is not known.";

function verdictOf({ verdict, message, hint }: Freshness): Verdict {
  return verdict === "fresh" ? ok(message) : error(message, LATE, hint);
}

/**
 * Looks whether the newest complete backup of a destination is young enough. A store that cannot be read is a finding:
 * nobody may take silence for a backup.
 */
export async function examineBackups(
  store: Store,
  maxAgeMs: number,
  deps: Pick<Deps, "clock">,
): Promise<readonly Finding[]> {
  const now = new Date(deps.clock.now());
  try {
    const read = (backup: { readonly id: string }): Promise<Date> => snapshotTimeOf(store, backup.id);
    return [{ check: BACKUPS, ...verdictOf(await checkFreshness(store, maxAgeMs, now, read)) }];
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return [{ check: BACKUPS, ...error(failure.message, UNREAD, failure.hint) }];
  }
}
