import { MANIFEST, timeOfId } from "./id.ts";

/** What lies below a backup's id. */
export const OBJECTS = {
  manifest: MANIFEST,
  snapshot: "snapshot.zip",
  encryptedSnapshot: "snapshot.zip.age",
  settings: "env.json.age",
} as const;

export function isBackupId(text: string): boolean {
  return timeOfId(text) !== undefined;
}
