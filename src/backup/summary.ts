import { findingsTable, MARK } from "../deployment/findings.ts";
import type { Finding } from "../deployment/reach.ts";
import type { ActionError } from "../runner/errors.ts";
import { sizeText } from "../runner/meter.ts";
import { escapeMarkdown, explainedAt, factTable, gantt, seconds, timingsTable } from "../runner/summary.ts";
import type { Timeline } from "../runner/timeline.ts";
import { type Manifest, timeOf } from "./manifest.ts";
import type { PruneReport } from "./prune.ts";

/** What there is to tell about a backup, as far as it got. */
export interface BackupReport {
  readonly id?: string;
  readonly location?: string;
  readonly instance?: string;
  /** The time that the backend itself took for its export. */
  readonly exportMs?: number;
  readonly findings?: readonly Finding[];
  readonly warnings?: readonly string[];
  /** Set once the backup is complete and verified. */
  readonly manifest?: Manifest;
  /** What a failed run had stored could not be removed. */
  readonly leftOver?: boolean;
  readonly pruned?: PruneReport;
  readonly pruneMode?: "apply" | "dry-run" | "off";
}

const MOST_TABLES = 200;
const MOST_FINDINGS = 50;

const count = (value: number): string => value.toLocaleString("en-US");

/** `1 document`, `1,204 documents`. */
export const some = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

function encryptedTo({ encryption }: Manifest): string {
  if (encryption.method === "none") return "⚠️ nobody: everybody who reads the destination reads the data";
  return encryption.recipients.map((recipient) => `\`${recipient}\``).join("<br>");
}

function variablesOf({ env }: Manifest): string {
  const names = some(env.variables.length, "name");
  if (env.values) return `${names}, values in the encrypted bundle`;
  return `${names}, no values`;
}

function codeOf({ code }: Manifest): string {
  return code.assumed ? `${code.commit} (assumed: the commit of this workflow run)` : code.commit;
}

function facts(report: BackupReport): string {
  const { manifest } = report;
  const rows: [string, string | undefined][] = [
    ["Backup", report.id === undefined ? undefined : `\`${report.id}\``],
    ["Where", report.location === undefined ? undefined : escapeMarkdown(report.location)],
    ["Instance", report.instance === undefined ? undefined : escapeMarkdown(report.instance)],
  ];
  if (manifest !== undefined) {
    const { snapshot } = manifest;
    const stored = manifest.objects.reduce((sum, { bytes }) => sum + bytes, 0);
    const files = snapshot.storage === null ? "files not included" : some(snapshot.files, "file");
    rows.push(
      ["Data of", timeOf(snapshot.timestamp)],
      ["Holds", `${some(snapshot.documents, "document")} in ${some(snapshot.tables.length, "table")}, ${files}`],
      ["Size", `${sizeText(stored)} stored, ${sizeText(snapshot.uncompressedBytes)} unpacked`],
      ["SHA-256 of the snapshot", `\`${snapshot.sha256}\``],
      ["Encrypted to", encryptedTo(manifest)],
      ["Variables", variablesOf(manifest)],
      ["Backend", escapeMarkdown(manifest.backend.version)],
      ["Code", escapeMarkdown(codeOf(manifest))],
    );
  }
  const known = rows.filter((row): row is [string, string] => row[1] !== undefined);
  return known.length === 0 ? "" : factTable(known);
}

function warningsOf({ warnings = [], manifest }: BackupReport): string {
  const findings = manifest?.snapshot.findings ?? [];
  const shown = findings.slice(0, MOST_FINDINGS);
  const lines = [
    ...warnings.map((text) => `- ⚠️ ${escapeMarkdown(text)}`),
    ...shown.map(({ level, where, message }) => `- ${MARK[level]} ${escapeMarkdown(`${where}: ${message}`)}`),
  ];
  if (findings.length > shown.length) lines.push(`- … ${findings.length - shown.length} more, all in the manifest`);
  return lines.length === 0 ? "" : `**What to know**\n\n${lines.join("\n")}`;
}

