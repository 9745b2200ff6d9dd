/** How many backups of each kind stay; 0 is "not set". */
export interface RetentionRule {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

/** A backup that is complete. */
export interface DatedBackup {
  readonly id: string;
  readonly takenAt: Date;
}

export interface RetentionVerdict {
  readonly id: string;
  readonly takenAt: Date;
  readonly keep: boolean;
  /** Why it stays, all of them; why it goes. For people: `newest of 2026-11 (monthly)`. */
  readonly reasons: readonly string[];
}

type Period = "daily" | "weekly" | "monthly" | "yearly";
const PERIODS: readonly Period[] = ["daily", "weekly", "monthly", "yearly"];
const DAY_MS = 24 * 60 * 60 * 1000;

/** ISO 8601: weeks begin on Monday, and belong to the year of their Thursday. */
function weekOf(at: Date): string {
  const thursday = new Date(at.getTime() + (3 - ((at.getUTCDay() + 6) % 7)) * DAY_MS);
  const first = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - first) / DAY_MS / 7) + 1;
  return `${String(thursday.getUTCFullYear()).padStart(4, "0")}-W${String(week).padStart(2, "0")}`;
}

/** The name of the period that a time lies in, in UTC. */
export function periodOf(at: Date, period: Period): string {
  const text = at.toISOString();
  switch (period) {
    case "daily":
      return text.slice(0, 10);
    case "weekly":
      return weekOf(at);
    case "monthly":
      return text.slice(0, 7);
    case "yearly":
      return text.slice(0, 4);
  }
}

/** Newest first; ids tell apart what was taken in the same moment. */
function newestFirst(a: DatedBackup, b: DatedBackup): number {
  return b.takenAt.getTime() - a.takenAt.getTime() || (a.id < b.id ? 1 : -1);
}

export function isSet(rule: RetentionRule): boolean {
  return rule.last > 0 || PERIODS.some((period) => rule[period] > 0);
}

/**
 * Which complete backups stay, and why, newest first. Of each period the newest backup counts, and of each kind the
 * newest periods in which there is one: a week without backups costs none of the earlier ones. Periods are those of UTC.
 * The newest backup always stays. A time that is still to come (a clock that was wrong) neither goes nor takes a place.
 * With no rule set everything stays. Judging again what was kept keeps it all.
 */
export function judgeRetention(
  backups: readonly DatedBackup[],
  rule: RetentionRule,
  now: Date,
): readonly RetentionVerdict[] {
  const sorted = [...backups].sort(newestFirst);
  const reasons = new Map<string, string[]>(sorted.map(({ id }) => [id, []]));
  const keep = (id: string, reason: string): void => void reasons.get(id)?.push(reason);
  const past = sorted.filter(({ takenAt }) => takenAt.getTime() <= now.getTime());
  for (const { id, takenAt } of sorted) {
    if (!isSet(rule)) keep(id, "no keep-* input is set");
    if (takenAt.getTime() > now.getTime()) keep(id, "its time is still to come: a clock was wrong");
  }
  const [newest] = past;
  if (newest !== undefined) keep(newest.id, "the newest");
  for (const { id } of past.slice(0, rule.last)) keep(id, `one of the last ${rule.last}`);
  for (const period of PERIODS) {
    const seen = new Set<string>();
    for (const { id, takenAt } of past) {
      const name = periodOf(takenAt, period);
      if (seen.has(name)) continue;
      if (seen.size === rule[period]) break;
      seen.add(name);
      keep(id, `newest of ${name} (${period})`);
    }
  }
  return sorted.map(({ id, takenAt }) => {
    const why = reasons.get(id) ?? [];
    return { id, takenAt, keep: why.length > 0, reasons: why.length > 0 ? why : ["no keep-* input covers it"] };
  });
}
