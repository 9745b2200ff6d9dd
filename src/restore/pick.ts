import { isDamaged, isSameDeployment } from "../backup/belonging.ts";
import { listBackups } from "../backup/listing.ts";
import { type Manifest, timeOf } from "../backup/manifest.ts";
import { fetchManifest } from "../backup/manifest-reader.ts";
import { ActionError } from "../runner/errors.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../system/deps.ts";

const MOST_NAMED = 5;
/** So many behind the newest are looked at: who shares a place shows among them. */
const LOOKED_AT = 5;

const OWN_PLACES = "Give each deployment a place of its own: a prefix, a folder, artifact:name.";

/** Those of others whose manifest can be read; the damaged ones are of nobody. */
async function readable(store: Store, ids: readonly string[]): Promise<readonly Manifest[]> {
  const read = async (id: string): Promise<readonly Manifest[]> => {
    try {
      return [await fetchManifest(store, id)];
    } catch (failure) {
      if (isDamaged(failure)) return [];
      throw failure;
    }
  };
  return (await Promise.all(ids.map(read))).flat();
}

/**
 * "The newest" says nothing where several deployments share a place. One that was moved looks much the same: all of the
 * former address, then all of the new one, and one name; that is only told.
 * @throws ActionError backup-ambiguous
 */
function checkOneDeployment(
  newest: Manifest,
  older: readonly Manifest[],
  location: string,
  log: Pick<Log, "warning">,
): void {
  const same = older.map(({ instance }) => isSameDeployment(newest.instance, instance));
  const at = same.indexOf(false);
  const other = older[at];
  if (other === undefined) return;
  const text = `${location} holds backups of more than one deployment: the newest, ${newest.id}, is of ${newest.instance.name}, and ${other.id} of ${other.instance.name === newest.instance.name ? "one of the same name at another address" : other.instance.name}`;
  const byTurns = same.indexOf(true, at) !== -1;
  if (other.instance.name !== newest.instance.name || byTurns) {
    throw new ActionError(
      "backup-ambiguous",
      `${text}, so latest may be the wrong one's. Nothing was changed.`,
      `Name the backup in backup-id; its manifest.json says whose it is. ${OWN_PLACES}`,
    );
  }
  log.warning(
    `${text}. The newest is taken. Where the deployment was not moved, this is the other one's. ${OWN_PLACES}`,
  );
}

/** Names have the time of the job's clock, which may be wrong; data have that of the backend. */
function newestData(newest: Manifest, older: readonly Manifest[], log: Pick<Log, "warning">): Manifest {
  const own = older.filter(({ instance }) => isSameDeployment(newest.instance, instance));
  const best = [newest, ...own].reduce((a, b) => (BigInt(b.snapshot.timestamp) > BigInt(a.snapshot.timestamp) ? b : a));
  if (best !== newest) {
    log.warning(
      `${newest.id} is the newest by its name, and its data are of ${timeOf(newest.snapshot.timestamp)}: the clock of the job that made it was wrong. ${best.id} has the newest data (${timeOf(best.snapshot.timestamp)}), and is taken.`,
    );
  }
  return best;
}

/**
 * The backup to restore: the newest one, or the one that is named. What has no manifest is no backup.
 * @throws ActionError backup-missing, backup-ambiguous, and those of `fetchManifest`
 */
export async function pickBackup(store: Store, wanted: string, log: Pick<Log, "warning">): Promise<Manifest> {
  const ids = (await listBackups(store)).filter(({ complete }) => complete).map(({ id }) => id);
  const [newest, ...others] = ids;
  if (newest === undefined) {
    throw new ActionError(
      "backup-missing",
      `${store.location} holds no backup (no manifest.json below the id of one).`,
      "Check source: it is the folder, prefix or name that the backup action was given as destination.",
    );
  }
  if (wanted === "latest") {
    const [manifest, older] = await Promise.all([
      fetchManifest(store, newest),
      readable(store, others.slice(0, LOOKED_AT)),
    ]);
    checkOneDeployment(manifest, older, store.location, log);
    return newestData(manifest, older, log);
  }
  if (ids.includes(wanted)) return await fetchManifest(store, wanted);
  const more = ids.length > MOST_NAMED ? ", …" : "";
  throw new ActionError(
    "backup-missing",
    `${store.location} holds no backup ${JSON.stringify(wanted)}; the newest are ${ids.slice(0, MOST_NAMED).join(", ")}${more}.`,
    "Name one of them in backup-id, or write latest.",
  );
}
