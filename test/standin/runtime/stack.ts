/**
 * Stack traces as the backend writes them (contract 6.2): positions of the original source, lines and columns counted
 * from 0, `at handler (../convex/messages.ts:9:41)`.
 */
import { SourceMap } from "node:module";

/** The parts of a V8 CallSite that are shown. */
interface Site {
  getTypeName(): string | null;
  getFunctionName(): string | null;
  getMethodName(): string | null;
  getScriptNameOrSourceURL(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
  isAsync(): boolean;
  isConstructor(): boolean;
}

/** Frames of the `convex` library between a function and the backend; not shown for queries, mutations and actions. */
const PLUMBING = /convex\/(src|dist)\/.*server\/impl\//;
const MAX_FRAMES = 50;

export interface Frame {
  readonly text: string;
  readonly plumbing: boolean;
}

/** Source maps of loaded modules by script name, parsed when the first error needs them. */
export class SourceMaps {
  readonly #texts = new Map<string, string | undefined>();
  readonly #parsed = new Map<string, SourceMap | null>();

  add(script: string, sourceMap: string | undefined): void {
    this.#texts.set(script, sourceMap);
  }

  delete(script: string): void {
    this.#texts.delete(script);
    this.#parsed.delete(script);
  }

  has(script: string): boolean {
    return this.#texts.has(script);
  }

  /** Position (from 0) in the original file; the given one when there is no map. */
  original(script: string, line: number, column: number): { file: string; line: number; column: number } {
    const entry = this.#map(script)?.findEntry(line, column);
    if (entry === undefined || !("originalSource" in entry)) return { file: displayName(script), line, column };
    return { file: entry.originalSource, line: entry.originalLine, column: entry.originalColumn };
  }

  #map(script: string): SourceMap | null {
    const known = this.#parsed.get(script);
    if (known !== undefined) return known;
    const text = this.#texts.get(script);
    let parsed: SourceMap | null = null;
    try {
      if (text !== undefined) parsed = new SourceMap(JSON.parse(text));
    } catch {
      // A damaged map only costs the original position.
    }
    this.#parsed.set(script, parsed);
    return parsed;
  }
}

/** `convex:<graph>/messages.js` is shown as `messages.js`. */
function displayName(script: string): string {
  return script.replace(/^convex:[^/]*\//, "");
}

/** Frames of user code and of natives called by it; the stand-in's own frames are left out. */
export function frames(sites: readonly Site[], maps: SourceMaps): Frame[] {
  const shown: Frame[] = [];
  let userSeen = 0;
  for (const site of sites.slice(0, MAX_FRAMES)) {
    const script = site.getScriptNameOrSourceURL();
    const native = script === null || script === "";
    if (!native && !maps.has(script)) continue;
    const label = labelOf(site);
    if (native) {
      shown.push({ text: `at ${label} (<anonymous>)`, plumbing: false });
      continue;
    }
    // The recorded positions are those of the generated line after the one that throws; kept as they are.
    const at = maps.original(script, site.getLineNumber() ?? 1, (site.getColumnNumber() ?? 1) - 1);
    shown.push({ text: `at ${label} (${at.file}:${at.line}:${at.column})`, plumbing: PLUMBING.test(at.file) });
    userSeen = shown.length;
  }
  // Natives below the last user frame belong to the stand-in (`evaluate`, `run`, promise jobs).
  return shown.slice(0, userSeen);
}

/** `async handler`, `new VObject`, `use [as use]`, `HttpRouter.route` for a nameless function that is a method. */
function labelOf(site: Site): string {
  const kind = `${site.isAsync() ? "async " : ""}${site.isConstructor() ? "new " : ""}`;
  const name = site.getFunctionName();
  const method = site.isConstructor() ? null : site.getMethodName();
  if (!name) return `${kind}${method === null ? "<anonymous>" : `${site.getTypeName()}.${method}`}`;
  return `${kind}${name}${method === null ? "" : ` [as ${method}]`}`;
}

export function frameText(list: readonly Frame[], options: { plumbing: boolean }): string {
  return list
    .filter((frame) => options.plumbing || !frame.plumbing)
    .map((frame) => `\n    ${frame.text}`)
    .join("");
}
