import { stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compareInspections } from "../../../src/snapshot/compare.ts";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import { rewriteSnapshot } from "../../../src/snapshot/rewrite.ts";
import { entriesToLeaveOut, restorability } from "../../../src/snapshot/roads.ts";
import { startStandin } from "../../standin/standin.ts";
import { BASE, changed, type Entries, linesOf, scratch, UNIFORM, writeZip } from "../../support/snapshot.ts";
import { exportZip, importZip } from "../../support/transfer.ts";

const recorded = (name: string): string => join(import.meta.dirname, "../../fixtures/snapshots", name);

/** The base with a table `my_storage`. */
function withSuffix(line: string): Entries {
  const numbers = ["messages", "refs", "anything", "my_storage"].map(
    (name, i) => `{"name":"${name}","id":${10001 + i}}`,
  );
  return [
    ...changed(BASE, "_tables/documents.jsonl", linesOf(numbers)),
    ["my_storage/documents.jsonl", `${line}\n`],
    ["my_storage/generated_schema.jsonl", UNIFORM],
  ];
}

const PLAIN = '{"_creationTime":1795400000101.5,"_id":"jh7000000400000028t00000018js9kd","a":[1.0,-0.0,null,"x"]}';
const EXACT = PLAIN.replace('"x"', "1");

describe("a table whose name ends in _storage", () => {
  it("is restored without its schema entry when its values survive that", async () => {
    await using files = await scratch();
    await using standin = await startStandin();
    const original = await writeZip(files.path("original.zip"), withSuffix(PLAIN));
    const inspection = await inspectSnapshot(original);
    expect(inspection.findings).toMatchObject([
      { kind: "storage-suffix-table", level: "warning", where: "my_storage/generated_schema.jsonl" },
    ]);
    const roads = restorability(inspection);
    expect(roads).toEqual({ emptyStorage: [], leaveOut: ["my_storage/generated_schema.jsonl"], refused: [] });
    expect((await importZip(standin, original)).text).toContain("_storage id 'generated_schema' invalid");
    await rewriteSnapshot(original, files.path("upload.zip"), entriesToLeaveOut(roads, []));
    expect(await importZip(standin, files.path("upload.zip"))).toMatchObject({ status: 200 });
    const restored = await inspectSnapshot(await exportZip(standin, files.path("restored.zip")));
    expect(compareInspections(inspection, restored)).toEqual([]);
  });

  it.each([
    ["an integer", EXACT],
    ["bytes", PLAIN.replace('"x"', '{"$bytes":""}')],
    ["NaN", PLAIN.replace('"x"', '{"$float":"AAAAAAAA+H8="}')],
  ])("is refused when it holds %s", async (_what, line) => {
    await using files = await scratch();
    const inspection = await inspectSnapshot(await writeZip(files.path("x.zip"), withSuffix(line)));
    expect(inspection.findings.map(({ kind }) => kind)).toEqual(["storage-suffix-lost"]);
    const roads = restorability(inspection);
    expect(roads).toMatchObject({ leaveOut: [], refused: [{ kind: "storage-suffix-lost" }] });
    expect(roads.refused[0]?.message).toContain("my_storage");
  });

  it("would lose what an integer is, which is why it is refused", async () => {
    await using files = await scratch();
    await using standin = await startStandin();
    const inspection = await inspectSnapshot(await writeZip(files.path("original.zip"), withSuffix(EXACT)));
    await rewriteSnapshot(files.path("original.zip"), files.path("upload.zip"), ["my_storage/generated_schema.jsonl"]);
    await importZip(standin, files.path("upload.zip"));
    const restored = await inspectSnapshot(await exportZip(standin, files.path("restored.zip")));
    expect(compareInspections(inspection, restored)).toMatchObject([{ name: "my_storage", kind: "content" }]);
  });

  it("of the old encoding is judged by its shape", async () => {
    await using files = await scratch();
    const old = (shape: string): Entries =>
      changed(withSuffix(PLAIN), "my_storage/generated_schema.jsonl", `${JSON.stringify(shape)}\n`);
    const exact = async (shape: string): Promise<boolean | undefined> => {
      const path = files.path(`${Math.random()}.zip`);
      const { tables } = await inspectSnapshot(await writeZip(path, old(shape)));
      return tables.find(({ name }) => name === "my_storage")?.exactValues;
    };
    expect(await exact('{"a": array<normalfloat64 | null | string>}')).toBe(false);
    expect(await exact('{"a": array<int64>}')).toBe(true);
    expect(await exact('{"a": bytes}')).toBe(true);
  });
});

describe("empty file storage of a component", () => {
  it("is left out where the component is not on the target yet", async () => {
    await using files = await scratch();
    await using standin = await startStandin();
    const original = recorded("with-component.zip");
    const inspection = await inspectSnapshot(original);
    const roads = restorability(inspection);
    const entry = "_components/second/_storage/documents.jsonl";
    expect(roads).toEqual({ emptyStorage: [{ component: "second", entry }], leaveOut: [], refused: [] });
    expect((await importZip(standin, original)).text).toContain("has IDs that conflict");

    await using fresh = await startStandin();
    await rewriteSnapshot(original, files.path("upload.zip"), entriesToLeaveOut(roads, []));
    expect(await importZip(fresh, files.path("upload.zip"))).toMatchObject({ status: 200 });
    const restored = await inspectSnapshot(await exportZip(fresh, files.path("restored.zip")));
    expect(compareInspections(inspection, restored)).toEqual([]);
  });

  it("stays where the component is there: it removes files that came later", () => {
    const roads = { emptyStorage: [{ component: "widget", entry: "x" }], leaveOut: ["y"], refused: [] };
    expect(entriesToLeaveOut(roads, ["widget"])).toEqual(["y"]);
    expect(entriesToLeaveOut(roads, ["other"])).toEqual(["y", "x"]);
  });
});

describe("rewriting", () => {
  it("keeps every other entry as it is, for its owner alone, and tells size and SHA-256", async () => {
    await using files = await scratch();
    const original = recorded("with-component.zip");
    const written = await rewriteSnapshot(original, files.path("new.zip"), []);
    const [before, after] = [await inspectSnapshot(original), await inspectSnapshot(files.path("new.zip"))];
    expect(after).toEqual({ ...before, ...written });
    expect((await stat(files.path("new.zip"))).mode & 0o777).toBe(0o600);
  });

  it("refuses to leave out what is not there, and to overwrite", async () => {
    await using files = await scratch();
    const original = recorded("empty.zip");
    await expect(rewriteSnapshot(original, files.path("a.zip"), ["nope"])).rejects.toThrow("not in the snapshot: nope");
    await writeZip(files.path("b.zip"), BASE);
    await expect(rewriteSnapshot(original, files.path("b.zip"), [])).rejects.toMatchObject({ code: "EEXIST" });
  });

  it("leaves out an entry below a folder too", async () => {
    await using files = await scratch();
    const path = await writeZip(
      files.path("x.zip"),
      BASE.map(([name, content]) => [`snap/${name}`, content] as const),
    );
    await rewriteSnapshot(path, files.path("y.zip"), ["refs/documents.jsonl"]);
    const { tables } = await inspectSnapshot(files.path("y.zip"));
    expect(tables.map(({ name }) => name)).toEqual(["anything", "messages"]);
  });
});
