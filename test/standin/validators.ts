/** Convex validators: reading their JSON, checking values, and the texts of what does not fit (contract 5.2, 6.2). */
import { decodeId } from "./ids.ts";
import type { Fields, Value } from "./types.ts";
import { display, equal, fromJson, isBytes, isFields, sortedEntries } from "./values.ts";

export type Validator =
  | { readonly type: "null" | "number" | "bigint" | "boolean" | "string" | "bytes" | "any" }
  | { readonly type: "id"; readonly tableName: string }
  | { readonly type: "literal"; readonly value: unknown }
  | { readonly type: "array"; readonly value: Validator }
  | { readonly type: "record"; readonly keys: Validator; readonly values: FieldValidator }
  | { readonly type: "object"; readonly value: Readonly<Record<string, FieldValidator>> }
  | { readonly type: "union"; readonly value: readonly Validator[] };

export interface FieldValidator {
  readonly fieldType: Validator;
  readonly optional: boolean;
}

/** Number of the table of that name, to tell whose id it is; undefined when there is no such table. */
export type TableNumber = (name: string) => number | undefined;

export const ANY: Validator = { type: "any" };

/** `v.object({author: v.string()})`, fields in byte order. */
export function validatorText(validator: Validator): string {
  switch (validator.type) {
    case "number":
      return "v.float64()";
    case "bigint":
      return "v.int64()";
    case "id":
      return `v.id("${validator.tableName}")`;
    case "literal":
      return `v.literal(${display(fromJson(validator.value))})`;
    case "array":
      return `v.array(${validatorText(validator.value)})`;
    case "record":
      return `v.record(${validatorText(validator.keys)}, ${validatorText(validator.values.fieldType)})`;
    case "object":
      return `v.object({${sortedFields(validator.value)
        .map(([name, field]) => `${name}: ${fieldText(field)}`)
        .join(", ")}})`;
    case "union":
      return `v.union(${validator.value.map(validatorText).join(", ")})`;
    default:
      return `v.${validator.type}()`;
  }
}

function sortedFields(fields: Readonly<Record<string, FieldValidator>>): [string, FieldValidator][] {
  return Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
}

function fieldText({ fieldType, optional }: FieldValidator): string {
  const text = validatorText(fieldType);
  return optional ? `v.optional(${text})` : text;
}

/** What does not fit, without a newline at the end; undefined when all does. */
export function mismatch(validator: Validator, value: Value, tables: TableNumber, path = ""): string | undefined {
  switch (validator.type) {
    case "array":
      if (!Array.isArray(value)) return wrong(validator, value, path);
      return first(value.entries(), ([i, item]) => mismatch(validator.value, item, tables, `${path}[${i}]`));
    case "record":
      return recordMismatch(validator, value, tables, path);
    case "object":
      return objectMismatch(validator, value, tables, path);
    case "union":
      return validator.value.some((one) => mismatch(one, value, tables, path) === undefined)
        ? undefined
        : unionMismatch(validator, value, tables, path);
    default:
      return fits(validator, value, tables) ? undefined : wrong(validator, value, path);
  }
}

/** A union of one object with undefined-like others says what is wrong inside; any other names the union. */
function unionMismatch(
  validator: Extract<Validator, { type: "union" }>,
  value: Value,
  tables: TableNumber,
  path: string,
): string | undefined {
  const [only] = validator.value;
  if (validator.value.length === 1 && only !== undefined) return mismatch(only, value, tables, path);
  return wrong(validator, value, path);
}

function fits(validator: Validator, value: Value, tables: TableNumber): boolean {
  switch (validator.type) {
    case "null":
      return value === null;
    case "number":
    case "bigint":
    case "boolean":
    case "string":
      return typeof value === validator.type;
    case "bytes":
      return isBytes(value);
    case "id": {
      if (typeof value !== "string") return false;
      const id = decodeId(value);
      return id !== undefined && id.table === tables(validator.tableName);
    }
    case "literal":
      return equal(fromJson(validator.value), value);
    default:
      return true;
  }
}

function recordMismatch(
  validator: Extract<Validator, { type: "record" }>,
  value: Value,
  tables: TableNumber,
  path: string,
): string | undefined {
  if (!isFields(value)) return wrong(validator, value, path);
  return first(sortedEntries(value), ([key, item]) => {
    const inKey = mismatch(validator.keys, key, tables, path);
    return inKey ?? mismatch(validator.values.fieldType, item, tables, `${path}.${key}`);
  });
}

function objectMismatch(
  validator: Extract<Validator, { type: "object" }>,
  value: Value,
  tables: TableNumber,
  path: string,
): string | undefined {
  if (!isFields(value)) return wrong(validator, value, path);
  const at = path === "" ? "" : `Path: ${path}\n`;
  const shown = `\n\n${at}Object: ${display(value)}\nValidator: ${validatorText(validator)}`;
  for (const [name, field] of sortedFields(validator.value)) {
    const item = fieldOf(value, name);
    if (item !== undefined) {
      const inner = mismatch(field.fieldType, item, tables, `${path}.${name}`);
      if (inner !== undefined) return inner;
    } else if (!field.optional) {
      return `Object is missing the required field \`${name}\`. Consider wrapping the field validator in \`v.optional(...)\` if this is expected.${shown}`;
    }
  }
  const extra = sortedEntries(value).find(([name]) => !Object.hasOwn(validator.value, name));
  return extra === undefined
    ? undefined
    : `Object contains extra field \`${extra[0]}\` that is not in the validator.${shown}`;
}

function fieldOf(value: Fields, name: string): Value | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function wrong(validator: Validator, value: Value, path: string): string {
  const at = path === "" ? "" : `Path: ${path}\n`;
  return `Value does not match validator.\n${at}Value: ${display(value)}\nValidator: ${validatorText(validator)}`;
}

function first<T>(items: Iterable<T>, look: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = look(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A document against the validator of its table, which does not name `_id` and `_creationTime`. */
export function documentMismatch(validator: Validator, document: Fields, tables: TableNumber): string | undefined {
  const { _id, _creationTime, ...fields } = document;
  return mismatch(validator, fields, tables);
}
