import { describe, expect, it } from "vitest";
import { twoWidgets } from "./support/app.ts";
import { type Backend, ownsProcess, useBackend, withProcess } from "./support/backend.ts";
import { at, listAt } from "./support/http.ts";
import { madeId } from "./support/ids.ts";
import { push, pushEmptyApp } from "./support/push.ts";
import { errorOf, exportZip, importAll, namesLike, snapshot, table, tables, zipOf } from "./support/snapshot.ts";
import { readZip } from "./support/zip.ts";

const backend = useBackend((target) => push(target, { files: twoWidgets }));

const widgetTables = ["", "_components/widget/", "_components/second/"];
const counters = (prefix: string) => [
  tables({ counters: 10001 }, prefix),
  ...table(`${prefix}counters`, [
    `{"_creationTime":1795400000001.5,"_id":"${madeId(10001, 1)}","name":"a","value":1.0}`,
  ]),
];
const states = async (target: Backend) =>
  listAt(await target.value("query", "_system/frontend/components:list")).map(
    (each) => `${at(each, "path")} ${at(each, "state")}`,
  );

describe("on a deployed app", () => {
  it("7.3 the recorded snapshot with components comes out as it went in", async () => {
    const before = readZip(snapshot("with-component"));
    expect(errorOf(await importAll(backend, snapshot("with-component"), { mode: "replaceAll" }))).toBeUndefined();
    const after = await exportZip(backend, true);
    expect(namesLike(before, after)).toEqual(new Set(before.names()));
    for (const prefix of widgetTables) {
      const name = `${prefix}${prefix === "" ? "messages" : "counters"}/documents.jsonl`;
      expect(after.entry(name).text).toBe(before.entry(name).text);
    }
  });

  it("7.3 the summary lists components below the root", async () => {
    await backend.reset();
    await push(backend, { files: twoWidgets });
    const zip = zipOf(...widgetTables.slice(1).flatMap(counters));
    const document = await importAll(backend, zip, { mode: "replaceAll" });
    expect(at(document, "state", "state")).toBe("completed");
    expect(
      listAt(document, "checkpoints").map((each) => [at(each, "component_path"), at(each, "display_table_name")]),
    ).toEqual(
      expect.arrayContaining([
        ["second", "counters"],
        ["widget", "counters"],
      ]),
    );
  });

  it("7.3 replaceAll empties components that are not in the file", async () => {
    await importAll(backend, zipOf(...widgetTables.slice(1).flatMap(counters)), { mode: "replaceAll" });
    await importAll(backend, zipOf(counters("_components/widget/")), { mode: "replaceAll" });
    const value = await backend.value("query", "useWidget:all");
    expect([listAt(value, "widget").length, listAt(value, "second").length]).toEqual([1, 0]);
  });

  it("7.3 componentPath moves every entry below that component", async () => {
    await importAll(backend, zipOf(counters("")), { mode: "replace", componentPath: "second" });
    expect(listAt(await backend.value("query", "useWidget:all"), "second")).toHaveLength(1);
  });

  it("7.3 the component's schema is enforced and named", async () => {
    const bad = zipOf(table("_components/widget/counters", ['{"name":5.0,"value":1.0}']));
    expect(String(errorOf(await importAll(backend, bad, { mode: "replace" })))).toContain(
      "does not match the schema: Value does not match validator.\nPath: .name",
    );
  });
});

describe.skipIf(!ownsProcess)("on an instance without the components", () => {
  it("7.3 M14: an empty _storage of a component that does not exist fails once; the same import again succeeds", async () => {
    await withProcess({}, async (target) => {
      const first = errorOf(await importAll(target, snapshot("with-component"), { mode: "replaceAll" }));
      // Later releases may have mended it: then the import is simply there.
      if (first !== undefined) {
        expect(String(first)).toMatch(
          /^Hit an error while importing:\nNew table `(_file_storage|counters)` in 'second' has IDs that conflict with existing (table `counters`|system table)/,
        );
        expect(errorOf(await importAll(target, snapshot("with-component"), { mode: "replaceAll" }))).toBeUndefined();
      }
      expect(await states(target)).toEqual(expect.arrayContaining(["widget unmounted", "second unmounted"]));
      const { finished } = await push(target, { files: twoWidgets });
      expect(at(finished, "componentDiffs", "widget", "diffType")).toEqual({ type: "remount" });
      expect(listAt(await target.value("query", "useWidget:all"), "widget")).toHaveLength(1);
    });
  });

  it("7.3 creating the components first (append, only empty _tables) is a way around it", async () => {
    await withProcess({}, async (target) => {
      const prepare = zipOf(
        ...widgetTables.slice(1).map((prefix) => ({ name: `${prefix}_tables/documents.jsonl`, data: "" })),
      );
      expect(errorOf(await importAll(target, prepare, { mode: "append" }))).toBeUndefined();
      expect(errorOf(await importAll(target, snapshot("with-component"), { mode: "replaceAll" }))).toBeUndefined();
    });
  });

  it("7.3 so is leaving out the empty _storage entries", async () => {
    await withProcess({}, async (target) => {
      const parts = readZip(snapshot("with-component")).entries.filter(
        (entry) =>
          !(
            entry.name.startsWith("_components/") &&
            entry.name.endsWith("_storage/documents.jsonl") &&
            entry.size === 0
          ),
      );
      const zip = zipOf(parts.map((entry) => ({ name: entry.name, data: entry.data })));
      expect(errorOf(await importAll(target, zip, { mode: "replaceAll" }))).toBeUndefined();
    });
  });

  it("7.3 a componentPath that does not exist is created as an unmounted component", async () => {
    await withProcess({}, async (target) => {
      await pushEmptyApp(target);
      expect(
        errorOf(await importAll(target, zipOf(counters("")), { mode: "append", componentPath: "nope" })),
      ).toBeUndefined();
      expect(await states(target)).toContain("nope unmounted");
      expect((await exportZip(target)).names()).toContain("_components/nope/counters/documents.jsonl");
    });
  });
});
