import { ActionError } from "../runner/errors.ts";
import type { Store } from "../store/store.ts";
import { type ListedBackup, listBackups } from "./listing.ts";

/** The newest backup that counts. */
export interface NewestBackup {
  readonly id: string;
  /** When its data are from. */
  readonly takenAt: Date;
}

export interface Freshness {
  readonly verdict: "fresh" | "stale" | "none";
  /** One sentence for people. */
  readonly message: string;
  readonly hint: string;
  readonly newest: NewestBackup | undefined;
  readonly ageMs: number | undefined;
  /** Newer ones that do not count, each with the reason. */
  readonly passedOver: readonly { readonly id: string; readonly why: string }[];
}

/** A backup that is good, and none of those that are asked about. The message says why, as half a sentence. */
export class Uncounted extends Error {}

/** Reads the manifest of a backup: the time its snapshot is of. Throws when it is damaged, or `Uncounted`. */
export type ReadSnapshotTime = (backup: ListedBackup) => Promise<Date>;

/** Clocks of runners and stores differ by less. */
const SKEW_MS = 10 * 60_000;

/** `26 h 10 min`, `3 d 4 h`: two units are enough for people. */
export function ageText(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  if (days >= 2) return hours === 0 ? `${days} d` : `${days} d ${hours} h`;
  const all = days * 24 + hours;
  if (all === 0) return `${rest} min`;
  return rest === 0 ? `${all} h` : `${all} h ${rest} min`;
}

const MOST_NAMED = 5;

function describeOver(passedOver: Freshness["passedOver"]): string {
  const named = passedOver.slice(0, MOST_NAMED).map(({ id, why }) => ` ${id} does not count: ${why}.`);
  const more = passedOver.length - named.length;
  return `${named.join("")}${more > 0 ? ` ${more} more do not count.` : ""}`;
}

/** Judges the newest backup by a limit. Pure. */
export function judgeFreshness(
  newest: NewestBackup | undefined,
  maxAgeMs: number,
  now: Date,
  location: string,
  passedOver: Freshness["passedOver"] = [],
): Freshness {
  const over = describeOver(passedOver);
  if (newest === undefined) {
    return {
      verdict: "none",
      message: `There is no complete backup in ${location}.${over}`,
      hint: "Check the destination (bucket, prefix, folder), and run the backup workflow once by hand.",
      newest,
      ageMs: undefined,
      passedOver,
    };
  }
  const ageMs = now.getTime() - newest.takenAt.getTime();
  const facts = { newest, ageMs, passedOver };
  if (ageMs < -SKEW_MS) {
    return {
      ...facts,
      verdict: "stale",
      message: `The newest backup in ${location}, ${newest.id}, is of a time still to come (${newest.takenAt.toISOString()}): a clock is wrong, and its age cannot be told.${over}`,
      hint: "Set the clock of the machine that makes the backups; this backup stays the newest until its time has come.",
    };
  }
  const [age, limit] = [ageText(ageMs), ageText(maxAgeMs)];
  if (ageMs <= maxAgeMs) {
    return {
      ...facts,
      verdict: "fresh",
      message: `The newest backup in ${location}, ${newest.id}, is ${age} old (limit ${limit}).${over}`,
      hint: "",
    };
  }
  return {
    ...facts,
    verdict: "stale",
    message: `The newest backup in ${location}, ${newest.id}, is ${age} old; the limit is ${limit}.${over}`,
    hint: "Look at the last runs of the backup workflow: it failed, or GitHub has stopped its schedule (after 60 days without a commit; one click in the Actions tab resumes it).",
  };
}

/**
 * Finds the newest complete backup and judges its age. One whose manifest cannot be read does not count, and is said.
 * @param readTime the snapshot's time in the manifest
 * @throws what the store throws when it cannot be read: that says nothing about the backups
 */
export async function checkFreshness(
  store: Store,
  maxAgeMs: number,
  now: Date,
  readTime: ReadSnapshotTime,
): Promise<Freshness> {
  const passedOver: { readonly id: string; readonly why: string }[] = [];
  for (const backup of await listBackups(store)) {
    if (!backup.complete) {
      passedOver.push({ id: backup.id, why: "it has no manifest, so it was never finished" });
      continue;
    }
    try {
      const newest = { id: backup.id, takenAt: await readTime(backup) };
      return judgeFreshness(newest, maxAgeMs, now, store.location, passedOver);
    } catch (failure) {
      if (failure instanceof ActionError && STORE_TROUBLE.has(failure.code)) throw failure;
      const why = failure instanceof Error ? failure.message.replace(/\.$/, "") : String(failure);
      const text = failure instanceof Uncounted ? why : `its manifest cannot be used: ${why}`;
      passedOver.push({ id: backup.id, why: text });
    }
  }
  return judgeFreshness(undefined, maxAgeMs, now, store.location, passedOver);
}

const STORE_TROUBLE = new Set(["store-unreachable", "store-refused"]);

/** The error for backups that are not fresh. */
export function freshnessError({ verdict, message, hint }: Freshness): ActionError {
  return verdict === "none"
    ? new ActionError("backup-none", message, hint)
    : new ActionError("backup-stale", message, hint);
}
