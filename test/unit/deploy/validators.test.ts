import { v } from "convex/values";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { narrowings } from "../../../src/deploy/validators.ts";

type Json = { readonly type: string; readonly [key: string]: unknown };
const json = (validator: unknown): unknown => (validator as { json: unknown }).json;

describe("narrowings", () => {
  it.each<[string, unknown, unknown, string[]]>([
    [
      "an argument more",
      v.object({ a: v.string() }),
      v.object({ a: v.string(), b: v.string() }),
      ["b is required now"],
    ],
    ["an optional argument more", v.object({}), v.object({ b: v.optional(v.string()) }), []],
    ["an argument less", v.object({ a: v.string(), b: v.string() }), v.object({ a: v.string() }), ["b is refused now"]],
    [
      "optional becomes required",
      v.object({ a: v.optional(v.string()) }),
      v.object({ a: v.string() }),
      ["a was optional, is required now"],
    ],
    ["required becomes optional", v.object({ a: v.string() }), v.object({ a: v.optional(v.string()) }), []],
    ["another type", v.object({ a: v.string() }), v.object({ a: v.number() }), ["a took string, takes number now"]],
    ["a union gets a member", v.object({ a: v.string() }), v.object({ a: v.union(v.string(), v.null()) }), []],
    [
      "a union loses a member",
      v.object({ a: v.union(v.string(), v.null()) }),
      v.object({ a: v.string() }),
      ["a took null, takes string now"],
    ],
    ["no validator gets one", v.any(), v.object({ a: v.string() }), ["args had no validator, takes object now"]],
    ["a validator goes", v.object({ a: v.string() }), v.any(), []],
    ["an id becomes a string", v.object({ a: v.id("rooms") }), v.object({ a: v.string() }), []],
    [
      "a string becomes an id",
      v.object({ a: v.string() }),
      v.object({ a: v.id("rooms") }),
      ["a took string, takes an id of rooms now"],
    ],
    [
      "ids of another table",
      v.object({ a: v.id("rooms") }),
      v.object({ a: v.id("users") }),
      ["a took an id of rooms, takes an id of users now"],
    ],
    ["literals of a boolean", v.boolean(), v.union(v.literal(true), v.literal(false)), []],
    ["half of a boolean", v.boolean(), v.literal(true), ["args took boolean, takes true now"]],
    [
      "inside arrays and objects",
      v.object({ a: v.array(v.object({ b: v.string() })) }),
      v.object({ a: v.array(v.object({ b: v.string(), c: v.string() })) }),
      ["a[].c is required now"],
    ],
    [
      "inside a record",
      v.object({ a: v.record(v.string(), v.string()) }),
      v.object({ a: v.record(v.string(), v.number()) }),
      ["a{} took string, takes number now"],
    ],
  ])("%s", (_, before, after, found) => {
    expect(narrowings(json(before), json(after))).toEqual(found);
  });
});

const leaf = fc.constantFrom<Json>(
  { type: "null" },
  { type: "number" },
  { type: "boolean" },
  { type: "string" },
  { type: "any" },
  { type: "literal", value: "x" },
  { type: "literal", value: 1 },
  { type: "literal", value: true },
  { type: "literal", value: false },
  { type: "id", tableName: "rooms" },
);
const { validator } = fc.letrec<{ validator: Json }>((tie) => ({
  validator: fc.oneof(
    { maxDepth: 3 },
    leaf,
    tie("validator").map((value) => ({ type: "array", value })),
    fc.array(tie("validator"), { maxLength: 3 }).map((value) => ({ type: "union", value })),
    fc
      .dictionary(fc.constantFrom("a", "b"), fc.record({ fieldType: tie("validator"), optional: fc.boolean() }))
      .map((value) => ({ type: "object", value })),
    tie("validator").map((fieldType) => ({
      type: "record",
      keys: { type: "string" },
      values: { fieldType, optional: false },
    })),
  ),
}));

/** Ids are texts that begin with their table. */
function takes(of: Json, value: unknown): boolean {
  switch (of.type) {
    case "any":
      return true;
    case "null":
      return value === null;
    case "literal":
      return value === of["value"];
    case "id":
      return typeof value === "string" && value.startsWith("rooms|");
    case "array":
      return Array.isArray(value) && value.every((one) => takes(of["value"] as Json, one));
    case "union":
      return (of["value"] as Json[]).some((one) => takes(one, value));
    case "object": {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
      const fields = of["value"] as Record<string, { fieldType: Json; optional: boolean }>;
      const given = value as Record<string, unknown>;
      return (
        Object.keys(given).every((name) => name in fields) &&
        Object.entries(fields).every(([name, field]) =>
          name in given ? takes(field.fieldType, given[name]) : field.optional,
        )
      );
    }
    case "record":
      return (
        typeof value === "object" &&
        value !== null &&
        !Array.isArray(value) &&
        Object.values(value).every((one) => takes((of["values"] as { fieldType: Json }).fieldType, one))
      );
    default:
      return typeof value === of.type;
  }
}

const values = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>(null, 1, 2, true, false, "x", "y", "rooms|1"),
    fc.array(tie("value"), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom("a", "b"), tie("value")),
  ),
})).value;

describe("the comparison as a whole", () => {
  it("names something whenever a value that was taken is refused", () => {
    fc.assert(
      fc.property(
        validator,
        validator,
        fc.array(values, { minLength: 20, maxLength: 40 }),
        (before, after, samples) => {
          fc.pre(narrowings(before, after).length === 0);
          for (const value of samples) if (takes(before, value)) expect(takes(after, value)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
  it("names nothing where nothing changed, or one more form is taken", () => {
    fc.assert(
      fc.property(validator, validator, (before, more) => {
        expect(narrowings(before, before)).toEqual([]);
        expect(narrowings(before, { type: "union", value: [more, before] })).toEqual([]);
      }),
    );
  });
});
