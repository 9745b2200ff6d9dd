import { randomBytes } from "node:crypto";

const ID = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})Z-[0-9a-f]{8}$/;

/** `2026-11-22T03-00-04Z-3f9c12ab`: sorts by time, is a name on every store, and never comes twice. */
export function newBackupId(now: Date): string {
  const time = now.toISOString().slice(0, 19).replaceAll(":", "-");
  return `${time}Z-${randomBytes(4).toString("hex")}`;
}

export function isBackupId(text: string): boolean {
  return ID.test(text);
}

/** What lies below a backup's id. */
export const OBJECTS = {
  manifest: "manifest.json",
  snapshot: "snapshot.zip",
  encryptedSnapshot: "snapshot.zip.age",
  settings: "env.json.age",
} as const;
