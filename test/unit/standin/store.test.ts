import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodeId } from "../../standin/ids.ts";
import { SqliteStore } from "../../standin/store.ts";

let directory: string;
let store: SqliteStore;
const open = () => new SqliteStore(join(directory, "db.sqlite3"));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "store-"));
  store = open();
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true });
});

describe("the store", () => {
  it("numbers tables from 10001 in every component, and puts the number into ids", async () => {
    const [a, b, c] = await store.write((tx) => [
      tx.insert("", "messages", { n: 1 }),
      tx.insert("", "users", { n: 2n }),
      tx.insert("widget", "counters", {}),
    ]);
    expect([a, b, c].map((id) => decodeId(id ?? "")?.table)).toEqual([10001, 10002, 10001]);
    expect(store.read((tx) => tx.userTables("").map((t) => t.name))).toEqual(["messages", "users"]);
    expect(store.read((tx) => tx.get("", c ?? ""))).toBeNull();
  });

  it("shows a snapshot nothing of later commits, and a writer its own writes", async () => {
    const id = await store.write((tx) => tx.insert("", "t", { v: "old" }));
    const before = store.beginRead();
    await store.write((tx) => {
      tx.replace("", id, { v: "new" });
      tx.insert("", "t", {});
      expect(tx.count("", "t")).toBe(2);
    });
    expect(before.get("", id)?.["v"]).toBe("old");
    expect(before.count("", "t")).toBe(1);
    expect(store.read((tx) => tx.get("", id)?.["v"])).toBe("new");
    expect(store.lastCommit).toBeGreaterThan(before.ts);
  });

  it("takes nothing of a transaction that throws, and lets the next one in", async () => {
    const failing = store.write((tx) => {
      tx.insert("", "t", {});
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    await store.write((tx) => expect(tx.count("", "t")).toBe(0));
  });

  it("lets one writer in at a time", async () => {
    const add = () =>
      store.write(async (tx) => {
        const [doc] = tx.scan("", "t");
        await Promise.resolve();
        const n = Number(doc?.["n"] ?? 0) + 1;
        if (doc === undefined) tx.insert("", "t", { n });
        else tx.replace("", doc._id, { n });
      });
    await Promise.all(Array.from({ length: 20 }, add));
    expect(store.read((tx) => tx.scan("", "t")[0]?.["n"])).toBe(20);
  });

  it("rolls back to a savepoint", async () => {
    await store.write((tx) => {
      const kept = tx.insert("", "t", { v: 1 });
      const savepoint = tx.savepoint();
      tx.replace("", kept, { v: 2 });
      tx.insert("", "t", {});
      tx.insert("", "other", {});
      tx.rollback(savepoint);
    });
    store.close();
    store = open();
    expect(store.read((tx) => tx.scan("", "t").map((doc) => doc["v"]))).toEqual([1]);
    expect(store.read((tx) => tx.table("", "other"))).toBeUndefined();
  });

  it("replaces a table by a hidden one with its number and given ids", async () => {
    await store.write((tx) => tx.insert("", "t", { old: true }));
    const id = "j57000820c20a1g7104gm2rc1m70ynr8";
    await store.write((tx) => {
      const { tablet } = tx.createTable("", "t", { number: 10001, hidden: true });
      tx.insertTablet(tablet, { old: false }, { id, creationTime: 5.5 });
      expect(tx.scan("", "t")).toHaveLength(1);
      tx.activateTable(tablet);
      expect(tx.get("", id)).toEqual({ _id: id, _creationTime: 5.5, old: false });
    });
    store.close();
    store = open();
    expect(store.read((tx) => tx.scan("", "t"))).toEqual([{ _id: id, _creationTime: 5.5, old: false }]);
    expect(store.read((tx) => tx.allTables())).toHaveLength(1);
  });

  it("keeps every kind of value over a restart", async () => {
    const value = {
      big: 2n ** 62n,
      half: 0.5,
      zero: -0,
      nan: Number.NaN,
      bytes: new Uint8Array([1]).buffer,
      list: [null],
    };
    await store.write((tx) => tx.insert("", "t", value));
    store.close();
    store = open();
    expect(store.read((tx) => tx.scan("", "t")[0])).toMatchObject(value);
  });

  it("reads an index in order and within bounds", async () => {
    await store.write((tx) => {
      for (const [a, b] of [
        ["x", 2],
        ["y", 1],
        ["x", 1],
        ["x", 3],
      ] as const)
        tx.insert("", "t", { a, b });
      tx.insert("", "t", { b: 9 });
    });
    const pairs = (query: Parameters<ReturnType<typeof store.beginRead>["range"]>[2]) =>
      store.read((tx) => tx.range("", "t", query).map((doc) => [doc["a"], doc["b"]]));
    const fields = ["a", "b"];
    expect(pairs({ fields })).toEqual([
      [undefined, 9],
      ["x", 1],
      ["x", 2],
      ["x", 3],
      ["y", 1],
    ]);
    const lower = { values: ["x", 1], inclusive: false };
    const upper = { values: ["x"], inclusive: true };
    expect(pairs({ fields, lower, upper })).toEqual([
      ["x", 2],
      ["x", 3],
    ]);
    expect(pairs({ fields, lower: { values: [undefined], inclusive: false }, order: "desc" })[0]).toEqual(["y", 1]);
  });

  it("tells commits which reads they touch", async () => {
    const read = store.beginRead();
    read.scan("", "later");
    const touched: boolean[] = [];
    store.onCommit((_ts, keys) => touched.push([...keys].some((key) => read.reads.has(key))));
    await store.write((tx) => tx.insert("", "other", {}));
    await store.write((tx) => tx.insert("", "later", {}));
    await store.write(() => undefined);
    expect(touched).toEqual([false, true]);
  });

  it("sees what another process wrote to the file once it writes itself", async () => {
    const other = open();
    await other.write((tx) => tx.insert("", "t", { from: "other" }));
    expect(store.read((tx) => tx.count("", "t"))).toBe(0);
    await store.write((tx) => tx.insert("", "t", { from: "this" }));
    other.close();
    expect(store.read((tx) => tx.scan("", "t").map((doc) => doc["from"]))).toEqual(["other", "this"]);
  });

  it("refuses what is no database in SQLite's words", () => {
    const at = (name: string, content: string) => {
      writeFileSync(join(directory, name), content);
      return () => new SqliteStore(join(directory, name));
    };
    expect(at("garbage", "no database, but long enough to be looked at".repeat(50))).toThrow("file is not a database");
    expect(at("empty", "")).toThrow("missing _tables.by_id global");
    const nowhere = join(directory, "none", "db");
    expect(() => new SqliteStore(nowhere)).toThrow(`unable to open database file: ${nowhere}`);
  });
});
