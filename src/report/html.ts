import { seconds } from "../runner/summary.ts";
import { escapeHtml } from "./escape.ts";
import { met, type Objective, type Report, type ReportCheck, type ReportRow, type ReportTable } from "./report.ts";
import { STYLE } from "./style.ts";
import { timelineSvg } from "./timeline.ts";

/** A page with more rows would be slow to open; the JSON beside it has all. */
const MOST_ROWS = 2000;

const count = (value: number): string => value.toLocaleString("en-US");

/** `4.2 s`, `3 min 20 s`, `26 h 5 min`, `15 min`: an age can be days. */
export function span(wholeSeconds: number): string {
  const minutes = Math.round(wholeSeconds / 60);
  const hours = Math.floor(minutes / 60);
  const text =
    minutes < 60
      ? seconds(wholeSeconds * 1000)
      : hours < 48
        ? `${hours} h ${minutes % 60} min`
        : `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return text.replace(/ 0 (s|min|h)$/, "");
}

function objective(one: Objective): string {
  const { name, what, limitSeconds } = one;
  const ok = met(one);
  const share = limitSeconds === undefined ? undefined : Math.min(100, (one.seconds / limitSeconds) * 100);
  const limit =
    share === undefined || limitSeconds === undefined
      ? '<p class="quiet">No limit was set.</p>'
      : `<div class="meter${ok ? "" : " over"}"><i style="width:${share.toFixed(1)}%"></i></div>` +
        `<p class="quiet">${ok ? "within" : "over"} the limit of ${escapeHtml(span(limitSeconds))}</p>`;
  return `<section><h2>${escapeHtml(name)}</h2><p class="number${ok ? "" : " bad"}">${escapeHtml(span(one.seconds))}</p>${limit}<p class="quiet">${escapeHtml(what)}</p></section>`;
}

const CONTENT = {
  equal: '<span class="good">equal</span>',
  different: '<span class="bad">different</span>',
  "not compared": '<span class="quiet">not compared</span>',
} as const;

function row({ name, expected, found, content, samples = [] }: ReportRow): string {
  const wrong = found !== undefined && found !== expected;
  const listed = samples
    .map(({ id, how }) => `<div class="quiet">${escapeHtml(how)}: <code>${escapeHtml(id)}</code></div>`)
    .join("");
  return (
    `<tr><td>${escapeHtml(name)}${listed}</td><td class="count">${count(expected)}</td>` +
    `<td class="count${wrong ? " bad" : ""}">${found === undefined ? "–" : count(found)}</td><td>${CONTENT[content]}</td></tr>`
  );
}

/** What differs comes first: nobody should have to look for it. */
function table({ title, rows }: ReportTable): string {
  const wrong = ({ expected, found, content }: ReportRow): boolean => content === "different" || found !== expected;
  const sorted = [...rows].sort((a, b) => Number(wrong(b)) - Number(wrong(a)));
  const more = sorted.length - MOST_ROWS;
  const rest = more > 0 ? `<p class="quiet">${count(more)} more are in the JSON report.</p>` : "";
  const body =
    rows.length === 0
      ? '<p class="quiet">No tables.</p>'
      : `<table><thead><tr><th>Table</th><th class="count">Expected</th><th class="count">Found</th><th>Content</th></tr></thead><tbody>${sorted.slice(0, MOST_ROWS).map(row).join("")}</tbody></table>${rest}`;
  return `<section><h2>${escapeHtml(title)}</h2>${body}</section>`;
}

function check({ name, ok, detail }: ReportCheck): string {
  const mark = ok ? '<span class="mark good">✓</span>' : '<span class="mark bad">✗</span>';
  const more = detail === undefined ? "" : ` <span class="quiet">${escapeHtml(detail)}</span>`;
  return `<li>${mark} <code>${escapeHtml(name)}</code>${more}</li>`;
}

const list = (title: string, items: readonly string[]): string =>
  items.length === 0 ? "" : `<section><h2>${title}</h2><ul>${items.join("")}</ul></section>`;

function facts(report: Report): string {
  const groups = report.facts
    .filter(({ facts: rows }) => rows.length > 0)
    .map(({ title, facts: rows }) => {
      const pairs = rows.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`);
      return `<div class="facts"><h3>${escapeHtml(title)}</h3><dl>${pairs.join("")}</dl></div>`;
    });
  return groups.length === 0 ? "" : `<section><h2>What was done with what</h2>${groups.join("")}</section>`;
}

const MARK = { passed: "✓", failed: "✗", unfinished: "!" } as const;

function head(report: Report): string {
  const { verdict, title, headline, startedAt, endedAt, failure } = report;
  const at = `${startedAt.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const took = seconds(endedAt.getTime() - startedAt.getTime());
  const why = failure === undefined ? "" : `<p class="failure">${escapeHtml(failure)}</p>`;
  return `<header class="${verdict}"><h1>${escapeHtml(title)}</h1><p class="headline">${MARK[verdict]} ${escapeHtml(headline)}</p><p class="when">${at} · took ${escapeHtml(took)}</p>${why}</header>`;
}

/**
 * The report as one file that opens anywhere: no script, nothing loaded (the policy in its head forbids both), every
 * text escaped.
 */
export function reportHtml(report: Report): string {
  const picture = timelineSvg(report.phases);
  const parts = [
    head(report),
    report.objectives.length === 0 ? "" : `<div class="objectives">${report.objectives.map(objective).join("")}</div>`,
    list(
      "What to know",
      report.notes.map((note) => `<li>${escapeHtml(note)}</li>`),
    ),
    picture === "" ? "" : `<section><h2>Where the time went</h2>${picture}</section>`,
    ...report.tables.map(table),
    list("Checks", report.checks.map(check)),
    facts(report),
  ];
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${escapeHtml(`${MARK[report.verdict]} ${report.title}`)}</title><style>${STYLE}</style></head><body><main>`,
    ...parts.filter((part) => part !== ""),
    "<footer>Made by convex-selfhost/action. The JSON file beside this page has the same content for programs.</footer>",
    "</main></body></html>",
    "",
  ].join("\n");
}
