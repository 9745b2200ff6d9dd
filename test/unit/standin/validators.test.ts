import { describe, expect, it } from "vitest";
import { newId } from "../../standin/ids.ts";
import { documentMismatch, mismatch, type Validator, validatorText } from "../../standin/validators.ts";

const field = (fieldType: Validator, optional = false) => ({ fieldType, optional });
const message: Validator = {
  type: "object",
  value: { author: field({ type: "string" }), body: field({ type: "string" }) },
};
const tables = (name: string) => (name === "messages" ? 10001 : undefined);

describe("validator texts (contract 6.2)", () => {
  it("spells validators with fields in byte order", () => {
    const all: Validator = {
      type: "object",
      value: {
        z: field({ type: "array", value: { type: "bigint" } }, true),
        a: field({ type: "union", value: [{ type: "literal", value: "x" }, { type: "null" }] }),
        m: field({ type: "record", keys: { type: "string" }, values: field({ type: "number" }) }),
        i: field({ type: "id", tableName: "messages" }),
      },
    };
    expect(validatorText(all)).toBe(
      'v.object({a: v.union(v.literal("x"), v.null()), i: v.id("messages"), m: v.record(v.string(), v.float64()), z: v.optional(v.array(v.int64()))})',
    );
  });

  it("names path, value and validator of a wrong value", () => {
    expect(mismatch(message, { author: 1, body: "b" }, tables)).toBe(
      "Value does not match validator.\nPath: .author\nValue: 1.0\nValidator: v.string()",
    );
  });

  it("names a missing and an extra field with the whole object", () => {
    const shown = (object: string) =>
      `\n\nObject: ${object}\nValidator: v.object({author: v.string(), body: v.string()})`;
    expect(mismatch(message, { author: "a" }, tables)).toBe(
      `Object is missing the required field \`body\`. Consider wrapping the field validator in \`v.optional(...)\` if this is expected.${shown('{author: "a"}')}`,
    );
    expect(mismatch(message, { author: "a", body: "b", x: 1 }, tables)).toBe(
      `Object contains extra field \`x\` that is not in the validator.${shown('{author: "a", body: "b", x: 1.0}')}`,
    );
  });
});

describe("checking values", () => {
  it("tells Int64 from Float64, and ids by their table", () => {
    expect(mismatch({ type: "bigint" }, 5, tables)).toContain("Value: 5.0");
    expect(mismatch({ type: "bigint" }, 5n, tables)).toBeUndefined();
    const id: Validator = { type: "id", tableName: "messages" };
    expect(mismatch(id, newId(10001), tables)).toBeUndefined();
    expect(mismatch(id, newId(10002), tables)).toContain('v.id("messages")');
    expect(mismatch({ type: "id", tableName: "nope" }, newId(10001), tables)).toBeDefined();
  });

  it("takes any member of a union and leaves optional fields out", () => {
    const either: Validator = { type: "union", value: [{ type: "string" }, { type: "null" }] };
    expect(mismatch(either, null, tables)).toBeUndefined();
    expect(mismatch(either, 1, tables)).toContain("v.union(v.string(), v.null())");
    expect(mismatch({ type: "object", value: { a: field({ type: "any" }, true) } }, {}, tables)).toBeUndefined();
  });

  it("looks at documents without their system fields", () => {
    const document = { _id: newId(10001), _creationTime: 1, author: "a", body: "b" };
    expect(documentMismatch(message, document, tables)).toBeUndefined();
  });
});
