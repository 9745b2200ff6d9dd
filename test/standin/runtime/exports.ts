/** What a loaded module exports: functions, HTTP routes, crons (contract 5.2, `analysis`). */

import type { Graph } from "./graph.ts";
import type { ExportedFunction, ModuleExports, Position } from "./protocol.ts";
import type { SourceMaps } from "./stack.ts";

interface Registered {
  readonly isQuery?: boolean;
  readonly isMutation?: boolean;
  readonly isAction?: boolean;
  readonly isPublic?: boolean;
  readonly isInternal?: boolean;
  readonly exportArgs?: () => string;
  readonly exportReturns?: () => string;
  readonly _handler?: unknown;
}

interface RouterLike {
  readonly isRouter: true;
  getRoutes(): readonly (readonly [string, string, Registered])[];
}

export interface CronsLike {
  readonly isCrons: true;
  export(): string;
}

const ANY = '{"type":"any"}';

export function isRegistered(value: unknown): value is Registered {
  return (typeof value === "function" || (typeof value === "object" && value !== null)) && kindOf(value) !== undefined;
}

function kindOf(value: object): "Query" | "Mutation" | "Action" | undefined {
  const { isQuery, isMutation, isAction } = value as Registered;
  return isQuery ? "Query" : isMutation ? "Mutation" : isAction ? "Action" : undefined;
}

export function isRouter(value: unknown): value is RouterLike {
  return typeof value === "object" && value !== null && (value as { isRouter?: unknown }).isRouter === true;
}

/** Functions in source order. Throws what a validator throws when it is exported. */
export function functionsOf(
  graph: Graph,
  path: string,
  namespace: Record<string, unknown>,
  maps: SourceMaps,
): ExportedFunction[] {
  const found: ExportedFunction[] = [];
  for (const [name, value] of Object.entries(namespace)) {
    const kind = isRegistered(value) ? kindOf(value) : undefined;
    if (kind === undefined) continue;
    const registered = value as Registered;
    found.push({
      name,
      pos: positionOf(graph, path, registered, maps),
      udfType: kind,
      visibility: registered.isPublic ? { kind: "public" } : registered.isInternal ? { kind: "internal" } : null,
      args: registered.exportArgs?.() ?? ANY,
      returns: registered.exportReturns?.() ?? "null",
    });
  }
  return found.sort(byPosition);
}

export function specialExports(
  graph: Graph,
  path: string,
  namespace: Record<string, unknown>,
  maps: SourceMaps,
): Omit<ModuleExports, "path" | "functions"> {
  const none = { httpRoutes: null, crons: null };
  const exported = namespace["default"];
  if (path === "http.js") {
    if (exported === undefined) return { ...none, problem: "`convex/http.js` must have a default export of a Router." };
    if (!isRouter(exported)) return { ...none, problem: "The default export of `convex/http.js` is not a Router." };
    const httpRoutes = exported.getRoutes().map(([routePath, method, handler]) => ({
      route: { path: routePath, method },
      pos: positionOf(graph, path, handler, maps),
    }));
    return { ...none, httpRoutes: httpRoutes.sort(byPosition) };
  }
  if (path === "crons.js") {
    const crons = exported as CronsLike | undefined;
    if (exported === undefined)
      return { ...none, problem: "`convex/crons.js` must have a default export of a Crons object." };
    if (crons?.isCrons !== true)
      return { ...none, problem: "The default export of `convex/crons.js` is not a Crons object." };
    return { ...none, crons: crons.export() };
  }
  return none;
}

function byPosition(a: { pos: Position }, b: { pos: Position }): number {
  return a.pos.start_lineno - b.pos.start_lineno || a.pos.start_col - b.pos.start_col;
}

/** Where the handler's text stands in the module. The backend's own numbers are opaque; only their order is used. */
function positionOf(graph: Graph, path: string, registered: Registered, maps: SourceMaps): Position {
  const source = graph.source(path)?.source ?? "";
  const text =
    typeof registered._handler === "function" ? Function.prototype.toString.call(registered._handler) : undefined;
  const offset = text === undefined ? -1 : source.indexOf(text);
  if (offset < 0) return { path, start_lineno: 0, start_col: 0 };
  const before = source.slice(0, offset);
  const line = before.split("\n").length - 1;
  const column = offset - (before.lastIndexOf("\n") + 1);
  const original = maps.original(graph.script(path), line, column);
  return { path, start_lineno: original.line + 1, start_col: original.column + 1 };
}
