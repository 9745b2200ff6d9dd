import { listBackups } from "../backup/listing.ts";
import type { Manifest } from "../backup/manifest.ts";
import { fetchManifest } from "../backup/manifest-reader.ts";
import { ActionError } from "../runner/errors.ts";
import type { Store } from "../store/store.ts";

const MOST_NAMED = 5;

/**
 * The backup to restore: the newest one, or the one that is named. What has no manifest is no backup.
 * @throws ActionError backup-missing, and those of `fetchManifest`
 */
export async function pickBackup(store: Store, wanted: string): Promise<Manifest> {
  const ids = (await listBackups(store)).filter(({ complete }) => complete).map(({ id }) => id);
  const [newest] = ids;
  if (newest === undefined) {
    throw new ActionError(
      "backup-missing",
      `${store.location} holds no backup (no manifest.json below the id of one).`,
      "Check source: it is the folder or prefix that the backup action was given as destination.",
    );
  }
  if (wanted === "latest") return await fetchManifest(store, newest);
  if (ids.includes(wanted)) return await fetchManifest(store, wanted);
  const more = ids.length > MOST_NAMED ? ", …" : "";
  throw new ActionError(
    "backup-missing",
    `${store.location} holds no backup ${JSON.stringify(wanted)}; the newest are ${ids.slice(0, MOST_NAMED).join(", ")}${more}.`,
    "Name one of them in backup-id, or write latest.",
  );
}
