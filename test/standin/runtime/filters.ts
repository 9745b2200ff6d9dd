/** Filter expressions of database queries, and the values that they and index ranges compare. */
import type { Document, Value } from "../types.ts";
import { compare, equal, fromJson, isFields } from "../values.ts";

/** A value that may be missing, as filters and ranges compare them. */
export type Maybe = Value | undefined;

/** From JSON; `{"$undefined"}` is a field that is not there. */
export function maybe(json: unknown): Maybe {
  if (typeof json === "object" && json !== null && "$undefined" in json) return undefined;
  return json === undefined ? undefined : fromJson(json);
}

/** `a.b` inside a document. */
export function fieldAt(document: Value | undefined, path: string): Maybe {
  let value: Maybe = document;
  for (const part of path.split(".")) value = isFields(value) && Object.hasOwn(value, part) ? value[part] : undefined;
  return value;
}

export function isTrue(value: Maybe): boolean {
  return value === true;
}

/** Value of a filter expression for a document. */
export function evaluate(expression: unknown, document: Document): Maybe {
  if (typeof expression !== "object" || expression === null) return maybe(expression);
  const [entry] = Object.entries(expression);
  if (entry === undefined) return undefined;
  const [operator, operand] = entry as [string, unknown];
  if (operator === "$field") return fieldAt(document, String(operand));
  if (operator === "$literal") return maybe(operand);
  if (operator === "$and") return (operand as unknown[]).every((each) => isTrue(evaluate(each, document)));
  if (operator === "$or") return (operand as unknown[]).some((each) => isTrue(evaluate(each, document)));
  if (operator === "$not") return !isTrue(evaluate(operand, document));
  if (operator === "$neg") return negated(evaluate(operand, document));
  const [left, right] = operand as [unknown, unknown];
  return binary(operator, evaluate(left, document), evaluate(right, document));
}

function negated(value: Maybe): Maybe {
  return typeof value === "number" || typeof value === "bigint" ? -value : undefined;
}

function binary(operator: string, a: Maybe, b: Maybe): Maybe {
  switch (operator) {
    case "$eq":
      return equal(a, b);
    case "$neq":
      return !equal(a, b);
    case "$lt":
      return compare(a, b) < 0;
    case "$lte":
      return compare(a, b) <= 0;
    case "$gt":
      return compare(a, b) > 0;
    case "$gte":
      return compare(a, b) >= 0;
    default:
      return arithmetic(operator, a, b);
  }
}

function arithmetic(operator: string, a: Maybe, b: Maybe): Maybe {
  if (typeof a === "number" && typeof b === "number") {
    const results: Record<string, number> = { $add: a + b, $sub: a - b, $mul: a * b, $div: a / b, $mod: a % b };
    return results[operator];
  }
  if (typeof a === "bigint" && typeof b === "bigint") {
    if (operator === "$add") return a + b;
    if (operator === "$sub") return a - b;
    if (operator === "$mul") return a * b;
    if (b !== 0n) return operator === "$div" ? a / b : a % b;
  }
  throw new Error(`Cannot calculate ${operator} of these values.`);
}
