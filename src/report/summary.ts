import type { ActionError } from "../runner/errors.ts";
import { escapeMarkdown, explainedAt, factTable, gantt, seconds } from "../runner/summary.ts";
import { span } from "./html.ts";
import { met, type Objective, type Report, type ReportRow } from "./report.ts";

/** How many rows a summary lists; the report has all. */
const MOST_ROWS = 100;

const count = (value: number): string => value.toLocaleString("en-US");

function objectiveRow(objective: Objective): [string, string] {
  const { name, limitSeconds } = objective;
  const limit = limitSeconds === undefined ? "" : ` ${met(objective) ? "✅ of" : "❌ over"} ${span(limitSeconds)}`;
  return [name, `${span(objective.seconds)}${limit}`];
}

const CONTENT = { equal: "✅ equal", different: "❌ different", "not compared": "not compared" } as const;

function table(rows: readonly ReportRow[]): string {
  const wrong = ({ content }: ReportRow): boolean => content === "different";
  const sorted = [...rows].sort((a, b) => Number(wrong(b)) - Number(wrong(a)));
  const lines = sorted.slice(0, MOST_ROWS).map(({ name, expected, found, content, samples = [] }) => {
    const ids = samples.map(({ id, how }) => `<br>${how}: \`${id}\``).join("");
    const seen = found === undefined ? "–" : count(found);
    return `| ${escapeMarkdown(name)}${ids} | ${count(expected)} | ${seen} | ${CONTENT[content]} |`;
  });
  const more = rows.length - lines.length;
  return [
    "| Table | Expected | Found | Content |",
    "|---|---:|---:|---|",
    ...lines,
    ...(more > 0 ? ["", `${count(more)} more are in the report.`] : []),
  ].join("\n");
}

const bullets = (lines: readonly string[]): string => lines.map((line) => `- ${escapeMarkdown(line)}`).join("\n");

/** The job summary of a restore, a drill or a rehearsal. */
export function reportSummary(report: Report, failure: ActionError | undefined): string {
  const { objectives, tables, checks, phases, notes, facts } = report;
  const [mark, first] = failure === undefined ? ["✅", report.headline] : ["❌", failure.message.split("\n")[0] ?? ""];
  const parts = [
    `### ${mark} ${report.title}: ${escapeMarkdown(first)}`,
    ...(failure === undefined
      ? []
      : [`**What to do:** ${escapeMarkdown(failure.hint)}`, explainedAt(failure.code, process.env)]),
    objectives.length === 0 ? "" : factTable(objectives.map(objectiveRow)),
    bullets(notes),
    ...tables.map(({ title, rows }) => (rows.length === 0 ? "" : `**${title}**\n\n${table(rows)}`)),
    checks.length === 0
      ? ""
      : `**Checks**\n\n${checks.map(({ name, ok, detail }) => `- ${ok ? "✅" : "❌"} \`${name}\`${detail === undefined ? "" : `: ${escapeMarkdown(detail)}`}`).join("\n")}`,
    ...facts.map(({ title, facts: rows }) =>
      rows.length === 0
        ? ""
        : `<details><summary>${title}</summary>\n\n${factTable(rows.map(([name, value]) => [name, escapeMarkdown(value)]))}\n\n</details>`,
    ),
    phases.length === 0 ? "" : gantt(report.title, phases),
    `Took ${seconds(report.endedAt.getTime() - report.startedAt.getTime())}; the whole report is a page of its own (output \`report\`).`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n\n`;
}