function tablesOf({ manifest }: BackupReport): string {
  if (manifest === undefined) return "";
  const { tables, storage } = manifest.snapshot;
  const largest = [...tables].sort((a, b) => b.bytes - a.bytes).slice(0, MOST_TABLES);
  const rows = largest.map(
    ({ component, name, documents, bytes }) =>
      `| ${escapeMarkdown(name)} | ${escapeMarkdown(component)} | ${count(documents)} | ${sizeText(bytes)} |`,
  );
  const files = (storage ?? [])
    .filter((each) => each.files > 0)
    .map((each) => `| (files) | ${escapeMarkdown(each.component)} | ${count(each.files)} | ${sizeText(each.bytes)} |`);
  const more = tables.length > largest.length ? `\n\n… ${tables.length - largest.length} smaller ones` : "";
  const table = ["| Table | Component | Documents | Size |", "|---|---|---:|---:|", ...rows, ...files].join("\n");
  return `<details><summary>Tables</summary>\n\n${table}${more}\n\n</details>`;
}

function retention({ pruned, pruneMode }: BackupReport): string {
  if (pruned === undefined || pruned.lines.length === 0) return "";
  const rows = pruned.lines.map(({ id, bytes, action, reasons }) => {
    const mark = action === "kept" ? "" : action === "removed" ? "🗑 " : "(dry run) ";
    return `| \`${id}\` | ${sizeText(bytes)} | ${mark}${action}: ${escapeMarkdown(reasons.join(", "))} |`;
  });
  const gone = pruned.lines.filter(({ action }) => action !== "kept").length;
  const verb = pruneMode === "dry-run" ? "would be removed" : "removed";
  const title = `Retention: ${pruned.lines.length - gone} kept, ${gone} ${verb}`;
  const table = ["| Backup | Size | |", "|---|---:|---|", ...rows].join("\n");
  return `<details><summary>${title}</summary>\n\n${table}\n\n</details>`;
}

function timings(timeline: Timeline): string {
  const phases = timeline.phases();
  if (phases.length === 0) return "";
  return `<details><summary>Timings</summary>\n\n${gantt("Backup", phases)}\n\n${timingsTable(timeline)}\n\n</details>`;
}

function nextStep({ id, location, manifest }: BackupReport): string {
  const lines = [
    "- uses: convex-selfhost/action/restore@v1",
    "  with:",
    `    source: ${location}`,
    `    backup-id: ${id}`,
    ...(manifest?.encryption.method === "age" ? [`    identity: \${{ secrets.AGE_IDENTITY }}`] : []),
  ];
  return `**To restore it**, into a backend that this job has started (a drill) or a running one:\n\n\`\`\`yaml\n${lines.join("\n")}\n\`\`\``;
}

const joined = (parts: readonly string[]): string => `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;

/** The job summary of a backup that is complete. */
export function backupSummary(report: BackupReport, timeline: Timeline, now: number): string {
  return joined([
    `### ✅ Backup made and verified in ${seconds(now - timeline.start)}`,
    facts(report),
    warningsOf(report),
    findingsTable("Before anything was made", report.findings ?? []),
    nextStep(report),
    tablesOf(report),
    retention(report),
    timings(timeline),
  ]);
}

function aftermath({ leftOver }: BackupReport): string {
  if (leftOver === undefined) return "Nothing was stored.";
  return leftOver
    ? "What this run had stored could not be removed. It has no manifest, so nothing takes it for a backup. Earlier backups are as they were."
    : "What this run had stored was removed. Earlier backups are as they were.";
}

/** The job summary of a run that made no backup: why, what to do. */
export function failureSummary(error: ActionError, report: BackupReport, timeline: Timeline): string {
  return joined([
    `### ❌ No backup: ${escapeMarkdown(error.message.split("\n")[0] ?? "")}`,
    `**What to do:** ${escapeMarkdown(error.hint)}`,
    explainedAt(error.code, process.env),
    aftermath(report),
    facts(report),
    findingsTable("Before anything was made", report.findings ?? []),
    timings(timeline),
  ]);
}
