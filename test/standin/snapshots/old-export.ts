/**
 * Exports of the first releases (contract 7.2, "Old"): the inferred shape of a table, values in the plain JSON format
 * with Int64 and bytes as strings, and a line for each document whose strings the shape alone does not explain.
 */
import type { Document, Value } from "../types.ts";
import { encode, isBytes, isFields, sortedEntries } from "../values.ts";

export interface OldTable {
  /** `documents.jsonl` */
  readonly documents: string;
  /** `generated_schema.jsonl` */
  readonly schema: string;
}

export function oldTable(documents: readonly Document[]): OldTable {
  const shape = documents.length === 0 ? "never" : shapeOf(documents);
  const overrides = documents.flatMap((document) => {
    const exceptions = exceptionsOf(document, documents);
    return exceptions === undefined ? [] : [`${JSON.stringify({ [document._id]: exceptions })}\n`];
  });
  return {
    documents: documents.map((document) => `${encode(document, "json")}\n`).join(""),
    schema: `${JSON.stringify(shape)}\n${overrides.join("")}`,
  };
}

/** One shape for all values. */
function shapeOf(values: readonly Value[]): string {
  const plain = values.filter((value) => !isFields(value) && !Array.isArray(value)).map(scalarOf);
  const items = values.filter(Array.isArray);
  const objects = values.filter((value) => isFields(value));
  const members = [...new Set(plain)].sort();
  if (items.length > 0) members.push(`array<${items.flat().length === 0 ? "never" : shapeOf(items.flat())}>`);
  if (objects.length > 0) members.push(objectShape(objects));
  return members.join(" | ");
}

function objectShape(objects: readonly { [field: string]: Value }[]): string {
  const names = [...new Set(objects.flatMap((object) => sortedEntries(object).map(([name]) => name)))].sort();
  const fields = names.map((name) => {
    const present = objects.flatMap((object) => (name in object ? [object[name] as Value] : []));
    return `${JSON.stringify(name)}${present.length < objects.length ? "?" : ""}: ${shapeOf(present)}`;
  });
  return `{${fields.join(", ")}}`;
}

function scalarOf(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "bigint") return "int64";
  if (isBytes(value)) return "bytes";
  if (typeof value !== "number") return typeof value;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0" : "normalfloat64";
}

/** Top-level fields that hold an Int64 or bytes where other documents hold a string. */
function exceptionsOf(document: Document, all: readonly Document[]): Record<string, string> | undefined {
  const found = Object.entries(document).flatMap(([name, value]) => {
    const encoded = typeof value === "bigint" || isBytes(value);
    const ambiguous = encoded && all.some((other) => typeof other[name] === "string");
    return ambiguous ? [[name, scalarOf(value)] as const] : [];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
