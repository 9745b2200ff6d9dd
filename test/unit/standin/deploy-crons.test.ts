import { describe, expect, it } from "vitest";
import { readCrons } from "../../standin/deploy/crons.ts";

const crons = (schedules: Record<string, object>) =>
  JSON.stringify(
    Object.fromEntries(
      Object.entries(schedules).map(([name, schedule]) => [
        name,
        { name: "messages:tick", args: [{ n: 1 }], schedule },
      ]),
    ),
  );
const scheduleOf = (schedule: object) => readCrons(crons({ x: schedule }))[0]?.spec.cronSchedule;

describe("cron specs (contract 5.2)", () => {
  it("sorts them and keeps the arguments as bytes of JSON", () => {
    const [first, second] = readCrons(
      crons({ b: { type: "hourly", minuteUTC: 1 }, a: { type: "interval", minutes: 2 } }),
    );
    expect([first?.identifier, second?.identifier]).toEqual(["a", "b"]);
    expect(first?.spec.udfPath).toBe("messages.js:tick");
    expect(Buffer.from(first?.spec.udfArgs ?? []).toString()).toBe('[{"n":1.0}]');
  });

  it("writes every kind of schedule as the backend does", () => {
    expect(scheduleOf({ type: "interval", hours: 1 })).toEqual({ type: "interval", seconds: 3600 });
    expect(scheduleOf({ type: "daily", hourUTC: 3, minuteUTC: 5 })).toEqual({
      type: "daily",
      hourUTC: 3,
      minuteUTC: 5,
    });
    expect(scheduleOf({ type: "weekly", dayOfWeek: "monday", hourUTC: 0, minuteUTC: 0 })).toEqual({
      type: "weekly",
      dayOfWeek: 1,
      hourUTC: 0,
      minuteUTC: 0,
    });
    expect(scheduleOf({ type: "monthly", day: 1, hourUTC: 0, minuteUTC: 0 })).toEqual({
      type: "monthly",
      day: 1,
      hourUTC: 0,
      minuteUTC: 0,
    });
    expect(scheduleOf({ type: "cron", cron: "*/5 * * * *" })).toEqual({ type: "cron", cronExpr: "*/5 * * * *" });
  });

  it.each(["nonsense", "* * * *", "61 x * * *", ""])("refuses the expression %j", (cron) => {
    expect(() => readCrons(crons({ x: { type: "cron", cron } }))).toThrowError(
      expect.objectContaining({ code: "InvalidCron", message: "Failed to parse cron expression" }),
    );
  });
});
