import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { ActionError } from "../runner/errors.ts";
import type { Project } from "./project.ts";
import { codeOf, lineOf } from "./source-text.ts";

/** One place where the code reads a variable. */
export interface EnvRead {
  readonly name: string;
  /** Relative to the project's root, with forward slashes. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** `?? x`, `|| x` or a default of a destructuring follows: it may well be unset. */
  readonly hasDefault: boolean;
}

/** What the functions' sources tell without being run. */
export interface CodeScan {
  readonly reads: readonly EnvRead[];
  /** Those of `auth.config` and of what it imports by relative paths. */
  readonly authReads: readonly EnvRead[];
  /** Declared by `env` of `defineApp` in convex.config without `v.optional`. */
  readonly required: readonly EnvRead[];
  /** Files with "use node". */
  readonly nodeModules: readonly string[];
  readonly hasComponents: boolean;
  /** The auth config names the backend's own site as an issuer whose keys are fetched from it. */
  readonly usesOwnSite: boolean;
}

const SOURCE = /\.[cm]?[jt]sx?$/;
const LEFT_OUT =
  /(^|\/)(_generated|node_modules|__tests__|__mocks__|\.[^/]*)(\/|$)|\.(test|spec)\.[cm]?[jt]sx?$|\.d\.[cm]?ts$/;
/** Set by the backend itself, or by the CLI's bundler. */
const BUILT_IN = new Set(["CONVEX_CLOUD_URL", "CONVEX_SITE_URL", "NODE_ENV"]);

interface Source {
  readonly path: string;
  readonly file: string;
  readonly text: string;
  readonly code: string;
}

