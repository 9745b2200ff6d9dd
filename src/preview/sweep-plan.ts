import type { PullRequest } from "../github/pull-request.ts";
import { type PreviewPolicy, unwanted } from "./plan.ts";
import type { FoundPreview } from "./target.ts";

export interface SweepFacts {
  /** `owner/name`. */
  readonly repository: string;
  readonly found: readonly FoundPreview[];
  /**
   * Those of the found previews' pull requests that are open, asked for after the previews were listed: one that was
   * opened in between has its preview neither found nor removed. Undefined when GitHub could not be asked: then nobody
   * knows which are closed, and none counts as closed.
   */
  readonly open: readonly PullRequest[] | undefined;
  readonly now: number;
  /** For previews that have no time to live of their own. */
  readonly ttlMs?: number;
  readonly maxPreviews?: number;
  /** The preview that this run made: it counts, and stays. */
  readonly made?: string;
  readonly policy: Pick<PreviewPolicy, "drafts" | "label">;
  readonly isForeign: (pullRequest: PullRequest) => boolean;
}

export interface Removal {
  readonly preview: FoundPreview;
  readonly reason: "closed" | "unwanted" | "expired" | "crowded";
  /** Continues "removed: …". */
  readonly why: string;
}

export interface SweepPlan {
  /** In the order in which they go. */
  readonly remove: readonly Removal[];
  readonly keep: readonly FoundPreview[];
}

/** Since when nobody asked for it. A time of the future is a clock's error, and counts as now. */
export function idleSince(preview: FoundPreview, now: number): number {
  return Math.min((preview.lastUp ?? preview.created).getTime(), now);
}

/** When it goes without another `up`; undefined when it has no time to live. */
export function expiryOf(preview: FoundPreview, now: number, ttlMs?: number): number | undefined {
  const ttl = preview.ttlMs ?? ttlMs;
  return ttl === undefined ? undefined : idleSince(preview, now) + ttl;
}

function reasonOf(preview: FoundPreview, facts: SweepFacts): Omit<Removal, "preview"> | undefined {
  const { open, now, policy } = facts;
  const { number } = preview;
  if (number !== undefined && open !== undefined) {
    const current = open.find((one) => one.number === number);
    if (current === undefined) return { reason: "closed", why: `pull request ${number} is closed` };
    // A fork's has a label of its own, which comes off with each push while the preview stays.
    const no = unwanted(current, facts.isForeign(current) ? { drafts: policy.drafts } : policy);
    if (no !== undefined) return { reason: "unwanted", why: no };
  }
  const expiry = expiryOf(preview, now, facts.ttlMs);
  if (expiry === undefined || expiry > now) return undefined;
  return { reason: "expired", why: `no push or run for ${span(now - idleSince(preview, now))}` };
}

/** `3 days`, `5 hours`. */
export function span(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const [count, unit] =
    minutes < 120
      ? [minutes, "minute"]
      : minutes < 48 * 60
        ? [Math.floor(minutes / 60), "hour"]
        : [Math.floor(minutes / 1440), "day"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** Longer than the job of a first `up` may take. */
const STARTING_MS = 30 * 60_000;

/** Its first `up` may still run, in another job. */
function starting({ lastUp, created }: FoundPreview, now: number): boolean {
  return lastUp === undefined && now - created.getTime() < STARTING_MS;
}

/**
 * Which previews go, and why. Never one of another repository, whatever the target found. Of those that may stay, the
 * ones idle longest go until `maxPreviews` are left; one that another job is making is none of them.
 */
export function planSweep(facts: SweepFacts): SweepPlan {
  const { now, maxPreviews } = facts;
  const own = facts.found.filter((one) => one.repository.toLowerCase() === facts.repository.toLowerCase());
  const remove: Removal[] = [];
  const left: FoundPreview[] = [];
  for (const preview of own) {
    const reason = preview.name === facts.made ? undefined : reasonOf(preview, facts);
    if (reason === undefined) left.push(preview);
    else remove.push({ preview, ...reason });
  }
  const byIdleness = left.toSorted(
    (a, b) =>
      idleSince(a, now) - idleSince(b, now) || a.created.getTime() - b.created.getTime() || (a.name < b.name ? -1 : 1),
  );
  const over = maxPreviews === undefined ? 0 : Math.max(0, left.length - maxPreviews);
  const leaving = byIdleness.filter((one) => one.name !== facts.made && !starting(one, now)).slice(0, over);
  const crowded = leaving.map((preview): Removal => {
    const idle = span(now - idleSince(preview, now));
    return {
      preview,
      reason: "crowded",
      why: `max-previews allows ${maxPreviews}, and it was idle longest (${idle}); the next push or run brings it back`,
    };
  });
  return { remove: [...remove, ...crowded], keep: byIdleness.filter((one) => !leaving.includes(one)) };
}
