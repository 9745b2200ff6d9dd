import { describe, expect, it } from "vitest";
import { diffIndexes, type Index, indexesOf, readSchema } from "../../standin/deploy/schema.ts";

const text = { fieldType: { type: "string" }, optional: false };
const table = (extra: object, fields: object = { a: text, b: text }) => ({
  tableName: "t",
  indexes: [],
  documentType: { type: "object", value: fields },
  ...extra,
});
const schema = (...tables: object[]) => JSON.stringify({ tables, schemaValidation: true });
const index = (indexDescriptor: string, fields: string[]) => ({ indexDescriptor, fields });
const S = "Hit an error while evaluating your schema:\n";

describe("rules of a schema (contract 5.2)", () => {
  it.each([
    [
      "IndexNameReserved",
      table({ indexes: [index("by_id", ["a"])] }),
      'In table "t" cannot name an index "by_id" because the name is reserved.',
    ],
    [
      "IndexNamesNotUnique",
      table({ indexes: [index("x", ["a"]), index("x", ["b"])] }),
      'Table "t" has two or more definitions of index "x".',
    ],
    [
      "IndexNotUnique",
      table({ indexes: [index("x", ["a"]), index("y", ["a"])] }),
      'In table "t" index "y" and index "x" have the same fields.',
    ],
    ["EmptyIndex", table({ indexes: [index("x", [])] }), 'In table "t" index "x" must have at least one field.'],
    [
      "IndexFieldsContainCreationTime",
      table({ indexes: [index("x", ["_creationTime"])] }),
      "`_creationTime` is automatically added",
    ],
    [
      "InvalidIndexName",
      table({ indexes: [index("bad-name", ["a"])] }),
      'In table "t": Invalid index name: "bad-name".',
    ],
    ["InvalidTableName", table({ tableName: "bad-name" }), 'Invalid table name: "bad-name".'],
    ["TableNameReserved", table({ tableName: "_mine" }), "_mine is a reserved table name."],
    [
      "SchemaDefinitionError",
      table({ indexes: [index("x", ["nofield"])] }),
      'In table "t" the index "x" is invalid because it references the field "nofield" that does not exist.',
    ],
    ["InvalidSchema", table({}, { $a: text }), "Field name $a starts with '$', which is reserved."],
    [
      "InvalidVectorDimensionError",
      table({ vectorIndexes: [{ indexDescriptor: "v", vectorField: "a", dimensions: 1, filterFields: [] }] }),
      'In table "t": Dimensions 1 must be between 2 and 4096.',
    ],
    [
      "TooManyIndexes",
      table(
        { indexes: Array.from({ length: 65 }, (_, i) => index(`i${i}`, [`f${i}`])) },
        Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`f${i}`, text])),
      ),
      'Table "t" cannot have more than 64 indexes.',
    ],
  ])("%s", (code, bad, message) => {
    expect(() => readSchema(schema(bad))).toThrowError(
      expect.objectContaining({ status: 400, code, message: expect.stringContaining(S + message) }),
    );
  });

  it("finds nested fields, also in one member of a union", () => {
    const nested = { type: "object", value: { c: text } };
    const fields = { a: { fieldType: { type: "union", value: [{ type: "null" }, nested] }, optional: false } };
    const read = readSchema(schema(table({ indexes: [index("x", ["a.c"])] }, fields)));
    expect(indexesOf(read)).toEqual([
      { name: "t.x", type: "database", fields: ["a.c", "_creationTime"], staged: false },
    ]);
  });
});

describe("index diffs (contract 5.2)", () => {
  const db = (name: string, staged = false): Index => ({
    name,
    type: "database",
    fields: [name, "_creationTime"],
    staged,
  });

  it("tells added, removed, staged and unstaged ones apart", () => {
    const diff = diffIndexes(
      [db("t.gone"), db("t.off"), db("t.on", true)],
      [db("t.new"), db("t.off", true), db("t.on")],
    );
    expect(diff).toEqual({
      added_indexes: [db("t.new")],
      removed_indexes: [db("t.gone")],
      disabled_indexes: [db("t.off")],
      enabled_indexes: [db("t.on")],
    });
  });

  it("removes and adds an index whose content changed", () => {
    const search = (filterFields: string[]): Index => ({
      name: "t.s",
      type: "search",
      searchField: "a",
      filterFields,
      staged: false,
    });
    const diff = diffIndexes([search(["b"])], [search([])]);
    expect([diff.added_indexes, diff.removed_indexes]).toEqual([[search([])], [search(["b"])]]);
  });
});
