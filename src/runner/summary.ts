import { summary, warning } from "@actions/core";
import { messageOf } from "./errors.ts";
import { redactKnown } from "./mask.ts";

/** The runner refuses a summary of 1 MiB and more. */
const LARGEST_SUMMARY = 1024 * 1024 - 4096;

/** Makes foreign text safe inside Markdown and its tables: nothing in it is taken for markup, HTML or a mention. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/[\\`*[\]|~#@]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/\r?\n/g, "<br>");
}

/** A table of two columns without a head, as the first thing under a title. */
export function factTable(rows: readonly (readonly [string, string])[]): string {
  return ["| | |", "|---|---|", ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join("\n");
}

/** Where an error code is explained: the section in the version of this action that runs, where the runner tells it. */
export function explainedAt(code: string, env: Readonly<Record<string, string | undefined>>): string {
  const { GITHUB_SERVER_URL: server, GITHUB_ACTION_REPOSITORY: repository, GITHUB_ACTION_REF: ref } = env;
  if (!server || !repository || !ref) return `Code \`${code}\`: docs/troubleshooting.md has more.`;
  return `Code [\`${code}\`](${server}/${repository}/blob/${ref}/docs/troubleshooting.md#${code}) has more.`;
}

/** One phase of a run; times in milliseconds since the epoch. */
export interface Phase {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** A mermaid gantt, in which overlaps can be seen. Empty without phases. */
export function gantt(title: string, phases: readonly Phase[]): string {
  if (phases.length === 0) return "";
  const zero = Math.min(...phases.map((phase) => phase.from));
  const rows = phases.map(({ name, from, to }) => {
    const length = Math.max(1, Math.round(to - from));
    return `  ${name} ${seconds(length)} : ${Math.round(from - zero)}, ${Math.round(from - zero) + length}`;
  });
  return ["```mermaid", "gantt", `  title ${title}`, "  dateFormat x", "  axisFormat %M:%S.%L", ...rows, "```"].join(
    "\n",
  );
}

/** When each phase began and how long it took; empty without phases. */
export function timingsTable(timeline: { readonly start: number; phases(): readonly Phase[] }): string {
  const { start } = timeline;
  const rows = timeline
    .phases()
    .map(({ name, from, to }) => `| ${name} | ${seconds(from - start)} | ${seconds(to - from)} |`);
  return rows.length === 0 ? "" : ["| Phase | began after | took |", "|---|---:|---:|", ...rows].join("\n");
}

/** `0.9 s`, `12 s`, `3 min 20 s`. */
export function seconds(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const whole = Math.round(ms / 1000);
  return whole < 120 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Appends to the job summary; what does not fit is cut with a pointer to the log. */
export async function writeSummary(markdown: string): Promise<void> {
  if ((process.env["GITHUB_STEP_SUMMARY"] ?? "") === "") return;
  let text = redactKnown(markdown);
  if (Buffer.byteLength(text) > LARGEST_SUMMARY) {
    text = `${Buffer.from(text).subarray(0, LARGEST_SUMMARY).toString("utf8")}\n\n(Cut here: the rest is in the log.)`;
  }
  try {
    await summary.addRaw(text, true).write();
  } catch (error) {
    // A summary is told, not done: it must neither fail a good run nor hide why a bad one failed.
    warning(`The job summary could not be written: ${messageOf(error)}`);
  }
}
