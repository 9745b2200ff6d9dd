import type { Store, StoredObject } from "../store/store.ts";
import { MANIFEST, timeOfId } from "./id.ts";

/** What lies in a store under one id. */
export interface ListedBackup {
  readonly id: string;
  /** From the id: when the snapshot was asked for. */
  readonly takenAt: Date;
  /** Its manifest is there. Without one it is the rest of a job that was killed, and no backup. */
  readonly complete: boolean;
  readonly objects: readonly StoredObject[];
  readonly bytes: number;
}

/**
 * All backups of a store, newest first, the incomplete ones too. What else lies there is not looked at.
 * @throws what `list` throws
 */
export async function listBackups(store: Store): Promise<readonly ListedBackup[]> {
  const byId = new Map<string, StoredObject[]>();
  for (const object of await store.list()) {
    const [id = ""] = object.key.split("/");
    if (timeOfId(id) === undefined || object.key === id) continue;
    const objects = byId.get(id) ?? [];
    objects.push(object);
    byId.set(id, objects);
  }
  return [...byId.entries()]
    .map(([id, objects]) => ({
      id,
      takenAt: timeOfId(id) ?? new Date(0),
      complete: objects.some(({ key }) => key === `${id}/${MANIFEST}`),
      objects,
      bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
    }))
    .sort((a, b) => (a.id < b.id ? 1 : -1));
}
