/** When crons run (contract 5.2 `cronSpecs`): all times are UTC. */
import type { CronSchedule } from "./types.ts";

const MINUTE_MS = 60_000;
const YEARS_AHEAD_MS = 5 * 366 * 86_400_000;

/** Fields of a cron expression: which minutes, hours, days, months, weekdays match. */
interface CronExpression {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** Days of month and of week are alternatives when both are restricted. */
  readonly eitherDay: boolean;
}

const RANGES = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;
const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const WEEKDAYS = "sun mon tue wed thu fri sat".split(" ");

/** Five fields; undefined when it is no cron expression. */
export function parseCron(expression: string): CronExpression | undefined {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== RANGES.length) return undefined;
  const sets = fields.map((field, i) => parseField(field.toLowerCase(), i));
  const [minutes, hours, days, months, weekdays] = sets;
  if (!minutes || !hours || !days || !months || !weekdays) return undefined;
  if (weekdays.has(7)) weekdays.add(0);
  return { minutes, hours, days, months, weekdays, eitherDay: fields[2] !== "*" && fields[4] !== "*" };
}

function parseField(field: string, index: number): Set<number> | undefined {
  const [low, high] = RANGES[index] ?? [0, 0];
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const match = /^(\*|[a-z0-9]+(?:-[a-z0-9]+)?)(?:\/(\d+))?$/.exec(part);
    if (match === null) return undefined;
    const [, range = "", stepText] = match;
    const step = Number(stepText ?? 1);
    const [first = "", last] = range.split("-");
    const from = range === "*" ? low : numberOf(first, index);
    const to = range === "*" || (last === undefined && stepText !== undefined) ? high : numberOf(last ?? first, index);
    if (from === undefined || to === undefined || from < low || to > high || from > to || step < 1) return undefined;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}

function numberOf(text: string, index: number): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const names = index === 3 ? MONTHS : index === 4 ? WEEKDAYS : [];
  const at = names.indexOf(text);
  return at < 0 ? undefined : at + (index === 3 ? 1 : 0);
}

/** The first run after `afterMs`; undefined when there is none in the next years. */
export function nextRun(schedule: CronSchedule, afterMs: number): number | undefined {
  if (schedule.type === "interval") return afterMs + Number(schedule["seconds"]) * 1000;
  const cron = expressionOf(schedule);
  if (cron === undefined) return undefined;
  let time = Math.floor(afterMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
  for (const end = afterMs + YEARS_AHEAD_MS; time < end; ) {
    const date = new Date(time);
    if (!dayMatches(cron, date)) time = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1);
    else if (cron.hours.has(date.getUTCHours()) && cron.minutes.has(date.getUTCMinutes())) return time;
    else time += MINUTE_MS;
  }
  return undefined;
}

function dayMatches(cron: CronExpression, date: Date): boolean {
  if (!cron.months.has(date.getUTCMonth() + 1)) return false;
  const day = cron.days.has(date.getUTCDate());
  const weekday = cron.weekdays.has(date.getUTCDay());
  return cron.eitherDay ? day || weekday : day && weekday;
}

function expressionOf(schedule: CronSchedule): CronExpression | undefined {
  const minute = Number(schedule["minuteUTC"] ?? 0);
  const hour = Number(schedule["hourUTC"] ?? 0);
  switch (schedule.type) {
    case "cron":
      return parseCron(String(schedule["cronExpr"]));
    case "hourly":
      return parseCron(`${minute} * * * *`);
    case "daily":
      return parseCron(`${minute} ${hour} * * *`);
    case "weekly":
      return parseCron(`${minute} ${hour} * * ${Number(schedule["dayOfWeek"])}`);
    case "monthly":
      return parseCron(`${minute} ${hour} ${Number(schedule["day"])} * *`);
    default:
      return undefined;
  }
}
