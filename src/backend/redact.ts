import { stripVTControlCharacters } from "node:util";
import { maskedForms } from "../runner/mask.ts";

/**
 * What the backend's own log may hold: query strings with tokens (contract 1.1), admin keys, database URLs. Values of
 * query parameters go by their names, since those of HTTP actions are the app's.
 */
/** A line is cut there before it is searched: what is longer is data, and nobody reads it in a log. */
const LONGEST_LINE = 16_000;

// Every repetition is bounded: a line of a stranger's making must not cost more than a moment.
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [
    /([?&][\w.-]{0,64}(?:token|key|secret|password|passwd|code|signature|sig|credential)[\w.-]{0,64}=)[^&\s"']+/gi,
    "$1***",
  ],
  [/(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@]{0,256}:)[^\s]{0,2048}@/gi, "$1***@"],
  [/[\w:.-]{0,128}\|[0-9a-f]{40,}/gi, "***"],
  [/\b(Authorization|authorization)(["']?\s*[:=]\s*["']?\w+\s+)[^\s"']+/g, "$1$2***"],
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, "***"],
];

/**
 * Cleans lines of a backend's log: colours off, the given secrets in all their forms out, and what looks like a token,
 * an admin key or a password in a URL.
 */
export function redactor(secrets: readonly string[]): (line: string) => string {
  const forms = [...new Set(secrets.flatMap(maskedForms))].sort((a, b) => b.length - a.length);
  return (line) => {
    const plain = stripVTControlCharacters(line);
    let clean = plain.length > LONGEST_LINE ? `${plain.slice(0, LONGEST_LINE)} … (${plain.length} characters)` : plain;
    for (const form of forms) clean = clean.replaceAll(form, "***");
    for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement);
    return clean;
  };
}
