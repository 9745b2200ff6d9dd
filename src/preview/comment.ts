import type { Changes } from "../deploy/changes.ts";
import { changesTable } from "../deploy/summary.ts";
import type { ActionError } from "../runner/errors.ts";
import { escapeMarkdown } from "../runner/summary.ts";

/** What a pull request is told about its preview that is up. */
export interface PreviewFacts {
  readonly url: string;
  readonly siteUrl: string;
  readonly dashboardUrl?: string;
  /** The whole SHA. */
  readonly commit: string;
  /** What this push changed against what the preview served before. Undefined: nobody compared. */
  readonly changes?: Changes;
  /** The commit of the last whole `up` before it. */
  readonly after?: string;
  readonly created: Date;
  readonly updated: Date;
  /** When it goes unless there is another `up`; undefined: when the pull request is closed. */
  readonly expires?: Date;
  /** A fork's code: runs with `fork-env` alone. */
  readonly fork: boolean;
  readonly notes?: readonly string[];
}

export const markerOf = (name: string): string => `convex-selfhost preview ${name}`;

/** `2026-11-27 18:05 UTC`: a comment is read in many places and much later. */
export function minute(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

const short = (commit: string): string => `\`${commit.slice(0, 7)}\``;
const joined = (parts: readonly string[]): string => parts.filter((part) => part !== "").join("\n\n");

function link(text: string, url: string): string {
  return `[${escapeMarkdown(text)}](${encodeURI(url).replace(/[()]/g, escape)})`;
}

const [BEGIN, END] = ["<!-- changes -->", "<!-- end of changes -->"] as const;

/** Says what is compared with what, because readers take it for the base branch. */
export function changesTitle(after: string | undefined): string {
  return `What this push changed in the preview${after === undefined ? "" : `, which served ${short(after)} before`}`;
}

function changesOf({ changes, after }: PreviewFacts): string {
  if (changes === undefined) return "";
  const table = changesTable(changes);
  const title = changesTitle(after);
  // What breaks clients must be seen without a tap.
  const shown =
    changes.breaking.length > 0
      ? `**${title}**\n\n${table}`
      : `<details><summary>${title}</summary>\n\n${table}\n\n</details>`;
  return `${BEGIN}\n${shown}\n${END}`;
}

/** What the comment said of the same commit: an `up` that has nothing to push changes nothing of it. */
function keptChanges({ commit }: PreviewFacts, former: string | undefined): string {
  if (former?.includes(`Commit ${short(commit)} ·`) !== true) return "";
  const [from, to] = [former.indexOf(BEGIN), former.indexOf(END)];
  return from < 0 || to < from ? "" : former.slice(from, to + END.length);
}

/** The comment of a preview that is up. Takes no credential, so none can be in it. */
export function readyComment(facts: PreviewFacts, former?: string): string {
  const goes =
    facts.expires === undefined
      ? "Goes away when this pull request is closed."
      : `Goes away when this pull request is closed, or on ${minute(facts.expires)} without another push.`;
  const links = [
    facts.dashboardUrl === undefined ? "" : link("Dashboard", facts.dashboardUrl),
    link("HTTP actions", facts.siteUrl),
  ];
  return joined([
    `### ✅ ${link(facts.url, facts.url)}`,
    links.filter((text) => text !== "").join(" · "),
    `Commit ${short(facts.commit)} · updated ${minute(facts.updated)} · created ${minute(facts.created)}`,
    facts.fork
      ? "Code from outside: it runs apart from other previews, and has the variables of `fork-env` alone."
      : "",
    changesOf(facts) || keptChanges(facts, former),
    (facts.notes ?? []).map((note) => `- ${escapeMarkdown(note)}`).join("\n"),
    goes,
  ]);
}

/** The comment of an `up` that failed; `former` is what is still served, if anything. */
export function failedComment(
  error: ActionError,
  what: { readonly commit: string; readonly url?: string; readonly runUrl?: string },
): string {
  return joined([
    `### ❌ No preview of ${short(what.commit)}`,
    escapeMarkdown(error.message.split("\n")[0] ?? ""),
    `**What to do:** ${escapeMarkdown(error.hint)}`,
    what.url === undefined ? "" : `What was deployed before may still be at ${link(what.url, what.url)}.`,
    what.runUrl === undefined ? "" : link("The run", what.runUrl),
  ]);
}

/** One line, which stays after the preview is gone. */
export function removedComment(when: Date, why: string): string {
  return `Preview removed on ${minute(when)}: ${escapeMarkdown(why)}.`;
}

const WAITING = "⚠️ **Waiting:** ";

/** Tells a fork's author and the maintainers what its pull request waits for; a preview of a former commit stays in sight. */
export function waitingComment(why: string, former: string | undefined): string {
  const shown = former?.split(`\n\n${WAITING}`)[0] ?? "";
  return joined([shown.startsWith("### ✅") ? shown : "", `${WAITING}${escapeMarkdown(why)}.`]);
}
