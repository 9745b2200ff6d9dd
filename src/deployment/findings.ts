import { annotateErrors } from "../runner/annotations.ts";
import { ActionError } from "../runner/errors.ts";
import { escapeMarkdown } from "../runner/summary.ts";
import type { Log } from "../system/deps.ts";
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

/**
 * Says all that was found, and ends here where any of it is an error: the first is the step's own, the others are
 * annotations beside it.
 * @throws ActionError
 */
export function settle(findings: readonly Finding[], log: Log): void {
  const [first, ...others] = findings.filter(({ level }) => level === "error");
  for (const { level, code, message, hint } of findings) {
    if (level !== "error") log.warning(`[${code}] ${message} → ${hint}`);
  }
  if (first === undefined) return;
  annotateErrors(others.map(({ code, message, hint }) => ({ title: code, message: `${message} → ${hint}` })));
  throw new ActionError(first.code, first.message, first.hint);
}
