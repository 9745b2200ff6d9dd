import { asRecord } from "../deployment/json.ts";
import type { BundledModule, CodeFacts, Told } from "./analysis.ts";
import { withValues } from "./analysis.ts";
import { byName, type Difference, providerName, tableDifference } from "./difference.ts";
import { canonical, same } from "./validators.ts";

/** What the code that is live and the code of a push tell, loaded in the same way. */
export interface BothSides {
  readonly live: CodeFacts;
  readonly pushed: CodeFacts;
  /** Variables of the deployment as they are, and as they will be. */
  readonly variables: { readonly live: ReadonlyMap<string, string>; readonly pushed: ReadonlyMap<string, string> };
  /** All modules that are live: what they lack may be kept elsewhere. */
  readonly liveModules: readonly BundledModule[];
}

/** The parts of a push that only finish_push tells, as a dry run foretells them. */
export interface Foretold {
  readonly tables: Difference | null;
  readonly crons: Difference | null;
  readonly authProviders: Difference | null;
  /** Why a part is null, a sentence each. */
  readonly notes: readonly string[];
}

/** Compares both sides; a part that one of them does not tell is null, with the reason. Pure. */
export function foretell(sides: BothSides): Foretold {
  const { live, pushed } = sides;
  const notes: string[] = [];
  const part = <T>(what: string, before: Told<T>, after: Told<T>, compare: (a: T, b: T) => Difference | string) => {
    const outcome =
      "problem" in before
        ? `what is live cannot be loaded here (${before.problem})`
        : "problem" in after
          ? `what is pushed cannot be loaded here (${after.problem})`
          : compare(before.value, after.value);
    if (typeof outcome !== "string") return outcome;
    notes.push(`${what} were not compared: ${outcome}.`);
    return null;
  };
  return {
    tables: part("Tables", live.schema, pushed.schema, (before, after) =>
      before === null && keepsNoSchemaFile(sides.liveModules)
        ? "what is live was pushed by a CLI before 1.28, of which the backend keeps no schema file"
        : tableDifference(before, after),
    ),
    crons: part("Crons", live.crons, pushed.crons, cronDifference),
    authProviders: part("Auth providers", live.authProviders, pushed.authProviders, (before, after) =>
      providerDifference(withValues(before, sides.variables.live), withValues(after, sides.variables.pushed)),
    ),
    notes,
  };
}

/** Pushes of the newer kind always come with a convex.config.js (contract 5.2). */
function keepsNoSchemaFile(modules: readonly BundledModule[]): boolean {
  return modules.length > 0 && !modules.some(({ path }) => path === "convex.config.js");
}

function cronDifference(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): Difference {
  const changed = Object.keys(after).filter((name) => name in before && !same(before[name], after[name]));
  return { ...byName(Object.keys(before), Object.keys(after)), changed: changed.sort() };
}

/** As finish_push tells it: a provider that differs in anything goes and comes. */
function providerDifference(before: unknown, after: unknown): Difference | string {
  if (!Array.isArray(before) || !Array.isArray(after)) {
    return "auth.config makes something of a variable that only the backend can tell";
  }
  const without = (these: readonly unknown[], those: readonly unknown[]): string[] => {
    const known = new Set(those.map(canonical));
    return these
      .filter((one) => !known.has(canonical(one)))
      .map((one) => providerName(asRecord(one)))
      .sort();
  };
  return { added: without(after, before), removed: without(before, after), changed: [] };
}
