import { describe, expect, it } from "vitest";
import { nextRun, parseCron } from "../../standin/cron.ts";

const at = (text: string) => Date.parse(text);

describe("crons", () => {
  // Monday, November 23rd; the next runs are those of a recording (contract 5.2, deploy-schema-crons).
  const now = at("2026-11-23T09:39:53.664Z");
  it.each([
    [{ type: "cron", cronExpr: "*/5 * * * *" }, "2026-11-23T09:40:00Z"],
    [{ type: "hourly", minuteUTC: 1 }, "2026-11-23T10:01:00Z"],
    [{ type: "daily", hourUTC: 3, minuteUTC: 5 }, "2026-11-24T03:05:00Z"],
    [{ type: "weekly", dayOfWeek: 1, hourUTC: 0, minuteUTC: 0 }, "2026-11-30T00:00:00Z"],
    [{ type: "monthly", day: 1, hourUTC: 0, minuteUTC: 0 }, "2026-12-01T00:00:00Z"],
    [{ type: "interval", seconds: 60 }, "2026-11-23T09:40:53.664Z"],
  ])("%j runs next at %s", (schedule, expected) => {
    expect(nextRun(schedule, now)).toBe(at(expected));
  });

  it("takes names, ranges, lists and steps, and either day where both are restricted", () => {
    expect(nextRun({ type: "cron", cronExpr: "0 12 1 * fri" }, now)).toBe(at("2026-11-27T12:00:00Z"));
    expect(nextRun({ type: "cron", cronExpr: "10-20/5,59 0 * jan *" }, now)).toBe(at("2027-01-01T00:10:00Z"));
  });

  it.each(["", "* * * *", "60 * * * *", "a b c d e", "*/0 * * * *", "5-1 * * * *"])("refuses %j", (expression) => {
    expect(parseCron(expression)).toBeUndefined();
  });
});
