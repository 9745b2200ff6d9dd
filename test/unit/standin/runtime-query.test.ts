import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSchema } from "../../standin/deploy/schema.ts";
import { activateSchema, prepareSchema } from "../../standin/deploy/schema-state.ts";
import { evaluate } from "../../standin/runtime/filters.ts";
import { pageOf, runQuery, type SerializedQuery } from "../../standin/runtime/query.ts";
import { SqliteStore } from "../../standin/store.ts";
import type { Document } from "../../standin/types.ts";

const text = { fieldType: { type: "string" }, optional: false };
const table = {
  tableName: "messages",
  indexes: [{ indexDescriptor: "by_author", fields: ["author", "n"] }],
  searchIndexes: [{ indexDescriptor: "search", searchField: "body", filterFields: ["author"] }],
  documentType: {
    type: "object",
    value: { author: text, body: text, n: { fieldType: { type: "number" }, optional: true } },
  },
};

let directory: string;
let store: SqliteStore;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "query-"));
  store = new SqliteStore(join(directory, "db.sqlite3"));
  await store.write((tx) => {
    const { schemaId } = prepareSchema(tx, "", readSchema(JSON.stringify({ tables: [table], schemaValidation: true })));
    activateSchema(tx, "", schemaId);
    for (const [author, n, body] of [
      ["b", 2, "red apple"],
      ["a", 3, "green apple tree"],
      ["b", 1, "tree"],
      ["a", 1, "pear"],
    ] as const) {
      tx.insert("", "messages", { author, n, body });
    }
  });
});
afterAll(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

const shown = (documents: readonly Document[]) => documents.map(({ author, n }) => `${author}${n}`);
const run = (query: SerializedQuery) => store.read((tx) => shown(runQuery(tx, "", query)));
const scan = (operators: SerializedQuery["operators"] = [], order: "asc" | "desc" | null = null): SerializedQuery => ({
  source: { type: "FullTableScan", tableName: "messages", order },
  operators,
});
type Range = Extract<SerializedQuery["source"], { type: "IndexRange" }>["range"];
const byAuthor = (range: Range, order: "asc" | "desc" | null = null): SerializedQuery => ({
  source: { type: "IndexRange", indexName: "messages.by_author", range, order },
  operators: [],
});

describe("queries", () => {
  it("scan in order of creation, both ways", () => {
    expect(run(scan())).toEqual(["b2", "a3", "b1", "a1"]);
    expect(run(scan([], "desc"))).toEqual(["a1", "b1", "a3", "b2"]);
  });

  it("apply filters and limits in their order", () => {
    const isA = { filter: { $eq: [{ $field: "author" }, { $literal: "a" }] } };
    expect(run(scan([isA, { limit: 1 }]))).toEqual(["a3"]);
    expect(run(scan([{ limit: 1 }, isA]))).toEqual([]);
  });

  it("follow an index within its bounds", () => {
    const eq = { type: "Eq", fieldPath: "author", value: "b" } as const;
    expect(run(byAuthor([]))).toEqual(["a1", "a3", "b1", "b2"]);
    expect(run(byAuthor([eq], "desc"))).toEqual(["b2", "b1"]);
    expect(run(byAuthor([eq, { type: "Gt", fieldPath: "n", value: 1 }]))).toEqual(["b2"]);
    expect(run(byAuthor([{ type: "Gte", fieldPath: "author", value: "b" }]))).toEqual(["b1", "b2"]);
  });

  it("refuse fields out of the index's order and unknown indexes", () => {
    expect(() => run(byAuthor([{ type: "Eq", fieldPath: "n", value: 1 }]))).toThrow(
      "didn't use the index fields in order",
    );
    const unknown: SerializedQuery = {
      source: { type: "IndexRange", indexName: "messages.nope", range: [], order: null },
      operators: [],
    };
    expect(() => run(unknown)).toThrow("Index messages.nope not found.");
  });

  it("search words, most in common first", () => {
    const filters = [{ type: "Search", fieldPath: "body", value: "apple tr" }] as const;
    const search = (more: readonly { type: "Eq"; fieldPath: string; value: unknown }[] = []): SerializedQuery => ({
      source: { type: "Search", indexName: "messages.search", filters: [...filters, ...more] },
      operators: [],
    });
    expect(run(search())).toEqual(["a3", "b1", "b2"]);
    expect(run(search([{ type: "Eq", fieldPath: "author", value: "b" }]))).toEqual(["b1", "b2"]);
  });
});

describe("filters", () => {
  const document = { _id: "x", _creationTime: 1, n: 2, big: 3n, a: { b: null } } as Document;
  const n = { $field: "n" };
  it.each([
    [{ $gt: [n, { $literal: 1 }] }, true],
    [{ $neq: [n, { $literal: 2 }] }, false],
    [{ $and: [true, { $lte: [n, 2] }] }, true],
    [{ $not: { $or: [false, { $lt: [n, 2] }] } }, true],
    [{ $add: [n, { $literal: 1.5 }] }, 3.5],
    [{ $mod: [{ $field: "big" }, { $literal: { $integer: "AgAAAAAAAAA=" } }] }, 1n],
    [{ $neg: n }, -2],
    [{ $eq: [{ $field: "a.b" }, { $literal: null }] }, true],
    [{ $eq: [{ $field: "a.c" }, { $literal: { $undefined: null } }] }, true],
  ])("%j", (expression, expected) => {
    expect(evaluate(expression, document)).toEqual(expected);
  });
});

describe("pages", () => {
  const page = (after: string | null, options: { until?: string | null; order?: "asc" | "desc" } = {}) =>
    store.read((tx) =>
      pageOf(tx, "", scan([], options.order ?? null), { after, until: options.until ?? null, size: 3 }),
    );

  it("go on where the last one ended", () => {
    const first = page(null);
    expect([shown(first.documents), first.isDone]).toEqual([["b2", "a3", "b1"], false]);
    const second = page(first.position);
    expect([shown(second.documents), second.isDone]).toEqual([["a1"], true]);
    expect(page(second.position)).toMatchObject({ documents: [], isDone: true });
  });

  it("reach up to a known end, also backwards", () => {
    const first = page(null, { order: "desc" });
    expect(shown(page(null, { order: "desc", until: first.position }).documents)).toEqual(["a1", "b1", "a3"]);
  });
});
