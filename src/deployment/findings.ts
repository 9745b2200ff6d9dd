import { escapeMarkdown } from "../runner/summary.ts";
import type { Finding } from "./reach.ts";

export const MARK = { error: "❌", warning: "⚠️", notice: "ℹ️" } as const;

/** What was found before anything was done, as a part of a job summary; empty where nothing was. */
export function findingsTable(title: string, findings: readonly Finding[]): string {
  if (findings.length === 0) return "";
  const rows = findings.map(
    ({ level, code, message, hint }) =>
      `| ${MARK[level]} | \`${code}\` | ${escapeMarkdown(message)} | ${escapeMarkdown(hint)} |`,
  );
  return [`**${title}**`, "", "| | Code | What | Fix |", "|---|---|---|---|", ...rows].join("\n");
}
