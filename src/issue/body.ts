import { createHash } from "node:crypto";
import { escapeMarkdown } from "../runner/summary.ts";
import type { IssueFinding } from "./findings.ts";
import type { IssueInputs } from "./inputs.ts";

type Env = Readonly<Record<string, string | undefined>>;

const MARK: Readonly<Record<string, string>> = { error: "❌", warning: "⚠️" };

const hash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** What is wrong, without what is only good to know. */
const wrong = (findings: readonly IssueFinding[]): IssueFinding[] =>
  findings.filter(({ level }) => level === "error" || level === "warning");

/** Tells this issue from all others; put in as an HTML comment, which nobody sees. */
export const markerOf = (key: string): string => `convex-selfhost issue ${hash(key)}`;

/** The same as long as the same things are wrong: only a change is worth a comment. */
export function stateOf({ details, findings }: Pick<IssueInputs, "details" | "findings">): string {
  const checks = wrong(findings).map(({ check, level }) => `${level} ${check}`);
  return hash(checks.length > 0 ? checks.sort().join("\n") : details);
}

/** Where the run is that says so; empty outside of a runner. */
export function runLink(env: Env): string {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run } = env;
  if (!server || !repository || !run) return "";
  return `[Run ${run}](${server}/${repository}/actions/runs/${run})`;
}

function findingsTable(findings: readonly IssueFinding[]): string {
  const rows = wrong(findings).map(
    ({ level, check, what, why, fix }) =>
      `| ${MARK[level]} | ${escapeMarkdown(check)} | ${escapeMarkdown(what)}<br>${escapeMarkdown(why)} | ${escapeMarkdown(fix)} |`,
  );
  return rows.length === 0
    ? ""
    : ["| | Check | What, and why it matters | Fix |", "|---|---|---|---|", ...rows].join("\n");
}

/** The issue's text: what is wrong now, where it was seen, and when it goes away. Markdown. */
export function bodyOf(inputs: IssueInputs, env: Env): string {
  const { workflow, link } = { workflow: env["GITHUB_WORKFLOW"] ?? "", link: runLink(env) };
  const seen = [workflow === "" ? "" : `Workflow ${escapeMarkdown(workflow)}`, link].filter((part) => part !== "");
  const parts = [
    inputs.details === "" ? "" : escapeMarkdown(inputs.details),
    findingsTable(inputs.findings),
    `Last seen: ${seen.join(" · ") || "outside of a workflow"}. This text is kept up to date; the issue is closed by the first run that finds nothing.`,
    `<!-- ${markerOf(inputs.key)} -->\n<!-- state ${stateOf(inputs)} -->`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** The state that a body was written with. */
export const stateIn = (body: string): string | undefined => /<!-- state ([0-9a-f]{16}) -->/.exec(body)?.[1];
