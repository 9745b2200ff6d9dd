import { asRecord } from "../deployment/json.ts";
import { byName, type Difference, joined, list, providerName, tableDifference } from "./difference.ts";
import type { EnvPlan } from "./env-plan.ts";
import type { Foretold } from "./foretold.ts";
import type { DeployedFunction, Live } from "./live.ts";
import { narrowings, same } from "./validators.ts";

/** The output `changes`. A part that is not known is null: then nobody looked, which is not "no changes". */
export interface Changes {
  /** `messages:send`; `changed` are those whose kind, visibility or arguments differ. */
  readonly functions: Difference | null;
  /** Files of the functions folder; code that several files share is not counted, and may change many of them. */
  readonly modules: Difference | null;
  /** `GET /rooms`. */
  readonly httpRoutes: Difference | null;
  readonly crons: Difference | null;
  /** `messages`, `widget/counters` in a component. */
  readonly tables: Difference | null;
  /** `messages.by_author`. */
  readonly indexes: Difference | null;
  /** `https://issuer.example (convex)`. */
  readonly authProviders: Difference | null;
  readonly components: Difference | null;
  readonly env: Difference;
  /** What clients of the deployed app may run into, a sentence each. */
  readonly breaking: readonly string[];
}

/** What a push tells on its way, as far as it got (contract 5.2). */
export interface PushFacts {
  /** Hash of each module of the root, as it was sent. */
  readonly modules?: ReadonlyMap<string, string>;
  /** `analysis` of start_push's answer. */
  readonly analysis?: unknown;
  /** `indexDiffs` of evaluate_push's or start_push's answer. */
  readonly indexDiffs?: unknown;
  /** finish_push's answer. */
  readonly finished?: unknown;
  /** Paths of the components that the push mounts, `widget/inner`. */
  readonly components?: readonly string[];
  /** Instead of finish_push's answer, in a dry run. */
  readonly foretold?: Foretold;
}

/** A push that is over. */
export interface Pushed {
  readonly facts: PushFacts;
  /** What a reader has to know of how far it was looked at. */
  readonly notes: readonly string[];
}

/** Compares a push with what was live before it. Pure. */
export function changesOf(live: Live, facts: PushFacts, plan: EnvPlan): Changes {
  const { finished } = facts;
  const pushed = facts.analysis === undefined ? undefined : functionsOf(facts.analysis);
  const functions =
    pushed === undefined || live.functions === undefined
      ? undefined
      : compareFunctions(live.functions, pushed.functions);
  return {
    functions: functions?.difference ?? null,
    modules: facts.modules === undefined ? null : compareModules(live.modules, facts.modules),
    httpRoutes:
      pushed === undefined || live.httpRoutes === undefined ? null : byName(live.httpRoutes, pushed.httpRoutes),
    crons: finished === undefined ? (facts.foretold?.crons ?? null) : cronsOf(finished),
    tables: finished === undefined ? (facts.foretold?.tables ?? null) : tablesOf(finished),
    indexes: finished === undefined ? indexesBefore(facts.indexDiffs) : indexesOf(finished),
    authProviders: finished === undefined ? (facts.foretold?.authProviders ?? null) : authOf(finished),
    components: finished === undefined ? componentsBefore(live, facts) : componentsOf(finished),
    env: { added: plan.add, removed: plan.remove, changed: plan.change },
    breaking: functions?.breaking ?? [],
  };
}

/** Whether anything at all is different. */
export function isEmpty(changes: Changes): boolean {
  const { breaking, ...parts } = changes;
  const differs = (part: Difference | null): boolean =>
    part !== null && part.added.length + part.removed.length + part.changed.length > 0;
  return breaking.length === 0 && !Object.values(parts).some(differs);
}

function functionsOf(analysis: unknown): { functions: Map<string, DeployedFunction>; httpRoutes: string[] } {
  const functions = new Map<string, DeployedFunction>();
  const httpRoutes: string[] = [];
  for (const [module, content] of Object.entries(asRecord(asRecord(asRecord(analysis)[""])["functions"]))) {
    for (const one of list(asRecord(content)["functions"]).map(asRecord)) {
      functions.set(`${module.replace(/\.js$/, "")}:${String(one["name"])}`, {
        kind: String(one["udfType"]).toLowerCase(),
        isPublic: asRecord(one["visibility"])["kind"] !== "internal",
        args: typeof one["args"] === "string" ? JSON.parse(one["args"]) : { type: "any" },
      });
    }
    for (const one of list(asRecord(content)["httpRoutes"])) {
      const route = asRecord(asRecord(one)["route"]);
      httpRoutes.push(`${String(route["method"])} ${String(route["path"])}`);
    }
  }
  return { functions, httpRoutes };
}

