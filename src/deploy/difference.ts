import { asRecord } from "../deployment/json.ts";
import { same } from "./validators.ts";

/** What came and went, by name; sorted. */
export interface Difference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** An array, or nothing where another thing stands. */
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

export function byName(before: Iterable<string>, after: Iterable<string>): Difference {
  const [old, now] = [new Set(before), new Set(after)];
  return {
    added: [...now].filter((name) => !old.has(name)).sort(),
    removed: [...old].filter((name) => !now.has(name)).sort(),
    changed: [],
  };
}

/** Several differences as one. */
export function joined(all: readonly Difference[]): Difference {
  const of = (key: keyof Difference): string[] => all.flatMap((one) => one[key]).sort();
  return { added: of("added"), removed: of("removed"), changed: of("changed") };
}

function tableTypes(schema: unknown): Map<string, unknown> {
  const tables = list(asRecord(schema)["tables"]).map(asRecord);
  return new Map(tables.map((table) => [String(table["tableName"]), table["documentType"]]));
}

/** Compares two schemas in the form of `schemaDiff`, each of them null where there is none. */
export function tableDifference(previous: unknown, next: unknown): Difference {
  const [old, now] = [tableTypes(previous), tableTypes(next)];
  const changed = [...now.keys()].filter((name) => old.has(name) && !same(old.get(name), now.get(name)));
  return { ...byName(old.keys(), now.keys()), changed: changed.sort() };
}

/** `https://issuer.example (convex)` */
export function providerName({ domain, issuer, applicationID }: Readonly<Record<string, unknown>>): string {
  return `${String(domain ?? issuer)}${typeof applicationID === "string" ? ` (${applicationID})` : ""}`;
}
