import dotenv from "dotenv";
import { ActionError } from "../runner/errors.ts";

/** Variables of one text, in its order. */
export interface ParsedText {
  readonly variables: ReadonlyMap<string, string>;
  readonly notices: readonly string[];
}

/**
 * Names that `convex env set --from-file` leaves out, because they are for the machine that runs the CLI
 * (contract 4.3; `EXPECTED_CONVEX_URL_NAMES` and its neighbours in the CLI).
 */
const FRAMEWORKS = ["", "PUBLIC_", "NEXT_PUBLIC_", "VITE_", "REACT_APP_", "EXPO_PUBLIC_"];
export const CLI_MANAGED: ReadonlySet<string> = new Set([
  "CONVEX_DEPLOY_KEY",
  "CONVEX_DEPLOYMENT_TOKEN",
  "CONVEX_DEPLOYMENT",
  "CONVEX_SELF_HOSTED_URL",
  "CONVEX_SELF_HOSTED_ADMIN_KEY",
  ...FRAMEWORKS.flatMap((prefix) => [`${prefix}CONVEX_URL`, `${prefix}CONVEX_SITE_URL`]),
]);

/**
 * Reads a text in the dialect of `convex env set --from-file` (contract 4.3). The values are dotenv's, the parser that
 * the CLI bundles, so they are the CLI's byte for byte. What dotenv passes over in silence is an error here, with line
 * and variable name and never the text: it may be a piece of a secret.
 *
 * @param source how errors call it (`env`, `env-file .env.test`)
 */
export function parseVariables(text: string, source: string): ParsedText {
  const notices: string[] = [];
  const entries = scan(text.replace(/\r\n?/g, "\n"), source, notices);
  const parsed = dotenv.parse(text);
  const variables = new Map<string, string>();
  const skipped: string[] = [];
  for (const name of new Set(entries)) {
    const value = Object.hasOwn(parsed, name) ? parsed[name] : undefined;
    if (value === undefined) {
      throw defect(
        source,
        `${name} is written in a way that is not understood.`,
        'Write it as NAME="value" on a line of its own.',
      );
    }
    if (CLI_MANAGED.has(name)) skipped.push(name);
    else variables.set(name, value);
  }
  const seen = new Set<string>();
  const twice = new Set(entries.filter((name) => seen.size === seen.add(name).size));
  if (twice.size > 0) notices.push(`${source} sets ${[...twice].join(", ")} more than once; the last one counts.`);
  if (skipped.length > 0) {
    notices.push(
      `${source}: ${skipped.join(", ")} left out, as \`convex env set\` does: they are for the CLI, not for functions.`,
    );
  }
  return { variables, notices };
}

function defect(source: string, what: string, hint: string): ActionError {
  return new ActionError("env-unreadable", `${source}: ${what}`, hint);
}

/** The names in `text` in order; throws at the first place that dotenv would skip or misread. */
function scan(text: string, source: string, notices: string[]): string[] {
  const names: string[] = [];
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const end = endOfLine(text, at);
    const head = /^\s*(?:export\s+)?([\w.-]+)[^\S\n]*(?:=|:(?=[^\S\n]))/.exec(text.slice(at, end));
    let next = end;
    if (head !== null) {
      const name = head[1] ?? "";
      const valueAt = at + head[0].length;
      next = endOfValue(text, valueAt, end, { name, line, source, notices });
      names.push(name);
    } else if (!/^\s*(#|$)/.test(text.slice(at, end))) {
      const after = names.at(-1);
      throw defect(
        source,
        `line ${line}${after === undefined ? "" : ` (after ${after})`} is no NAME=value, so it would be passed over.`,
        "Put a value with line breaks in double quotes, and # in front of comments.",
      );
    }
    line += text.slice(at, next + 1).split("\n").length - 1;
    at = next + 1;
  }
  return names;
}

interface Place {
  readonly name: string;
  readonly line: number;
  readonly source: string;
  readonly notices: string[];
}

/** Index of the line end behind a value, which is on another line than it began for a quoted one. */
function endOfValue(text: string, start: number, end: number, place: Place): number {
  const { name, line, source } = place;
  const rest = text.slice(start, end);
  const indent = rest.length - rest.trimStart().length;
  const quote = rest[indent] ?? "";
  if (!["'", '"', "`"].includes(quote)) {
    if (/\S#/.test(rest)) {
      place.notices.push(
        `${source} line ${line}: the value of ${name} ends before the #. Quote the value if the # belongs to it.`,
      );
    }
    return end;
  }
  const close = closingQuote(text, start + indent, quote);
  if (close !== undefined) return endOfLine(text, close);
  const more = rest.slice(indent + 1).includes(quote);
  throw defect(
    source,
    more
      ? `${name} in line ${line} has text behind its closing quote, or a ${quote} inside the value.`
      : `${name} in line ${line} begins with a ${quote} that is never closed.`,
    `Close the quote at the end of the value; a value that holds ${quote} goes in other quotes, or by env-names.`,
  );
}

/**
 * The quote that ends a value: the first one without a backslash in front if nothing but blanks or a comment follows
 * on its line, else an earlier one with a backslash for which that holds (a Windows path: `"C:\"`).
 */
function closingQuote(text: string, open: number, quote: string): number | undefined {
  const candidates: number[] = [];
  for (let at = text.indexOf(quote, open + 1); at !== -1; at = text.indexOf(quote, at + 1)) {
    candidates.push(at);
    if (text[at - 1] !== "\\") break;
  }
  return candidates.reverse().find((at) => /^\s*(#.*)?$/.test(text.slice(at + 1, endOfLine(text, at))));
}

function endOfLine(text: string, from: number): number {
  const at = text.indexOf("\n", from);
  return at === -1 ? text.length : at;
}