function compareFunctions(
  before: ReadonlyMap<string, DeployedFunction>,
  after: ReadonlyMap<string, DeployedFunction>,
): { difference: Difference; breaking: string[] } {
  const breaking: string[] = [];
  const changed: string[] = [];
  for (const [name, old] of [...before].sort(byKey)) {
    const now = after.get(name);
    if (now !== undefined && (now.kind !== old.kind || now.isPublic !== old.isPublic || !same(now.args, old.args))) {
      changed.push(name);
    }
    if (old.isPublic) breaking.push(...breaks(name, old, now));
  }
  const { added, removed } = byName([...before.keys()], [...after.keys()]);
  return { difference: { added, removed, changed }, breaking };
}

function breaks(name: string, old: DeployedFunction, now: DeployedFunction | undefined): string[] {
  if (now === undefined) return [`${name} is gone: clients that call it get an error.`];
  if (!now.isPublic) return [`${name} is internal now: clients that call it get an error.`];
  if (now.kind !== old.kind) return [`${name} was a ${old.kind}, is a ${now.kind} now: clients call it as the former.`];
  const found = narrowings(old.args, now.args);
  return found.length === 0 ? [] : [`${name} takes less than before: ${found.join("; ")}.`];
}

const SHARED = /^_deps\//;

function compareModules(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Difference {
  const own = (modules: ReadonlyMap<string, string>): string[] =>
    // The CLI makes convex.config.js up where there is none (contract 5.2).
    [...modules.keys()].filter((path) => !SHARED.test(path) && path !== "convex.config.js");
  const { added, removed } = byName(own(before), own(after));
  const changed = own(after).filter((path) => before.has(path) && before.get(path) !== after.get(path));
  return { added, removed, changed: changed.sort() };
}

const texts = (value: unknown): string[] => list(value).map(String);
const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

/** One diff of each component, by its path; the root's path is empty. */
function diffsOf(finished: unknown): [string, Readonly<Record<string, unknown>>][] {
  return Object.entries(asRecord(asRecord(finished)["componentDiffs"])).map(([path, diff]) => [path, asRecord(diff)]);
}

const inside = (component: string, name: string): string => (component === "" ? name : `${component}/${name}`);

function cronsOf(finished: unknown): Difference {
  const of = (key: string): string[] =>
    diffsOf(finished)
      .flatMap(([path, diff]) => texts(asRecord(diff["cronDiff"])[key]).map((name) => inside(path, name)))
      .sort();
  return { added: of("added"), removed: of("deleted"), changed: of("updated") };
}

function tablesOf(finished: unknown): Difference {
  const parsed = (text: unknown): unknown => (typeof text === "string" ? JSON.parse(text) : null);
  const all = diffsOf(finished).map(([path, diff]) => {
    const { previous_schema: previous, next_schema: next } = asRecord(diff["schemaDiff"]);
    const { added, removed, changed } = tableDifference(parsed(previous), parsed(next));
    const named = (names: readonly string[]): string[] => names.map((name) => inside(path, name));
    return { added: named(added), removed: named(removed), changed: named(changed) };
  });
  return joined(all);
}

/** An index in both lists is made anew: its filters or dimensions changed (contract 5.2). */
function indexDifference(diff: unknown, component: string): Difference {
  const names = (key: string): string[] =>
    list(asRecord(diff)[key]).map((index) => inside(component, String(asRecord(index)["name"])));
  const [added, removed] = [names("added_indexes"), names("removed_indexes")];
  const both = added.filter((name) => removed.includes(name));
  const rest = (all: readonly string[]): string[] => all.filter((name) => !both.includes(name));
  return {
    added: rest(added),
    removed: rest(removed),
    changed: [...both, ...names("enabled_indexes"), ...names("disabled_indexes")],
  };
}

function indexesOf(finished: unknown): Difference {
  return joined(diffsOf(finished).map(([path, diff]) => indexDifference(diff["indexDiff"], path)));
}

function indexesBefore(indexDiffs: unknown): Difference | null {
  if (indexDiffs === undefined) return null;
  return joined(Object.entries(asRecord(indexDiffs)).map(([path, diff]) => indexDifference(diff, path)));
}

function authOf(finished: unknown): Difference {
  const diff = asRecord(asRecord(finished)["authDiff"]);
  const of = (key: string): string[] =>
    texts(diff[key])
      .map((text) => providerName(asRecord(JSON.parse(text))))
      .sort();
  return { added: of("added"), removed: of("removed"), changed: [] };
}

function componentsOf(finished: unknown): Difference {
  const of = (...types: string[]): string[] =>
    diffsOf(finished)
      .filter(([path, diff]) => path !== "" && types.includes(String(asRecord(diff["diffType"])["type"])))
      .map(([path]) => path)
      .sort();
  return { added: of("create", "remount"), removed: of("unmount"), changed: [] };
}

function componentsBefore(live: Live, { components }: PushFacts): Difference | null {
  return components === undefined || live.components === undefined ? null : byName(live.components, components);
}
