import { asRecord } from "../deployment/json.ts";

/** A validator as the backend shows it (contract 5.2, 6.2): `{type: "object", value: {name: {fieldType, optional}}}`. */
type Validator = Readonly<Record<string, unknown>>;

/**
 * Why values that `before` takes may be refused by `after`, one phrase each; empty when every value still fits. Errs on
 * the side of naming: a shape that is not known counts as narrower unless it is equal.
 * @param path how the value is called in the phrases (`args`)
 */
export function narrowings(before: unknown, after: unknown, path = "args"): string[] {
  return compare(asRecord(before), asRecord(after), path);
}

function compare(before: Validator, after: Validator, path: string): string[] {
  if (after["type"] === "any" || same(before, after)) return [];
  if (before["type"] === "union") return unique(members(before).flatMap((one) => compare(one, after, path)));
  if (after["type"] === "union") return compareWithUnion(before, after, path);
  if (before["type"] !== after["type"]) return fits(before, after) ? [] : [mismatch(before, after, path)];
  switch (before["type"]) {
    case "object":
      return compareFields(asRecord(before["value"]), asRecord(after["value"]), path);
    case "array":
      return compare(asRecord(before["value"]), asRecord(after["value"]), `${path}[]`);
    case "record":
      return unique([
        ...compare(asRecord(before["keys"]), asRecord(after["keys"]), `keys of ${path}`),
        ...compare(fieldType(before["values"]), fieldType(after["values"]), `${path}{}`),
      ]);
    default:
      return simple(before) && before["type"] !== "literal" && before["type"] !== "id"
        ? []
        : [mismatch(before, after, path)];
  }
}

function compareWithUnion(before: Validator, after: Validator, path: string): string[] {
  const outcomes = members(after).map((one) => ({ one, found: compare(before, one, path) }));
  if (outcomes.some(({ found }) => found.length === 0)) return [];
  if (before["type"] === "boolean") {
    const literals = [true, false].map((value) => ({ type: "literal", value }));
    if (literals.every((literal) => compareWithUnion(literal, after, path).length === 0)) return [];
  }
  // With one member of the same shape the phrases about its fields say more than "no longer takes".
  const alike = outcomes.filter(({ one }) => one["type"] === before["type"] && before["type"] === "object");
  return alike.length === 1 ? (alike[0]?.found ?? []) : [mismatch(before, after, path)];
}

function compareFields(before: Validator, after: Validator, path: string): string[] {
  const at = (name: string): string => (path === "args" ? name : `${path}.${name}`);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => {
    const [old, now] = [before[name], after[name]];
    if (now === undefined) return [`${at(name)} is refused now`];
    const optional = asRecord(now)["optional"] === true;
    if (old === undefined) return optional ? [] : [`${at(name)} is required now`];
    const stricter =
      asRecord(old)["optional"] === true && !optional ? [`${at(name)} was optional, is required now`] : [];
    return [...stricter, ...compare(fieldType(old), fieldType(now), at(name))];
  });
}

/** Validators of different kinds of which the second takes all that the first takes. */
function fits(before: Validator, after: Validator): boolean {
  if (after["type"] === "string" && before["type"] === "id") return true;
  return before["type"] === "literal" && typeof before["value"] === after["type"];
}

const SIMPLE = ["null", "number", "bigint", "commitTs", "boolean", "string", "bytes", "any", "literal", "id"];
const simple = (validator: Validator): boolean => SIMPLE.includes(String(validator["type"]));
const members = (union: Validator): Validator[] => (Array.isArray(union["value"]) ? union["value"].map(asRecord) : []);
const fieldType = (field: unknown): Validator => asRecord(asRecord(field)["fieldType"]);
const unique = (phrases: readonly string[]): string[] => [...new Set(phrases)];

function mismatch(before: Validator, after: Validator, path: string): string {
  const subject =
    path === "args" && before["type"] === "any" ? "args had no validator" : `${path} took ${shown(before)}`;
  return `${subject}, takes ${shown(after)} now`;
}

/** `"a" or a number`; long unions are cut. */
function shown(validator: Validator): string {
  switch (validator["type"]) {
    case "literal":
      return JSON.stringify(validator["value"]);
    case "id":
      return `an id of ${String(validator["tableName"])}`;
    case "any":
      return "anything";
    case "union": {
      const all = members(validator).map(shown);
      return all.length === 0 ? "nothing" : all.length > 4 ? `${all.slice(0, 4).join(" or ")} or …` : all.join(" or ");
    }
    default:
      return String(validator["type"]);
  }
}

/** Equal but for the order of fields. */
export function same(left: unknown, right: unknown): boolean {
  return canonical(left) === canonical(right);
}

/** JSON with sorted keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(",")}}`;
}
