import { changesTable } from "../deploy/summary.ts";
import type { ActionError } from "../runner/errors.ts";
import { escapeMarkdown, explainedAt, factTable, gantt, timingsTable } from "../runner/summary.ts";
import type { Timeline } from "../runner/timeline.ts";
import { changesTitle } from "./comment.ts";
import { changesIn, type UpReport } from "./report.ts";
import type { FoundPreview } from "./target.ts";
import { KEEP_THEM } from "./variables.ts";

const DONE: Readonly<Record<string, string>> = {
  created: "created",
  recreated: "made anew with other settings or another release; its data was kept",
  started: "started again",
  unchanged: "ran already as wanted",
};

function rowsOf(report: UpReport): [string, string][] {
  const { outcome, variables, variablesRemoved, variablesRead, variablesRefused, expires, commit } = report;
  const rows: [string, string | undefined][] = [
    ["URL", report.url],
    ["HTTP actions", report.siteUrl],
    ["Dashboard", report.dashboardUrl],
    ["Host", report.where],
    ["Preview", report.name],
    ["Container", outcome === undefined ? undefined : DONE[outcome]],
    ["Release", [report.release, report.imageDigest].filter((part) => part !== undefined).join(" · ") || undefined],
    ["Commit", commit?.slice(0, 12)],
    ["Variables set", variables === undefined || variables.length === 0 ? undefined : variables.join(", ")],
    ["Variables removed", variablesRemoved?.join(", ")],
    ["Not listed, but read by the code", variablesRead === undefined ? undefined : `${variablesRead}: ${KEEP_THEM}`],
    [
      "Not listed, and not removed",
      variablesRefused === undefined
        ? undefined
        : `${variablesRefused.join(", ")}: the backend did not let go of them, see the log`,
    ],
    ["Deployed", report.deployed === "unchanged" ? "this commit already was; nothing was pushed" : report.deployed],
    ["Seeded", report.imported],
    ["Ran", report.ran === undefined || report.ran.length === 0 ? undefined : report.ran.join(", ")],
    ["Sign-in", report.signIn],
    ["Goes away", expires === undefined ? undefined : `${expires.toISOString().slice(0, 16)}Z unless somebody pushes`],
  ];
  return rows
    .filter((row): row is [string, string] => row[1] !== undefined)
    .map(([name, value]) => [name, escapeMarkdown(value)]);
}

function joined(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;
}

/** The job summary of an `up`. */
export function upSummary(report: UpReport, timeline: Timeline): string {
  const changes = changesIn(report);
  return joined([
    `### ✅ Preview ${escapeMarkdown(report.name ?? "")} is up`,
    factTable(rowsOf(report)),
    changes === undefined ? "" : `**${changesTitle(report.after)}**\n\n${changesTable(changes)}`,
    gantt("Preview", timeline.phases()),
    `<details><summary>Timings</summary>\n\n${timingsTable(timeline)}\n\n</details>`,
  ]);
}

/** The job summary of a run that failed: why, what to do, how far it got. */
export function failureSummary(error: ActionError, report: UpReport, timeline: Timeline): string {
  const rows = rowsOf(report);
  return joined([
    `### ❌ Preview${report.name === undefined ? "" : ` ${escapeMarkdown(report.name)}`}: ${escapeMarkdown(error.message.split("\n")[0] ?? "")}`,
    `**What to do:** ${escapeMarkdown(error.hint)}`,
    explainedAt(error.code, process.env),
    rows.length === 0 ? "" : factTable(rows),
    timingsTable(timeline),
  ]);
}

export function downSummary(name: string, why: string, removed: readonly string[], where: string): string {
  const title = removed.length === 0 ? "was not there" : "was removed";
  return joined([
    `### ✅ Preview ${escapeMarkdown(name)} ${title}`,
    `${escapeMarkdown(why)}.`,
    removed.length === 0 ? "" : removed.map((what) => `- ${escapeMarkdown(what)}`).join("\n"),
    `Host: ${escapeMarkdown(where)}`,
  ]);
}

export function skipSummary(why: string): string {
  return joined(["### Nothing to do for a preview", `${escapeMarkdown(why)}.`]);
}

export function bundleSummary(file: string, cliVersion: string): string {
  return joined([
    "### ✅ Push recorded",
    `With convex ${escapeMarkdown(cliVersion)}, in ${escapeMarkdown(file)}. Nothing was deployed.`,
  ]);
}

/** One preview of a sweep and what became of it. */
export interface Swept {
  readonly preview: FoundPreview;
  /** Why it goes; undefined when it stays. */
  readonly why?: string;
  readonly error?: ActionError;
}

/** The job summary of a sweep: every preview of the repository, what it uses, what became of it. */
export function sweepSummary(swept: readonly Swept[], where: string, dryRun: boolean, now: number): string {
  const gone = swept.filter(({ why, error }) => why !== undefined && error === undefined);
  const failed = swept.filter(({ error }) => error !== undefined);
  const verb = dryRun ? "would be removed" : "removed";
  const rows = swept.map(({ preview, why, error }) => {
    const fate =
      error !== undefined
        ? `❌ ${error.message}`
        : why === undefined
          ? "stays"
          : `${dryRun ? "would go" : "removed"}: ${why}`;
    const cells = [
      preview.name,
      preview.lastUp === undefined ? "never finished" : age(now - preview.lastUp.getTime()),
      size(preview.memoryBytes),
      size(preview.diskBytes),
      fate,
    ];
    return `| ${cells.map(escapeMarkdown).join(" | ")} |`;
  });
  return joined([
    `### ${failed.length > 0 ? "❌" : "✅"} Previews: ${swept.length - gone.length} stay, ${gone.length} ${verb}${failed.length > 0 ? `, ${failed.length} could not be` : ""}`,
    rows.length === 0
      ? "There are none."
      : ["| Preview | idle for | memory | disk | |", "|---|---:|---:|---:|---|", ...rows].join("\n"),
    `Host: ${escapeMarkdown(where)}`,
  ]);
}

export function age(ms: number): string {
  const hours = ms / 3_600_000;
  if (hours < 1) return `${Math.max(0, Math.round(ms / 60_000))} min`;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
}

export function size(bytes: number | undefined): string {
  if (bytes === undefined) return "not known";
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}
