import { ActionError } from "../runner/errors.ts";

/** Letters, digits, `.`, `_` and `-`, never a dot first: valid for every store, and never a way out of its folder. */
const KEY = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}(?:\/[A-Za-z0-9_][A-Za-z0-9._-]{0,199}){0,3}$/;

/** Everything of one backup lies below its id: the UTC time of its request and eight random hex digits. */
const BACKUP_KEY = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z-[0-9a-f]{8}\//;

/** Whether a key is part of a backup of ours; nothing else is ever cleaned up. */
export function isBackupKey(key: string): boolean {
  return BACKUP_KEY.test(key);
}

/** Whether `key` can be an object of a store; what else lies in a destination is not ours. */
export function isKey(key: string): boolean {
  return KEY.test(key);
}

/** @throws ActionError `internal` for a key that no store takes: keys are made by us, or come from `list` */
export function checkKey(key: string): string {
  if (isKey(key)) return key;
  throw new ActionError(
    "internal",
    `${JSON.stringify(key)} is no name for an object of a store.`,
    "This is a defect of the action.",
  );
}

/** By code units, the same on every store and in every locale. */
export function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
