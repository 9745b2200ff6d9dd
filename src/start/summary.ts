import type { Annotation } from "../runner/annotations.ts";
import type { ActionError } from "../runner/errors.ts";
import { escapeMarkdown, explainedAt, factTable, gantt, seconds, timingsTable } from "../runner/summary.ts";
import type { Timeline } from "../runner/timeline.ts";

/** What there is to tell about a start, as far as it got. */
export interface StartReport {
  readonly url?: string;
  readonly siteUrl?: string;
  readonly dashboardUrl?: string;
  /** `2026-09-28-5c7cb5b (pinned by this action)`. */
  readonly release?: string;
  readonly imageDigest?: string;
  readonly revision?: string;
  /** `docker · container convex-…`. */
  readonly runtime?: string;
  readonly readyMs?: number;
  readonly variables?: readonly string[];
  readonly deployed?: string;
  readonly imported?: string;
  readonly ran?: readonly string[];
  readonly signIn?: string;
  readonly paused?: boolean;
  readonly exported?: readonly string[];
  readonly next?: readonly string[];
}

function facts(report: StartReport): [string, string][] {
  const rows: [string, string | undefined][] = [
    ["URL", report.url],
    ["HTTP actions", report.siteUrl],
    ["Dashboard", report.dashboardUrl],
    ["Release", [report.release, report.imageDigest].filter((part) => part !== undefined).join(" · ") || undefined],
    ["Revision", report.revision],
    ["Runtime", report.runtime],
    [
      "Environment",
      report.variables === undefined || report.variables.length === 0
        ? undefined
        : `${report.variables.length} variables pushed: ${report.variables.join(", ")}`,
    ],
    ["Deployed", report.deployed],
    ["Imported", report.imported],
    ["Ran", report.ran === undefined || report.ran.length === 0 ? undefined : report.ran.join(", ")],
    ["Sign-in", report.signIn],
    ["State", report.paused === true ? "paused; unpause it to run functions" : undefined],
  ];
  return rows
    .filter((row): row is [string, string] => row[1] !== undefined)
    .map(([name, value]) => [name, escapeMarkdown(value)]);
}

/** The job summary of the start action: what runs, where, what was pushed, how long each phase took, what later steps can use. */
export function startSummary(report: StartReport, timeline: Timeline): string {
  const parts = [
    `### ✅ Convex backend ready in ${seconds(report.readyMs ?? 0)}`,
    factTable(facts(report)),
    gantt("Start of the backend", timeline.phases()),
    `<details><summary>Timings</summary>\n\n${timingsTable(timeline)}\n\n</details>`,
  ];
  if (report.exported !== undefined && report.exported.length > 0) {
    const names = report.exported.map((name) => `- \`${name}\``).join("\n");
    parts.push(`<details><summary>What later steps can use</summary>\n\n${names}\n\n</details>`);
  }
  if (report.next !== undefined && report.next.length > 0) {
    parts.push(`**Next**\n\n${report.next.map((line) => `- ${line}`).join("\n")}`);
  }
  return `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;
}

/** How many findings a summary lists; the log has all. */
const MOST_FINDINGS = 100;

/** Findings of a failed deploy: the runner shows ten as annotations, so they are all here. */
function findingTable(findings: readonly Annotation[]): string {
  if (findings.length === 0) return "";
  const rows = findings.slice(0, MOST_FINDINGS).map(({ file, line, message }) => {
    const place = file === undefined ? "" : `${file}${line === undefined ? "" : `:${line}`}`;
    return `| ${escapeMarkdown(place)} | ${escapeMarkdown(message)} |`;
  });
  const rest = findings.length - rows.length;
  return ["| Where | What |", "|---|---|", ...rows, ...(rest > 0 ? ["", `${rest} more are in the log.`] : [])].join(
    "\n",
  );
}

/** The job summary of a start that failed: why, what to do, and how far it got. */
export function failureSummary(
  error: ActionError,
  report: StartReport,
  timeline: Timeline,
  findings: readonly Annotation[] = [],
): string {
  const rows = facts(report);
  const parts = [
    `### ❌ Convex backend: ${escapeMarkdown(error.message.split("\n")[0] ?? "")}`,
    `**What to do:** ${escapeMarkdown(error.hint)}`,
    explainedAt(error.code, process.env),
    findingTable(findings),
    rows.length === 0 ? "" : factTable(rows),
    timingsTable(timeline),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;
}