/** Reads the functions directory without running anything in it. */
export async function scanFunctions(project: Project): Promise<CodeScan> {
  const entries = await readdir(project.functionsDirectory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && SOURCE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !LEFT_OUT.test(slashes(relative(project.functionsDirectory, path))))
    .sort();
  const sources = await Promise.all(paths.map((path) => readSource(project, path)));
  const at = (name: string): Source | undefined =>
    sources.find(({ path }) =>
      new RegExp(`^${name}\\.config\\.[jt]s$`).test(relative(project.functionsDirectory, path)),
    );
  const auth = at("auth");
  const config = at("convex");
  const authSources = auth === undefined ? [] : await withImports(project, auth);
  const authReads = authSources.flatMap(readsOf);
  const authFiles = new Set(authSources.map(({ path }) => path));
  return {
    reads: sources.filter(({ path }) => !authFiles.has(path)).flatMap(readsOf),
    authReads,
    required: config === undefined ? [] : requiredBy(config),
    nodeModules: sources.filter(({ text }) => usesNode(text)).map(({ file }) => file),
    hasComponents: config !== undefined && /\.\s*use\s*\(/.test(config.code),
    usesOwnSite: authReads.some(({ name }) => name === "CONVEX_SITE_URL") && ownSiteIsFetched(auth?.code ?? ""),
  };
}

const slashes = (path: string): string => path.replaceAll("\\", "/");

async function readSource(project: Project, path: string): Promise<Source> {
  const text = await readFile(path, "utf8");
  return { path, file: slashes(relative(project.root, path)), text, code: codeOf(text) };
}

/** The directive may only have comments and other directives in front. */
function usesNode(text: string): boolean {
  return /^\s*(?:(?:\/\/.*|\/\*[\s\S]*?\*\/|["']use \w+["'];?)\s*)*["']use node["']/.test(text.replace(/^\uFEFF/, ""));
}

/** With `domain` the backend asks the issuer for its keys; a custom JWT provider names its keys itself (contract 8.4). */
function ownSiteIsFetched(code: string): boolean {
  return (
    /\bdomain\s*:\s*[^,}\n]*\bCONVEX_SITE_URL\b/.test(code) || (/\bdomain\b/.test(code) && !/\bjwks\s*:/.test(code))
  );
}

async function withImports(project: Project, first: Source): Promise<Source[]> {
  const found = new Map([[first.path, first]]);
  for (const source of found.values()) {
    for (const target of relativeImports(source)) {
      const next = await readFirst(project, resolve(dirname(source.path), target), found);
      if (next !== undefined) found.set(next.path, next);
    }
  }
  return [...found.values()];
}

function relativeImports({ text, code }: Source): string[] {
  const targets: string[] = [];
  for (const match of code.matchAll(/\b(?:from|import)\s*(["'])/g)) {
    const start = match.index + match[0].length;
    const target = text.slice(start, code.indexOf(match[1] ?? "", start));
    const typeOnly = /\bimport\s+type\b[^;]*$/.test(code.slice(0, match.index));
    if (target.startsWith(".") && !target.includes("_generated") && !typeOnly) targets.push(target);
  }
  return targets;
}

async function readFirst(
  project: Project,
  base: string,
  known: ReadonlyMap<string, Source>,
): Promise<Source | undefined> {
  const stem = base.replace(/\.[cm]?jsx?$/, "");
  const endings = ["", ".ts", ".tsx", ".js", ".mts", ".mjs", ".jsx", "/index.ts", "/index.js"];
  for (const candidate of [base, ...endings.map((ending) => stem + ending)]) {
    if (known.has(candidate)) return undefined;
    if (!SOURCE.test(candidate)) continue;
    const source = await readSource(project, candidate).catch(() => undefined);
    if (source !== undefined) return source;
  }
  return undefined;
}

const ENV = String.raw`\bprocess\s*(?:\?\.|\.)\s*env`;
const DEFAULT = /^\s*!?\s*(\?\?|\|\|)/;

function readsOf(source: Source): EnvRead[] {
  const { text, code, file } = source;
  const reads: EnvRead[] = [];
  const add = (name: string, index: number, hasDefault: boolean): void => {
    reads.push({ name, file, line: lineOf(text, index), hasDefault });
  };
  for (const match of code.matchAll(new RegExp(String.raw`${ENV}\s*(?:\?\.|!?\.)\s*([A-Za-z_$][\w$]*)`, "g"))) {
    const end = match.index + match[0].length;
    // An assignment writes.
    if (!/^\s*=(?![=>])/.test(code.slice(end))) add(match[1] ?? "", match.index, DEFAULT.test(code.slice(end)));
  }
  for (const match of code.matchAll(new RegExp(String.raw`${ENV}\s*!?\s*(?:\?\.)?\s*\[\s*(["'\x60])`, "g"))) {
    const start = match.index + match[0].length;
    const close = code.indexOf(match[1] ?? "", start);
    const bracket = code.indexOf("]", close);
    const name = text.slice(start, close);
    if (/^[A-Za-z_$][\w$]*$/.test(name)) add(name, match.index, DEFAULT.test(code.slice(bracket + 1)));
  }
  for (const match of code.matchAll(
    new RegExp(String.raw`\{([^{}]*)\}\s*(?::[^=;]*)?=\s*${ENV}(?!\s*!?\s*(?:\?\.|[.[]))\b`, "g"),
  )) {
    for (const part of (match[1] ?? "").split(",")) {
      const item = /^\s*([A-Za-z_$][\w$]*)/.exec(part);
      if (item !== null) add(item[1] ?? "", match.index, part.includes("="));
    }
  }
  return reads.sort((a, b) => a.line - b.line);
}

/** `defineApp({ env: { NAME: v.string(), OTHER: v.optional(…) } })`: the names without `v.optional`. */
function requiredBy(config: Source): EnvRead[] {
  const { text, code, file } = config;
  const open = /\bdefineApp\s*\(\s*\{[^{}]*?\benv\s*:\s*\{/.exec(code);
  if (open === null) return [];
  const start = open.index + open[0].length;
  const body = code.slice(start, code.indexOf("}", start));
  const items = body.matchAll(/([A-Za-z_$][\w$]*)\s*:\s*(v\s*\.\s*optional)?/g);
  return [...items]
    .filter((item) => item[2] === undefined)
    .map((item) => ({ name: item[1] ?? "", file, line: lineOf(text, start + item.index), hasDefault: false }));
}

/**
 * Compares what the code reads with the names that are set, so that all gaps show before the first push instead of
 * one a deploy (contract 12).
 */
export function missingVariables(scan: CodeScan, known: ReadonlySet<string>): { notice?: string; error?: ActionError } {
  const absent = (reads: readonly EnvRead[]): EnvRead[] =>
    reads.filter(({ name, hasDefault }) => !hasDefault && !known.has(name) && !BUILT_IN.has(name));
  const auth = absent(scan.authReads);
  const required = absent(scan.required);
  const declared = new Set(required.map(({ name }) => name));
  const others = absent(scan.reads).filter(({ name }) => !declared.has(name));
  const parts: string[] = [];
  if (required.length > 0) {
    parts.push(
      `convex.config.ts requires ${listed(required)} and nothing sets them: releases since 2026-05-06 refuse the deploy.`,
    );
  }
  if (others.length > 0)
    parts.push(`The functions read ${listed(others)} and nothing sets them: they are undefined there.`);
  return {
    ...(parts.length === 0 ? {} : { notice: parts.join(" ") }),
    ...(auth.length === 0 ? {} : { error: authError(auth) }),
  };
}

function authError(reads: readonly EnvRead[]): ActionError {
  return new ActionError(
    "auth-variable-missing",
    `auth.config reads ${listed(reads)} and nothing sets them, so the backend would refuse the deploy.`,
    "Set them by env, env-file or env-names.",
  );
}

/** `A (convex/a.ts:3), B (convex/b.ts:7)`: each name once, with its first place. */
export function listed(reads: readonly EnvRead[]): string {
  const first = new Map<string, EnvRead>();
  for (const read of reads) if (!first.has(read.name)) first.set(read.name, read);
  return [...first.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, file, line }) => `${name} (${file}:${line})`)
    .join(", ");
}
