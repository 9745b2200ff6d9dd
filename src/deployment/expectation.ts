import type { ActionError } from "../runner/errors.ts";
import { type FunctionCall, parseCalls } from "./functions.ts";

/** One line of `checks` or `smoke`: what is asked, and what it has to answer. */
export interface Expectation {
  readonly target: { readonly url: string } | { readonly call: FunctionCall };
  /** JSON; absent where none was written. */
  readonly expected?: unknown;
}

/** Where the JSON object or list that a text begins with ends; -1 where it does not end. */
function endOfJson(text: string): number {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quoted) {
      if (char === "\\") at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if ("{[".includes(char)) depth += 1;
    else if ("}]".includes(char)) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

/** The line up to where the URL, or the function's arguments, end; what is behind it begins with `=>`, or is nothing. */
function split(line: string): { readonly asked: string; readonly behind: string } {
  const [first = ""] = /^\S*/.exec(line) ?? [];
  const rest = line.slice(first.length).trimStart();
  const end = rest.startsWith("{") ? endOfJson(rest) : 0;
  const behind = end === -1 ? "" : rest.slice(end).trimStart();
  // What is neither arguments nor an arrow belongs to what is asked, which is then refused.
  if (behind !== "" && !behind.startsWith("=>")) return { asked: line, behind: "" };
  return { asked: line.slice(0, line.length - behind.length).trim(), behind };
}

/**
 * Reads `path:name {json} => {json}` or `URL => {json}`, where the arguments, and what stands behind ` => `, may be left
 * out.
 * @param refuse makes the error of half a sentence
 * @param strange that half for a line which names neither
 */
export function parseExpectation(line: string, strange: string, refuse: (what: string) => ActionError): Expectation {
  const { asked, behind } = split(line.trim());
  const answer = behind === "" ? {} : { expected: parseExpected(behind.slice(2), refuse) };
  if (/^https?:\/\//.test(asked)) {
    if (/\s/.test(asked) || !URL.canParse(asked)) throw refuse("has a URL that is none");
    return { target: { url: asked }, ...answer };
  }
  return { target: { call: parseCall(asked, () => refuse(strange)) }, ...answer };
}

function parseCall(text: string, refuse: () => ActionError): FunctionCall {
  let call: FunctionCall | undefined;
  try {
    [call] = parseCalls(text);
  } catch {
    throw refuse();
  }
  if (call === undefined) throw refuse();
  return call;
}

function parseExpected(text: string, refuse: (what: string) => ActionError): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refuse("has no JSON behind =>");
  }
}
