import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newBackupId, timeOfId } from "../../../src/backup/id.ts";
import { type DatedBackup, judgeRetention, periodOf, type RetentionRule } from "../../../src/backup/retention.ts";

const NONE: RetentionRule = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const DAY = 24 * 60 * 60 * 1000;
const NOW = new Date("2026-11-27T12:00:00Z");

function backup(text: string): DatedBackup {
  const takenAt = new Date(text);
  return { id: newBackupId(takenAt), takenAt };
}

const keptOf = (backups: readonly DatedBackup[], rule: RetentionRule, now = NOW): string[] =>
  judgeRetention(backups, rule, now)
    .filter(({ keep }) => keep)
    .map(({ takenAt }) => takenAt.toISOString().slice(0, 16));

describe("periods", () => {
  it.each([
    ["2026-11-22T23:59:59Z", "weekly", "2026-W47"],
    ["2026-11-23T00:00:00Z", "weekly", "2026-W48"],
    ["2026-12-31T12:00:00Z", "weekly", "2026-W53"],
    ["2027-01-03T12:00:00Z", "weekly", "2026-W53"],
    ["2027-01-04T00:00:00Z", "weekly", "2027-W01"],
    ["2024-12-30T00:00:00Z", "weekly", "2025-W01"],
    ["2026-01-01T00:00:00+02:00", "yearly", "2025"],
    ["2026-03-01T00:30:00+01:00", "monthly", "2026-02"],
    ["2026-10-25T02:30:00+02:00", "daily", "2026-10-25"],
  ] as const)("%s lies in the %s period %s, in UTC", (time, period, name) => {
    expect(periodOf(new Date(time), period)).toBe(name);
  });
});

describe("retention", () => {
  const days = Array.from({ length: 10 }, (_, n) => backup(new Date(NOW.getTime() - (n + 0.2) * DAY).toISOString()));

  it("keeps all without a rule", () => {
    expect(keptOf(days, NONE)).toHaveLength(10);
  });

  it("keeps the last ones", () => {
    expect(keptOf(days, { ...NONE, last: 3 })).toEqual(["2026-11-27T07:12", "2026-11-26T07:12", "2026-11-25T07:12"]);
  });

  it("keeps the newest of a day with several", () => {
    const several = [
      "2026-11-26T01:00Z",
      "2026-11-26T13:00Z",
      "2026-11-26T23:00Z",
      "2026-11-25T01:00Z",
      "2026-11-25T02:00Z",
    ];
    expect(keptOf(several.map(backup), { ...NONE, daily: 2 })).toEqual(["2026-11-26T23:00", "2026-11-25T02:00"]);
  });

  it("counts periods that have a backup, so that a gap costs nothing", () => {
    const months = ["2026-11-01T01:00Z", "2026-08-01T01:00Z", "2026-02-01T01:00Z", "2025-12-01T01:00Z"];
    expect(keptOf(months.map(backup), { ...NONE, monthly: 3 })).toHaveLength(3);
  });

  it("gives each reason, for people", () => {
    const [first, second, third] = judgeRetention(
      ["2026-11-22T03:00Z", "2026-11-21T03:00Z", "2026-10-31T03:00Z"].map(backup),
      { last: 1, daily: 1, weekly: 1, monthly: 2, yearly: 0 },
      NOW,
    );
    expect(first?.reasons).toEqual([
      "the newest",
      "one of the last 1",
      "newest of 2026-11-22 (daily)",
      "newest of 2026-W47 (weekly)",
      "newest of 2026-11 (monthly)",
    ]);
    expect(second).toMatchObject({ keep: false, reasons: ["no keep-* input covers it"] });
    expect(third).toMatchObject({ keep: true, reasons: ["newest of 2026-10 (monthly)"] });
  });

  it("neither removes what is of the future, nor lets it take a place", () => {
    const all = ["2099-01-01T00:00Z", "2026-11-27T00:00Z", "2026-11-26T00:00Z"].map(backup);
    expect(keptOf(all, { ...NONE, last: 1 })).toEqual(["2099-01-01T00:00", "2026-11-27T00:00"]);
    expect(judgeRetention(all, { ...NONE, last: 1 }, NOW)[0]?.reasons).toEqual([
      "its time is still to come: a clock was wrong",
    ]);
  });
});

const rules = fc.record({
  last: fc.nat(5),
  daily: fc.nat(8),
  weekly: fc.nat(5),
  monthly: fc.nat(13),
  yearly: fc.nat(3),
});
const histories = fc
  .uniqueArray(fc.integer({ min: -30 * 24, max: 900 * 24 }), { maxLength: 120 })
  .map((hours) => hours.map((hour) => backup(new Date(NOW.getTime() - hour * 3_600_000).toISOString())));

