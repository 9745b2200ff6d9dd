import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readSchema, type Schema } from "../../standin/deploy/schema.ts";
import {
  activateSchema,
  checkDocument,
  misfit,
  prepareSchema,
  previewSchema,
  requireReady,
  schemaStatus,
} from "../../standin/deploy/schema-state.ts";
import { SqliteStore } from "../../standin/store.ts";

const text = { fieldType: { type: "string" }, optional: false };
function schemaWith(fields: string[], options: { index?: string; schemaValidation?: boolean } = {}): Schema {
  const { index, schemaValidation = true } = options;
  const documentType = { type: "object", value: Object.fromEntries(fields.map((name) => [name, text])) };
  const indexes = index === undefined ? [] : [{ indexDescriptor: `by_${index}`, fields: [index] }];
  return readSchema(JSON.stringify({ tables: [{ tableName: "messages", indexes, documentType }], schemaValidation }));
}
const loose = schemaWith(["author"]);
const strict = schemaWith(["author", "mandatory"]);

let directory: string;
let store: SqliteStore;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  directory = mkdtempSync(join(tmpdir(), "schema-state-"));
  store = new SqliteStore(join(directory, "db.sqlite3"));
  store.checkDocument = checkDocument;
});
afterEach(() => {
  vi.useRealTimers();
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

const prepare = (schema: Schema | null) => store.write((tx) => prepareSchema(tx, "", schema));
const status = (id: string) => store.write((tx) => schemaStatus(tx, "", id).state);
async function deploy(schema: Schema | null) {
  const { schemaId } = await prepare(schema);
  vi.advanceTimersByTime(1000);
  return store.write((tx) => {
    requireReady(tx, "", schemaId);
    return { schemaId: schemaId ?? "", ...activateSchema(tx, "", schemaId) };
  });
}

describe("one active and one pending schema (contract 5.2, model)", () => {
  it("keeps the id of an equal active or pending schema", async () => {
    const first = await prepare(loose);
    expect((await prepare(loose)).schemaId).toBe(first.schemaId);
    const { schemaId } = await deploy(loose);
    expect(schemaId).toBe(first.schemaId);
    expect((await prepare(loose)).schemaId).toBe(schemaId);
  });

  it("throws the id of a mere evaluation away", async () => {
    const seen = store.read((tx) => previewSchema(tx, "", loose).schemaId);
    expect((await prepare(loose)).schemaId).not.toBe(seen);
  });

  it("overwrites a pending schema by another push, also by one with the active schema", async () => {
    await deploy(loose);
    const pending = (await prepare(strict)).schemaId ?? "";
    await prepare(loose);
    expect(await status(pending)).toBe("overwritten");
    await expect(store.write((tx) => requireReady(tx, "", pending))).rejects.toMatchObject({
      status: 400,
      code: "SchemaAlreadyOverwritten",
    });
  });

  it("gives a schema that comes back a new id, and the old one stays overwritten", async () => {
    const old = await deploy(loose);
    await deploy(schemaWith(["author"], { index: "author" }));
    const again = await deploy(loose);
    expect(again.schemaId).not.toBe(old.schemaId);
    expect(await status(old.schemaId)).toBe("overwritten");
  });

  it("refuses ids it did not make", async () => {
    await expect(status("x")).rejects.toMatchObject({ status: 400, code: "InvalidId" });
    await expect(status(`${"A".repeat(22)}|${"B".repeat(22)}`)).rejects.toMatchObject({ status: 500 });
  });
});

describe("documents", () => {
  it("fails a schema that a document does not fit, each time alike", async () => {
    await store.write((tx) => tx.insert("", "messages", { author: "a" }));
    const { schemaId } = await prepare(strict);
    vi.advanceTimersByTime(1000);
    const answers = [0, 1].map(() => store.write((tx) => schemaStatus(tx, "", schemaId ?? "")));
    for (const answer of await Promise.all(answers)) {
      expect(answer).toMatchObject({
        state: "failed",
        tableName: "messages",
        error: expect.stringMatching(
          /^Document with ID "[a-z0-9]{32}" in table "messages" does not match the schema: /,
        ),
      });
    }
  });

  it("lets a write that fits only the active schema fail the pending one", async () => {
    await deploy(loose);
    const { schemaId } = await prepare(strict);
    await store.write((tx) => tx.insert("", "messages", { author: "x" }));
    const error = expect.stringMatching(
      /^Schema has already been failed with error: New document in table "messages" does not match/,
    );
    await expect(store.write((tx) => requireReady(tx, "", schemaId))).rejects.toMatchObject({
      code: "SchemaAlreadyFailed",
      message: error,
    });
  });

  it("refuses a write against the active schema, unless it does not validate", async () => {
    await deploy(strict);
    await expect(store.write((tx) => tx.insert("", "messages", { author: "x" }))).rejects.toThrow(
      /^Failed to insert or update a document in table "messages" because it does not match the schema: Object is missing/,
    );
    await deploy(schemaWith(["author", "mandatory"], { schemaValidation: false }));
    await store.write((tx) => tx.insert("", "messages", { author: "x" }));
    expect(store.read((tx) => misfit(tx, "", "messages", { author: 1 }))).toBeUndefined();
  });
});

describe("indexes", () => {
  const indexed = schemaWith(["author"], { index: "author" });
  const byAuthor = { name: "messages.by_author", type: "database", fields: ["author", "_creationTime"], staged: false };

  it("are built first: finish_push before that is a 500", async () => {
    const { schemaId } = await prepare(indexed);
    await expect(store.write((tx) => requireReady(tx, "", schemaId))).rejects.toMatchObject({ status: 500 });
    expect(await store.write((tx) => schemaStatus(tx, "", schemaId ?? ""))).toMatchObject({
      state: "working",
      indexesComplete: 0,
      indexesTotal: 1,
    });
    vi.advanceTimersByTime(1000);
    expect(await status(schemaId ?? "")).toBe("ready");
  });

  it("of an unfinished push are not added again, and are removed by the next schema", async () => {
    await deploy(loose);
    expect((await prepare(indexed)).indexDiff?.added_indexes).toEqual([byAuthor]);
    expect((await prepare(indexed)).indexDiff?.added_indexes).toEqual([]);
    expect((await prepare(loose)).indexDiff?.removed_indexes).toEqual([byAuthor]);
    expect((await deploy(loose)).indexDiff.removed_indexes).toEqual([]);
  });

  it("go with the schema, which is told at the end only", async () => {
    await deploy(indexed);
    expect(await prepare(null)).toEqual({ schemaId: null, indexDiff: undefined });
    expect((await deploy(null)).indexDiff.removed_indexes).toEqual([byAuthor]);
  });
});
