import { ActionError } from "../runner/errors.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import { MANIFEST } from "./id.ts";
import { type ListedBackup, listBackups } from "./listing.ts";
import { isSet, judgeRetention, type RetentionRule } from "./retention.ts";

/** What a killed job left may still be written to by a job that runs. */
export const UNFINISHED_MS = 24 * 60 * 60 * 1000;

/** Why a backup is none of this deployment's that can be judged; undefined when it is one. */
export type Strange = (backup: ListedBackup) => Promise<string | undefined>;

export interface PruneRequest {
  readonly rule: RetentionRule;
  readonly mode: "apply" | "dry-run" | "off";
  /** The backup that this run has made and verified; it stays whatever the rule says. */
  readonly justMade?: string;
  /** Asked for every complete backup. What is strange stays, and does not count as one of those to keep. */
  readonly strange: Strange;
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

/** How many manifests are read at the same time. */
const AT_ONCE = 8;

async function strangers(backups: readonly ListedBackup[], strange: Strange): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const queue = [...backups];
  const worker = async (): Promise<void> => {
    for (let backup = queue.shift(); backup !== undefined; backup = queue.shift()) {
      const why = await strange(backup);
      if (why !== undefined) found.set(backup.id, why);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found;
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
 * backup is verified. Only objects of backups are touched; locked ones, those of other deployments and those that
 * cannot be read stay and are said.
 * @throws what the store throws, except `store-locked`
 */
export async function prune(
  store: Store,
  { rule, mode, justMade, strange }: PruneRequest,
  deps: Pick<Deps, "clock" | "log">,
): Promise<PruneReport> {
  if (mode === "off") return { lines: [], unfinished: 0 };
  const now = deps.clock.now();
  const backups = await listBackups(store);
  const complete = backups.filter((backup) => backup.complete);
  const foreign = isSet(rule) ? await strangers(complete, strange) : new Map<string, string>();
  const verdicts = judgeRetention(
    complete.filter(({ id }) => !foreign.has(id)),
    rule,
    new Date(now),
  );
  const kept = new Map(verdicts.filter(({ keep }) => keep).map(({ id, reasons }) => [id, reasons]));
  for (const [id, why] of foreign) kept.set(id, [why]);
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
