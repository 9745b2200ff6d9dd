/** Crons of a push: from what `cronJobs().export()` gives to `cronSpecs`, and on to the scheduler (contract 5.2). */
import type { CronSpec } from "../types.ts";
import { ApiError } from "../types.ts";
import { encode, fromJson, isFields } from "../values.ts";
import type { AnalyzedModuleJson, CronSpecJson } from "./analysis.ts";

const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

interface ExportedCron {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly schedule: Readonly<Record<string, unknown>>;
}

/** Sorted by identifier. Throws 400 `InvalidCron`. */
export function readCrons(json: string): CronSpecJson[] {
  const crons = JSON.parse(json) as Record<string, ExportedCron>;
  return Object.entries(crons)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([identifier, { name, args, schedule }]) => {
      const udfArgs = [...Buffer.from(encode(args.map(fromJson), "convex_encoded_json"))];
      return { identifier, spec: { udfPath: canonicalPath(name), udfArgs, cronSchedule: readSchedule(schedule) } };
    });
}

/** `messages:tick` → `messages.js:tick` */
export function canonicalPath(name: string): string {
  const [module = "", fn = "default"] = name.split(":");
  return `${module.endsWith(".js") ? module : `${module}.js`}:${fn}`;
}

function readSchedule(schedule: Readonly<Record<string, unknown>>): CronSpecJson["spec"]["cronSchedule"] {
  const number = (name: string) => Number(schedule[name] ?? 0);
  switch (schedule["type"]) {
    case "interval":
      return { type: "interval", seconds: number("seconds") + number("minutes") * 60 + number("hours") * 3600 };
    case "hourly":
      return { type: "hourly", minuteUTC: number("minuteUTC") };
    case "daily":
      return { type: "daily", hourUTC: number("hourUTC"), minuteUTC: number("minuteUTC") };
    case "weekly":
      return {
        type: "weekly",
        dayOfWeek: DAYS.indexOf(String(schedule["dayOfWeek"])),
        hourUTC: number("hourUTC"),
        minuteUTC: number("minuteUTC"),
      };
    case "monthly":
      return { type: "monthly", day: number("day"), hourUTC: number("hourUTC"), minuteUTC: number("minuteUTC") };
    default:
      return { type: "cron", cronExpr: checkedExpression(String(schedule["cron"])) };
  }
}

/** Five fields (six with seconds) of numbers, names, ranges and steps. */
function checkedExpression(text: string): string {
  const fields = text.trim().split(/\s+/);
  const good =
    (fields.length === 5 || fields.length === 6) &&
    fields.every((field) => /^[\d*/,\-a-zA-Z?L#]+$/.test(field) && fieldFits(field));
  if (!good) throw new ApiError(400, "InvalidCron", "Failed to parse cron expression");
  return text;
}

const NAMES = /^(sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)$/i;

function fieldFits(field: string): boolean {
  return field
    .split(/[,/-]/)
    .every((part) => part === "*" || part === "?" || part === "L" || /^\d{1,2}[L#\d]*$/.test(part) || NAMES.test(part));
}

/** Throws when a cron schedules what is not there. */
export function checkCrons(functions: Readonly<Record<string, AnalyzedModuleJson>>): void {
  for (const { identifier, spec } of functions["crons.js"]?.cronSpecs ?? []) {
    const [module = "", name = ""] = spec.udfPath.split(":");
    if (functions[module]?.functions.some((fn) => fn.name === name)) continue;
    throw new ApiError(
      400,
      "Error",
      `The cron job '${identifier}' schedules a function that does not exist: ${spec.udfPath}\n`,
    );
  }
}

export function schedulerSpecs(functions: Readonly<Record<string, AnalyzedModuleJson>>): CronSpec[] {
  return (functions["crons.js"]?.cronSpecs ?? []).map(({ identifier, spec }) => {
    const [module = "", name = ""] = spec.udfPath.split(":");
    const args = fromJson((JSON.parse(Buffer.from(spec.udfArgs).toString()) as unknown[])[0] ?? {});
    return { identifier, path: { module, name }, args: isFields(args) ? args : {}, schedule: spec.cronSchedule };
  });
}
