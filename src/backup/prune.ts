import { ActionError } from "../runner/errors.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import { MANIFEST } from "./id.ts";
import { type ListedBackup, listBackups } from "./listing.ts";
import { isSet, judgeRetention, type RetentionRule } from "./retention.ts";

/** What a killed job left may still be written to by a job that runs. */
export const UNFINISHED_MS = 24 * 60 * 60 * 1000;

export interface PruneRequest {
  readonly rule: RetentionRule;
  readonly mode: "apply" | "dry-run" | "off";
  /** The backup that this run has made and verified; it stays whatever the rule says. */
  readonly justMade?: string;
}

export interface PruneLine {
  readonly id: string;
  readonly takenAt: Date;
  readonly bytes: number;
  readonly action: "kept" | "removed" | "would be removed";
  readonly reasons: readonly string[];
}

export interface PruneReport {
  /** Newest first. */
  readonly lines: readonly PruneLine[];
  /** Multipart uploads and temporary files that were cleaned up. */
  readonly unfinished: number;
}

/** The manifest goes first, so that a removal which is cut off leaves no backup that looks whole. */
async function remove(store: Store, backup: ListedBackup): Promise<void> {
  const manifest = `${backup.id}/${MANIFEST}`;
  const rest = backup.objects.map(({ key }) => key).filter((key) => key !== manifest);
  await store.remove([manifest, ...rest]);
}

function ended(backup: ListedBackup, verdictReasons: readonly string[] | undefined, now: number): string[] | undefined {
  if (backup.complete) return verdictReasons === undefined ? ["no keep-* input covers it"] : undefined;
  const newest = Math.max(...backup.objects.map(({ modified }) => modified.getTime()));
  return now - Math.max(newest, backup.takenAt.getTime()) > UNFINISHED_MS
    ? ["it has no manifest: a job was ended while it wrote"]
    : undefined;
}

/**
 * Removes backups that no rule covers, and what killed jobs left more than a day ago. To be called only once the new
 * backup is verified. Only objects of backups are touched; locked ones stay and are said.
 * @throws what the store throws, except `store-locked`
 */
export async function prune(
  store: Store,
  { rule, mode, justMade }: PruneRequest,
  deps: Pick<Deps, "clock" | "log">,
): Promise<PruneReport> {
  if (mode === "off") return { lines: [], unfinished: 0 };
  const now = deps.clock.now();
  const backups = await listBackups(store);
  const verdicts = judgeRetention(
    backups.filter(({ complete }) => complete),
    rule,
    new Date(now),
  );
  const kept = new Map(verdicts.filter(({ keep }) => keep).map(({ id, reasons }) => [id, reasons]));
  if (justMade !== undefined && !kept.has(justMade)) kept.set(justMade, ["made by this run"]);
  const lines: PruneLine[] = [];
  for (const backup of backups) {
    const { id, takenAt, bytes } = backup;
    // Where nothing is to be removed, the rests of killed jobs are not either.
    const why = isSet(rule) ? ended(backup, kept.get(id), now) : undefined;
    if (why === undefined) {
      const reasons = kept.get(id) ?? ["it has no manifest yet: a job may be writing it"];
      lines.push({ id, takenAt, bytes, action: "kept", reasons });
    } else if (mode === "dry-run") lines.push({ id, takenAt, bytes, action: "would be removed", reasons: why });
    else lines.push({ id, takenAt, bytes, ...(await tryRemove(store, backup, why)) });
  }
  for (const { id, action, reasons } of lines) deps.log.info(`${action}: ${id}: ${reasons.join(", ")}`);
  const unfinished = mode === "apply" ? await store.removeUnfinished(UNFINISHED_MS) : 0;
  return { lines, unfinished };
}

async function tryRemove(
  store: Store,
  backup: ListedBackup,
  why: readonly string[],
): Promise<Pick<PruneLine, "action" | "reasons">> {
  try {
    await remove(store, backup);
    return { action: "removed", reasons: why };
  } catch (failure) {
    if (!(failure instanceof ActionError) || failure.code !== "store-locked") throw failure;
    return { action: "kept", reasons: [`${why.join(", ")}, but an object lock keeps it: ${failure.message}`] };
  }
}
