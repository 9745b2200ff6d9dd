import type { Annotation } from "../runner/annotations.ts";
import { codeOf, lineOf } from "./source-text.ts";

/** The user's sources as far as an annotation needs them. */
export interface Sources {
  /** Path of the project's root relative to the repository's, with forward slashes; empty when they are the same. */
  readonly prefix: string;
  /** Relative to the project's root (`convex`). */
  readonly functionsPath: string;
  /** Text of a file by its path relative to the project's root; undefined when there is none. */
  read(file: string): string | undefined;
}

function inRepository(sources: Sources, file: string): string {
  const path = file.replaceAll("\\", "/").replace(/^\.\//, "");
  const parts: string[] = [];
  for (const part of `${sources.prefix}/${path}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/**
 * `convex/bad.ts:1:14 - error TS2322: Type …`, and the same as `convex/bad.ts(1,14): error …` where tsc is not asked to
 * be pretty. The lines that go on with a message are indented and stand before the excerpt. The CLI prints each piece
 * that it gets from tsc on a line of its own (its `spawnAsync`), so line breaks may stand between any two tokens.
 */
export function typeErrors(output: string, sources: Sources): Annotation[] {
  const pattern =
    /^(\S.*?\.[cm]?[jt]sx?)\s*(?::\s*(\d+)\s*:\s*(\d+)\s*-|\((\d+),(\d+)\):)\s*error\s+(TS\d+):\s*(\S.*(?:\n[ \t]+\S.*)*)/gm;
  return [...output.matchAll(pattern)].map((match) => ({
    file: inRepository(sources, match[1] ?? ""),
    line: Number(match[2] ?? match[4]),
    column: Number(match[3] ?? match[5]),
    title: match[6] ?? "Type error",
    message: (match[7] ?? "").trim(),
  }));
}

/** esbuild's `✘ [ERROR] text`, blank line, `    file:line:column:`; its columns begin at 0. */
export function bundleErrors(output: string, sources: Sources): Annotation[] {
  const pattern = /^✘ \[ERROR\] (.+)\n(?:\s*\n)?(?:[ \t]+(\S.*):(\d+):(\d+):\n)?/gm;
  return [...output.matchAll(pattern)].map((match) => {
    const [, message = "", file, line, column] = match;
    const known = file !== undefined && !file.startsWith("convex-virtual-config:");
    return {
      title: "Bundling failed",
      message,
      ...(known ? { file: inRepository(sources, file), line: Number(line), column: Number(column) + 1 } : {}),
    };
  });
}

/**
 * The first frame of a backend's stack in the user's own files: `(../convex/x.ts:1:15)`, `(convex.config.ts:0:100)`.
 * Lines there are those of a source map looked up one line too far and counted from 0: the number fits as it is, but
 * for the last statement of a file, where it is one less; the column says nothing (seen in all recordings of
 * contract 5.2 with their sources). So no column is given.
 */
export function stackPlace(message: string, sources: Sources): { file: string; line: number } | undefined {
  for (const match of message.matchAll(/\(([^()\s]+\.[cm]?[jt]sx?):(\d+):\d+\)/g)) {
    const path = match[1] ?? "";
    const file = path.startsWith("../") ? path.slice(3) : `${sources.functionsPath}/${path}`;
    if (file.includes("node_modules/")) continue;
    const text = sources.read(file);
    if (text === undefined) continue;
    const line = Math.min(Math.max(1, Number(match[2])), text.trimEnd().split("\n").length);
    return { file: inRepository(sources, file), line };
  }
  return undefined;
}

/** The source of a module that an error names as `bad.js`, without a line. */
export function modulePlace(message: string, sources: Sources): { file: string } | undefined {
  const name = /`?(?:convex\/)?([\w./-]+)\.js\b/.exec(message)?.[1];
  if (name === undefined) return undefined;
  const file = [".ts", ".tsx", ".js", ".jsx"]
    .map((ending) => `${sources.functionsPath}/${name}${ending}`)
    .find((path) => sources.read(path) !== undefined);
  return file === undefined ? undefined : { file: inRepository(sources, file) };
}

/** Where the schema (of the root, or of a component with the directory `component`) defines a table. */
export function tablePlace(
  table: string | undefined,
  sources: Sources,
  component = "",
): { file: string; line?: number } | undefined {
  const directory = component === "" ? sources.functionsPath : `${sources.functionsPath}/${component}`;
  const file = ["schema.ts", "schema.js"]
    .map((name) => `${directory}/${name}`)
    .find((path) => sources.read(path) !== undefined);
  if (file === undefined) return undefined;
  const place = inRepository(sources, file);
  const text = sources.read(file) ?? "";
  if (table === undefined) return { file: place };
  const at = text.search(new RegExp(`(^|[\\s{,"'])${table}["']?\\s*:`));
  // Not in this schema: then it is a component's, which the backend does not name (contract 5.2).
  return at === -1 ? undefined : { file: place, line: lineOf(text, text.indexOf(table, at)) };
}

/** Where auth.config reads a variable. */
export function authPlace(variable: string, sources: Sources): { file: string; line?: number } | undefined {
  const file = ["auth.config.ts", "auth.config.js"]
    .map((name) => `${sources.functionsPath}/${name}`)
    .find((path) => sources.read(path) !== undefined);
  if (file === undefined) return undefined;
  const text = sources.read(file) ?? "";
  const at = codeOf(text).search(new RegExp(`\\b${variable}\\b`));
  return { file: inRepository(sources, file), ...(at === -1 ? {} : { line: lineOf(text, at) }) };
}
