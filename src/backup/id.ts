import { randomBytes } from "node:crypto";

const ID = /^(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})Z-[0-9a-f]{8}$/;

/** The object that is written last: a backup without it does not exist. */
export const MANIFEST = "manifest.json";

/** `2026-11-22T03-00-04Z-0123abcd`: UTC, sorts by time, holds no character that some store refuses. */
export function newBackupId(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll(":", "-")}Z-${randomBytes(4).toString("hex")}`;
}

/** The time in an id; undefined when it is none, or names a time that does not exist. */
export function timeOfId(id: string): Date | undefined {
  const parts = ID.exec(id);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second] = parts;
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) || at.toISOString() !== text ? undefined : at;
}
