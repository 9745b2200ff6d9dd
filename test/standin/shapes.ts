/** Forms of request bodies and query strings, with the errors of the backend's own deserialiser (contract 3.1). */
import { position } from "./json.ts";
import type { JsonNode, Shape } from "./types.ts";

export class ShapeError extends Error {}

function fail(path: string, message: string, node: JsonNode, end = node.end): never {
  throw new ShapeError(`${path === "" ? "" : `${path}: `}${message}${position(node.text, end)}`);
}

function wrongType(path: string, node: JsonNode, expected: string): never {
  // Brackets are only looked at, other tokens are read before the type is seen to be wrong.
  const end = node.fields === undefined && node.items === undefined ? node.end : node.start;
  return fail(path, `invalid type: ${typeName(node)}, expected ${expected}`, node, end);
}

function typeName({ value, text, start, end }: JsonNode): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "sequence";
  if (typeof value === "object") return "map";
  if (typeof value === "string") return `string ${JSON.stringify(value)}`;
  if (typeof value === "boolean") return `boolean \`${value}\``;
  const source = text.slice(start, end);
  return /[.eE]/.test(source) ? `floating point \`${source}\`` : `integer \`${source}\``;
}

export const string: Shape<string> = {
  decode: (node, path) => (typeof node.value === "string" ? node.value : wrongType(path, node, "a string")),
};

export const boolean: Shape<boolean> = {
  decode: (node, path) => (typeof node.value === "boolean" ? node.value : wrongType(path, node, "a boolean")),
};

export const number: Shape<number> = {
  decode: (node, path) => (typeof node.value === "number" ? node.value : wrongType(path, node, "f64")),
};

export const u64: Shape<bigint> = {
  decode: (node, path) => {
    const source = node.text.slice(node.start, node.end);
    if (typeof node.value !== "number" || /[.eE]/.test(source)) return wrongType(path, node, "u64");
    if (node.value < 0) return fail(path, `invalid value: integer \`${source}\`, expected u64`, node);
    return BigInt(source);
  },
};

/** Plain JSON, whatever it is; `null` too, but it must be there. */
export const json: Shape<unknown> = { decode: (node) => node.value };

export function oneOf<T extends string>(...words: readonly T[]): Shape<T> {
  const names = words.map((word) => `\`${word}\``);
  const expected = names.length > 2 ? `expected one of ${names.join(", ")}` : `expected ${names.join(" or ")}`;
  return {
    decode: (node, path) => {
      const known = words.find((word) => word === node.value);
      if (known !== undefined) return known;
      if (typeof node.value !== "string") return wrongType(path, node, "a string");
      return fail(path, `unknown variant \`${node.value}\`, ${expected}`, node);
    },
  };
}

export function array<T>(item: Shape<T>): Shape<T[]> {
  return {
    decode: (node, path) =>
      node.items?.map((each, i) => item.decode(each, `${path}[${i}]`)) ?? wrongType(path, node, "a sequence"),
  };
}

/** Absent and null are undefined. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return {
    decode: (node, path) => (node.value === null ? undefined : shape.decode(node, path)),
    absent: { value: undefined },
  };
}

/** Absent is `value`; null is an error. */
export function withDefault<T>(shape: Shape<T>, value: T): Shape<T> {
  return { decode: shape.decode, absent: { value } };
}

export function record<T>(item: Shape<T>): Shape<Record<string, T>> {
  return {
    decode: (node, path) => {
      if (node.fields === undefined) return wrongType(path, node, "a map");
      const entries = [...node.fields].map(([key, each]) => [key, item.decode(each, join(path, key))] as const);
      return Object.fromEntries(entries);
    },
  };
}

/** Fields that are not named are ignored. `name` is the backend's, it is told when something else stands there. */
export function object<T extends object>(name: string, shapes: { [K in keyof T]: Shape<T[K]> }): Shape<T> {
  const known = Object.entries(shapes) as [string, Shape<unknown>][];
  return {
    decode: (node, path) => {
      if (node.items !== undefined) {
        const plural = known.length === 1 ? "element" : "elements";
        fail(path, `invalid length ${node.items.length}, expected struct ${name} with ${known.length} ${plural}`, node);
      }
      if (node.fields === undefined) return wrongType(path, node, `struct ${name}`);
      const result = new Map<string, unknown>();
      for (const [key, each] of node.fields) {
        const shape = known.find(([field]) => field === key)?.[1];
        if (shape !== undefined) result.set(key, shape.decode(each, join(path, key)));
      }
      for (const [key, shape] of known) {
        if (result.has(key)) continue;
        if (shape.absent === undefined) fail(path, `missing field \`${key}\``, node);
        result.set(key, shape.absent.value);
      }
      return Object.fromEntries(result) as T;
    },
  };
}

const join = (path: string, key: string) => (path === "" ? key : `${path}.${key}`);