describe("whatever the history and the rule", () => {
  const check = (property: (history: DatedBackup[], rule: RetentionRule) => void): void => {
    fc.assert(fc.property(histories, rules, property), { numRuns: 300 });
  };

  it("the newest that is not of the future stays", () => {
    check((history, rule) => {
      const past = history.filter(({ takenAt }) => takenAt <= NOW).sort((a, b) => +b.takenAt - +a.takenAt);
      if (past[0] === undefined) return;
      const verdict = judgeRetention(history, rule, NOW).find(({ id }) => id === past[0]?.id);
      expect(verdict?.keep).toBe(true);
    });
  });

  it("judging again what was kept removes nothing", () => {
    check((history, rule) => {
      const kept = judgeRetention(history, rule, NOW).filter(({ keep }) => keep);
      expect(judgeRetention(kept, rule, NOW).every(({ keep }) => keep)).toBe(true);
    });
  });

  it("the order in which backups are listed changes nothing", () => {
    check((history, rule) => {
      const turned = [...history].reverse();
      expect(judgeRetention(turned, rule, NOW)).toEqual(judgeRetention(history, rule, NOW));
    });
  });

  it("a rule that keeps more removes nothing that one which keeps less would keep", () => {
    check((history, rule) => {
      const more = { ...rule, last: rule.last + 1, daily: rule.daily + 2, monthly: rule.monthly + 1 };
      // From "no rule" to a rule is no such step: the first keeps all.
      if (Object.values(rule).every((count) => count === 0)) return;
      const kept = new Set(keptOf(history, more));
      for (const one of keptOf(history, rule)) expect(kept).toContain(one);
    });
  });

  it("each backup has one verdict, with a reason", () => {
    check((history, rule) => {
      const verdicts = judgeRetention(history, rule, NOW);
      expect(new Set(verdicts.map(({ id }) => id))).toEqual(new Set(history.map(({ id }) => id)));
      expect(verdicts.every(({ reasons }) => reasons.length > 0)).toBe(true);
    });
  });

  it("no more stay than the rule has places, beside the newest and the future", () => {
    check((history, rule) => {
      if (Object.values(rule).every((count) => count === 0)) return;
      const places = rule.last + rule.daily + rule.weekly + rule.monthly + rule.yearly;
      const past = judgeRetention(history, rule, NOW).filter(({ keep, takenAt }) => keep && takenAt <= NOW);
      expect(past.length).toBeLessThanOrEqual(places + 1);
    });
  });

  it("every period that has a place has its newest backup kept", () => {
    check((history, rule) => {
      for (const period of ["daily", "weekly", "monthly", "yearly"] as const) {
        const past = history.filter(({ takenAt }) => takenAt <= NOW);
        const names = [...new Set(past.map(({ takenAt }) => periodOf(takenAt, period)))].sort().reverse();
        const kept = new Set(
          judgeRetention(history, rule, NOW)
            .filter(({ keep }) => keep)
            .map(({ id }) => id),
        );
        for (const name of names.slice(0, rule[period])) {
          const newest = past
            .filter(({ takenAt }) => periodOf(takenAt, period) === name)
            .reduce((a, b) => (a.takenAt > b.takenAt ? a : b));
          expect(kept).toContain(newest.id);
        }
      }
    });
  });
});

it("leaves after two years of nightly runs with pruning what the rule says", () => {
  const rule = { last: 0, daily: 7, weekly: 4, monthly: 12, yearly: 2 };
  let kept: DatedBackup[] = [];
  for (let day = 0; day < 730; day += 1) {
    const takenAt = new Date(Date.UTC(2025, 0, 1, 3) + day * DAY);
    kept.push({ id: newBackupId(takenAt), takenAt });
    kept = judgeRetention(kept, rule, takenAt)
      .filter(({ keep }) => keep)
      .map(({ id }) => ({ id, takenAt: timeOfId(id) ?? NOW }));
  }
  const at = kept.map(({ takenAt }) => takenAt.toISOString().slice(0, 10));
  expect(at.slice(0, 7)).toEqual(["31", "30", "29", "28", "27", "26", "25"].map((one) => `2026-12-${one}`));
  const monthEnds = ["11-30", "10-31", "09-30", "08-31", "07-31", "06-30", "05-31", "04-30", "03-31", "02-28", "01-31"];
  expect(at).toEqual(expect.arrayContaining([...monthEnds.map((one) => `2026-${one}`), "2025-12-31"]));
  // The week of the last day and the one before it end among the 7 days; then two weeks, 11 months and a year.
  expect(at).toEqual(expect.arrayContaining(["2026-12-20", "2026-12-13"]));
  expect(at).toHaveLength(7 + 2 + 11 + 1);
});

describe("ids", () => {
  it("hold their time, and sort by it", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date("2020-01-01"), max: new Date("2099-12-31"), noInvalidDate: true }), (at) => {
        const id = newBackupId(at);
        expect(id).toMatch(/^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-[0-9a-f]{8}$/);
        expect(timeOfId(id)?.getTime()).toBe(Math.floor(at.getTime() / 1000) * 1000);
      }),
    );
  });

  it.each([
    "2026-11-22T03-00-04Z-0123ABCD",
    "2026-13-22T03-00-04Z-0123abcd",
    "2026-02-30T03-00-04Z-0123abcd",
    "2026-11-22T03-00-04Z",
    "x2026-11-22T03-00-04Z-0123abcd",
  ])("are not %s", (text) => {
    expect(timeOfId(text)).toBeUndefined();
  });
});
