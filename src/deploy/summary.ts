import { findingsTable } from "../deployment/findings.ts";
import type { Finding } from "../deployment/reach.ts";
import type { ActionError } from "../runner/errors.ts";
import { escapeMarkdown, explainedAt, factTable, gantt, seconds, timingsTable } from "../runner/summary.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Changes } from "./changes.ts";
import type { Difference } from "./difference.ts";
import type { EnvPlan } from "./env-plan.ts";
import { PreflightError } from "./preflight.ts";

/** What there is to tell about a deploy, as far as it got. */
export interface DeployReport {
  readonly url?: string;
  readonly commit?: string;
  readonly cliVersion?: string;
  readonly directory?: string;
  readonly dryRun?: boolean;
  readonly findings?: readonly Finding[];
  readonly plan?: EnvPlan;
  /** The plan as a table; names and fingerprints. */
  readonly planTable?: string;
  /** Variables were added and changed before the push. */
  readonly variablesSet?: boolean;
  readonly variablesRemoved?: boolean;
  readonly changes?: Changes;
  /** The push succeeded: its code is live. */
  readonly live?: boolean;
  /** It did, but another deploy's code is served. */
  readonly overtaken?: boolean;
  /** What is not known after a connection that broke, a sentence each. */
  readonly doubts?: readonly string[];
  readonly ran?: readonly string[];
  readonly signIn?: string;
  readonly smoke?: readonly string[];
  readonly notes?: readonly string[];
}

const TITLES: readonly (readonly [keyof Changes, string])[] = [
  ["functions", "Functions"],
  ["httpRoutes", "HTTP routes"],
  ["crons", "Crons"],
  ["tables", "Tables"],
  ["indexes", "Indexes"],
  ["authProviders", "Auth providers"],
  ["components", "Components"],
  ["modules", "Files"],
  ["env", "Variables"],
];
const MOST_NAMES = 40;

function names(sign: string, all: readonly string[]): string[] {
  if (all.length === 0) return [];
  const shown = all.slice(0, MOST_NAMES).map((name) => `${sign} ${escapeMarkdown(name)}`);
  return all.length > MOST_NAMES ? [...shown, `… ${all.length - MOST_NAMES} more`] : shown;
}

function cell({ added, changed, removed }: Difference): string {
  return [...names("+", added), ...names("±", changed), ...names("−", removed)].join("<br>");
}

/** What a deploy changes as Markdown, what breaks clients first. */
export function changesTable(changes: Changes): string {
  const rows: string[] = [];
  const unknown: string[] = [];
  for (const [key, title] of TITLES) {
    const part = changes[key] as Difference | null;
    if (part === null) unknown.push(title.toLowerCase());
    else if (cell(part) !== "") rows.push(`| ${title} | ${cell(part)} |`);
  }
  const parts = [
    changes.breaking.length === 0
      ? ""
      : `**⚠️ Breaking for clients**\n\n${changes.breaking.map((text) => `- ${escapeMarkdown(text)}`).join("\n")}`,
    rows.length === 0
      ? unknown.length === 0
        ? "Nothing changes."
        : "Nothing that was compared changes."
      : ["| | + added, ± changed, − removed |", "|---|---|", ...rows].join("\n"),
    unknown.length === 0 ? "" : `Not compared: ${unknown.join(", ")}.`,
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function facts(report: DeployReport): string {
  const rows: [string, string | undefined][] = [
    ["URL", report.url],
    ["Commit", report.commit],
    ["From", report.directory],
    ["CLI", report.cliVersion === undefined ? undefined : `convex ${report.cliVersion}`],
    ["Ran", report.ran === undefined || report.ran.length === 0 ? undefined : report.ran.join(", ")],
    ["Sign-in", report.signIn],
    ["Smoke checks", report.smoke === undefined || report.smoke.length === 0 ? undefined : report.smoke.join(", ")],
  ];
  const known = rows.filter((row): row is [string, string] => row[1] !== undefined);
  return known.length === 0 ? "" : factTable(known.map(([name, value]) => [name, escapeMarkdown(value)]));
}

function timings(timeline: Timeline): string {
  const phases = timeline.phases();
  if (phases.length === 0) return "";
  return `<details><summary>Timings</summary>\n\n${gantt("Deploy", phases)}\n\n${timingsTable(timeline)}\n\n</details>`;
}

const section = (title: string, text: string | undefined): string =>
  text === undefined || text === "" ? "" : `**${title}**\n\n${text}`;

/** The job summary of a deploy, or of a dry run. */
export function deploySummary(report: DeployReport, timeline: Timeline, now: number): string {
  const title =
    report.dryRun === true
      ? "### ✅ Dry run: nothing was changed"
      : `### ✅ Deployed in ${seconds(now - timeline.start)}`;
  const parts = [
    title,
    facts(report),
    section("What changes", report.changes === undefined ? undefined : changesTable(report.changes)),
    section("Variables", report.planTable),
    findingsTable("Preflight", report.findings ?? []),
    (report.notes ?? []).map((note) => `- ${escapeMarkdown(note)}`).join("\n"),
    timings(timeline),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;
}

/** Whether a deploy that failed left anything behind. */
export function touched(report: DeployReport): boolean {
  const { variablesSet, live, overtaken, doubts = [] } = report;
  return variablesSet === true || live === true || overtaken === true || doubts.length > 0;
}

/** What is done already when a deploy fails, and how it is taken back. */
export function wayBack(report: DeployReport): string {
  const { plan, doubts = [] } = report;
  const lines: string[] = [...doubts];
  if (report.live === true) {
    lines.push(
      "The new code is live. To go back, deploy the former commit: run its deploy job again, or revert and merge.",
      "Data that functions or migrations wrote stay as they are.",
    );
  } else if (report.overtaken === true) lines.push("The code of another deploy is live.");
  else if (doubts.length === 0) lines.push("The code that was live before still is.");
  if (plan !== undefined && report.variablesSet === true) {
    if (plan.add.length > 0) {
      lines.push(
        `Added before the push: ${plan.add.join(", ")}. To set back: npx convex env remove, one after the other.`,
      );
    }
    if (plan.change.length > 0) {
      lines.push(
        `Changed before the push: ${plan.change.join(", ")}. Their former values are not kept here; the former deploy's job sets them again.`,
      );
    }
  }
  if (plan !== undefined && plan.remove.length > 0 && report.dryRun !== true) {
    lines.push(
      report.variablesRemoved === true
        ? `Removed after the push: ${plan.remove.join(", ")}.`
        : `Not removed: ${plan.remove.join(", ")}. They go only after a deploy that succeeded.`,
    );
  }
  return lines.map((line) => `- ${escapeMarkdown(line)}`).join("\n");
}

/** The job summary of a deploy that failed: why, what to do, what is done already. */
export function failureSummary(error: ActionError, report: DeployReport, timeline: Timeline): string {
  const findings = error instanceof PreflightError ? error.findings : (report.findings ?? []);
  const parts = [
    `### ❌ Deploy: ${escapeMarkdown(error.message.split("\n")[0] ?? "")}`,
    `**What to do:** ${escapeMarkdown(error.hint)}`,
    explainedAt(error.code, process.env),
    touched(report) ? section("What is done already", wayBack(report)) : "Nothing that is served was changed.",
    facts(report),
    findingsTable("Preflight", findings),
    section("Variables", report.planTable),
    section("What changes", report.changes === undefined ? undefined : changesTable(report.changes)),
    timings(timeline),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;
}
