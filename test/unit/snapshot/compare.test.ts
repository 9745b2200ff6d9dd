import { describe, expect, it } from "vitest";
import { compareInspections, type SnapshotFacts, sameEncoding } from "../../../src/snapshot/compare.ts";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import type { TableFacts } from "../../../src/snapshot/inspection.ts";
import { sampleDifferences } from "../../../src/snapshot/samples.ts";
import { encodeId } from "../../standin/ids.ts";
import { BASE, changed, linesOf, MESSAGES, scratch, without, writeZip } from "../../support/snapshot.ts";

function table(name: string, documents: number, digest: string, component = ""): TableFacts {
  return { component, name, documents, digest, bytes: documents * 10, exactValues: false };
}

function facts(...tables: TableFacts[]): SnapshotFacts {
  return { tables, storage: undefined, encoding: "uniform" };
}

describe("comparing", () => {
  const expected = facts(table("users", 2, "aa"), table("orders", 3, "bb"), table("users", 1, "cc", "widget"));

  it("finds nothing between equals", () => {
    expect(compareInspections(expected, expected)).toEqual([]);
  });

  it("names tables that are missing, unexpected, of another number and of other content", () => {
    const found = facts(table("users", 2, "ax"), table("users", 4, "cc", "widget"), table("extra", 5, "ee"));
    expect(compareInspections(expected, found)).toEqual([
      { component: "", name: "users", kind: "content", expected: 2, found: 2 },
      { component: "", name: "orders", kind: "missing", expected: 3, found: 0 },
      { component: "widget", name: "users", kind: "count", expected: 1, found: 4 },
      { component: "", name: "extra", kind: "unexpected", expected: 0, found: 5 },
    ]);
  });

  it("lets an empty table of the target's schema be", () => {
    expect(compareInspections(expected, facts(...expected.tables, table("new", 0, "00")))).toEqual([]);
  });

  it("compares counts alone where the encodings differ", () => {
    const old: SnapshotFacts = { ...facts(table("users", 2, "zz")), encoding: "shapes" };
    expect(sameEncoding(old, expected)).toBe(false);
    expect(compareInspections(old, facts(table("users", 2, "aa")))).toEqual([]);
    expect(compareInspections(old, facts(table("users", 3, "aa")))).toMatchObject([{ kind: "count" }]);
  });

  it("compares files by component, when the backup has any", () => {
    const files = (count: number, digest: string): SnapshotFacts => ({
      ...facts(),
      storage: [{ component: "", files: count, bytes: count, digest }],
    });
    expect(compareInspections(files(2, "aa"), files(2, "ab"))).toMatchObject([{ name: "_storage", kind: "content" }]);
    expect(compareInspections(files(2, "aa"), facts())).toMatchObject([{ name: "_storage", kind: "missing" }]);
    expect(compareInspections(files(0, "00"), facts())).toEqual([]);
    expect(compareInspections(facts(), files(2, "aa"))).toEqual([]);
  });
});

describe("what the archive alone cannot show", () => {
  const documents = "messages/documents.jsonl";
  const schema = "messages/generated_schema.jsonl";
  const numbers = '{"name":"refs","id":10002}\n{"name":"anything","id":10003}\n';

  it.each([
    [
      "a table absent altogether",
      changed(without(BASE, documents, schema), "_tables/documents.jsonl", numbers),
      "missing",
    ],
    ["documents.jsonl with 0 bytes", changed(BASE, documents, ""), "count"],
    ["documents.jsonl cut at a line end", changed(BASE, documents, linesOf(MESSAGES.slice(0, 2))), "count"],
    [
      "a float that became an integer",
      changed(BASE, documents, linesOf(MESSAGES).replace('"likes":1.0', '"likes":1')),
      "content",
    ],
  ])("%s shows against what the manifest keeps", async (_what, entries, kind) => {
    await using files = await scratch();
    const expected = await inspectSnapshot(await writeZip(files.path("a.zip"), BASE));
    const found = await inspectSnapshot(await writeZip(files.path("b.zip"), entries));
    expect(found.findings).toEqual([]);
    expect(compareInspections(expected, found)).toMatchObject([{ name: "messages", kind }]);
  });
});

describe("samples of differences", () => {
  const idOf = (n: number): string => {
    const internal = Buffer.alloc(16, n);
    internal.writeUInt16BE(20_780, 14);
    return encodeId({ table: 10001, internal });
  };

  it("name documents that are missing, unexpected or changed, whatever their order", async () => {
    await using files = await scratch();
    const a = await writeZip(files.path("a.zip"), BASE);
    const lines = [
      MESSAGES[2]?.replace("3.0", "4.0") ?? "",
      MESSAGES[0] ?? "",
      '{"_creationTime":1795400000009.5,"_id":"j57000001400000028t00000018jsawz"}',
    ];
    const b = await writeZip(files.path("b.zip"), changed(BASE, "messages/documents.jsonl", linesOf(lines)));
    const { tables } = await inspectSnapshot(a);
    expect(
      await sampleDifferences(
        a,
        b,
        tables.filter(({ name }) => name !== "refs"),
      ),
    ).toEqual([
      { component: "", name: "anything", missing: [], unexpected: [], changed: [] },
      {
        component: "",
        name: "messages",
        missing: ["j57000000800000028t00000018js924"],
        unexpected: ["j57000001400000028t00000018jsawz"],
        changed: ["j57000000c00000028t00000018js9ah"],
      },
    ]);
  });

  it("are the same when the ids are compared in parts", async () => {
    await using files = await scratch();
    const line = (n: number, value: string): string =>
      `{"_creationTime":1795400000001.5,"_id":"${idOf(n)}","v":${value}}`;
    const write = (name: string, lines: string[]): Promise<string> =>
      writeZip(files.path(name), changed(BASE, "messages/documents.jsonl", linesOf(lines)));
    const numbers = Array.from({ length: 40 }, (_, n) => n);
    const a = await write(
      "a.zip",
      numbers.map((n) => line(n, "1.0")),
    );
    const others = numbers.filter((n) => n !== 3 && n !== 17).map((n) => line(n, n === 8 || n === 30 ? "2.0" : "1.0"));
    const b = await write("b.zip", [...others, line(99, "1.0")]);
    for (const atOnce of [1000, 7, 1]) {
      const [samples] = await sampleDifferences(a, b, [table("messages", 40, "")], atOnce);
      const sorted = [samples?.missing, samples?.unexpected, samples?.changed].map((ids) => ids?.toSorted());
      expect(sorted).toEqual([[idOf(3), idOf(17)], [idOf(99)], [idOf(8), idOf(30)]]);
    }
  });

  it("take a table that one side does not have", async () => {
    await using files = await scratch();
    const a = await writeZip(files.path("a.zip"), BASE);
    const b = await writeZip(files.path("b.zip"), without(BASE, "refs/documents.jsonl"));
    expect(await sampleDifferences(a, b, [table("refs", 1, "")])).toMatchObject([
      { name: "refs", missing: ["j97000000400000028t00000018js929"], unexpected: [], changed: [] },
    ]);
  });
});
