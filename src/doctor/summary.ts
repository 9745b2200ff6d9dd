import { escapeMarkdown, seconds } from "../runner/summary.ts";
import { type Finding, type Level, worstFirst } from "./finding.ts";

const MARK: Readonly<Record<Level, string>> = { error: "❌", warning: "⚠️", notice: "ℹ️", ok: "✅" };

export const countOf = (findings: readonly Finding[], level: Level): number =>
  findings.filter((finding) => finding.level === level).length;

/** `2 errors and 1 warning`; `nothing wrong` without any. */
export function verdictOf(findings: readonly Finding[]): string {
  const many = (count: number, what: string): string[] =>
    count === 0 ? [] : [`${count} ${what}${count === 1 ? "" : "s"}`];
  const parts = [...many(countOf(findings, "error"), "error"), ...many(countOf(findings, "warning"), "warning")];
  return parts.length === 0 ? "nothing wrong" : parts.join(" and ");
}

const lines = (...texts: readonly string[]): string =>
  texts
    .filter((text) => text !== "")
    .map(escapeMarkdown)
    .join("<br>");

/** The job summary: what is wrong first, each with its fix; what is well folded away. */
export function doctorSummary(url: string, findings: readonly Finding[], ms: number): string {
  const mark = countOf(findings, "error") > 0 ? "❌" : countOf(findings, "warning") > 0 ? "⚠️" : "✅";
  const sorted = worstFirst(findings);
  const told = sorted.filter(({ level }) => level !== "ok");
  const well = sorted.filter(({ level }) => level === "ok");
  const rows = told.map(
    ({ level, check, what, why, fix }) => `| ${MARK[level]} | \`${check}\` | ${lines(what, why)} | ${lines(fix)} |`,
  );
  const parts = [
    `### ${mark} Doctor: ${verdictOf(findings)} at ${escapeMarkdown(url)}`,
    rows.length === 0 ? "" : ["| | Check | What, and why it matters | Fix |", "|---|---|---|---|", ...rows].join("\n"),
    well.length === 0
      ? ""
      : `<details><summary>${well.length} found well</summary>\n\n${well.map(({ check, what }) => `- ✅ \`${check}\` ${escapeMarkdown(what)}`).join("\n")}\n\n</details>`,
    `${findings.length} ${findings.length === 1 ? "finding" : "findings"} in ${seconds(ms)}. docs/doctor.md explains each check.`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;
}
