import { checkFreshness, type Freshness, Uncounted } from "../backup/freshness.ts";
import { timeOf } from "../backup/manifest.ts";
import { fetchManifest } from "../backup/manifest-reader.ts";
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
 * @param instanceName of the deployment that is looked at too: backups of others that share its place do not count
 */
export async function examineBackups(
  store: Store,
  maxAgeMs: number,
  deps: Pick<Deps, "clock">,
  instanceName?: string,
): Promise<readonly Finding[]> {
  const now = new Date(deps.clock.now());
  try {
    const read = async (backup: { readonly id: string }): Promise<Date> => {
      const { instance, snapshot } = await fetchManifest(store, backup.id);
      const others = instanceName !== undefined && instance.name !== instanceName;
      if (others) throw new Uncounted(`it is of another deployment (instance ${instance.name})`);
      return new Date(timeOf(snapshot.timestamp));
    };
    return [{ check: BACKUPS, ...verdictOf(await checkFreshness(store, maxAgeMs, now, read)) }];
  } catch (failure) {
    if (!(failure instanceof ActionError)) throw failure;
    return [{ check: BACKUPS, ...error(failure.message, UNREAD, failure.hint) }];
  }
}
