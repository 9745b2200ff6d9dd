import { beforeEach, describe, expect, it } from "vitest";
import { external, useBackend } from "./support/backend.ts";
import { at, listAt, send, textAt } from "./support/http.ts";
import { madeId } from "./support/ids.ts";
import { push, pushEmptyApp } from "./support/push.ts";
import {
  errorOf,
  exportZip,
  importAll,
  importDocument,
  namesLike,
  snapshot,
  table,
  tables,
  untilState,
  uploadImport,
  zipOf,
} from "./support/snapshot.ts";
import { readZip } from "./support/zip.ts";

const backend = useBackend((target) => push(target));
beforeEach(async () => {
  expect(await importAll(backend, snapshot("empty"), { mode: "replaceAll" })).toMatchObject({
    state: { state: "completed" },
  });
});

/** A backend that others used has their components, and a summary counts them too: whole summaries are not fixed there. */
const othersComponents = external !== undefined;
const confirm = (importId: string) => backend.post("/api/perform_import", { importId });
const footer =
  "Once the import has started, it will run in the background.\nInterrupting `npx convex import` will not cancel it.";
const number = (n: number) => String(n);

describe("step by step", () => {
  it.skipIf(othersComponents)("7.3 upload in three parts, states and documents on the way", async () => {
    const file = snapshot("all-value-types");
    const importId = await uploadImport(backend, file, { mode: "replaceAll", partSize: Math.ceil(file.length / 3) });
    const waiting = await untilState(backend, importId, "waiting_for_confirmation");
    expect(waiting).toMatchObject({
      component_path: null,
      format: { format: "zip" },
      fq_object_key: expect.any(String),
      member_id: "0",
      mode: "ReplaceAll",
      requestor: { type: "snapshotImport" },
    });
    expect(at(waiting, "state")).toEqual({
      state: "waiting_for_confirmation",
      require_manual_confirmation: false,
      message_to_confirm: `Import change summary:\ntable    | create | delete |\n----------------------------\nfiles    | 0      | 0 of 0 |\nmessages | 2      | 0 of 0 |\nnothing  | 0      | 0 of 0 |\nrefs     | 0      | 0 of 0 |\nvalues   | 32     | 0 of 0 |\n${footer}`,
    });
    expect(listAt(waiting, "checkpoints")[1]).toEqual({
      component_path: null,
      display_table_name: "messages",
      existing_rows_in_table: "0",
      existing_rows_to_delete: "0",
      is_missing_id_field: false,
      num_rows_written: "0",
      tablet_id: null,
      total_num_rows_to_write: "2",
    });
    expect(await confirm(importId)).toMatchObject({ status: 200, text: "" });
    expect(at(await importDocument(backend, importId), "state", "state")).not.toBe("waiting_for_confirmation");
    const done = await untilState(backend, importId, "completed", "failed");
    expect(at(done, "state")).toEqual({
      state: "completed",
      num_rows_written: "34",
      timestamp: expect.stringMatching(/^\d{19}$/),
    });
    expect(await confirm(importId)).toMatchObject({ status: 200, text: "" });
    expect(await backend.post("/api/cancel_import", { importId })).toMatchObject({
      status: 400,
      json: { code: "CannotCancelImport", message: "Cannot cancel an import that has completed" },
    });
  });

  it("7.3 a waiting import lets others run; canceled it is failed, nothing changed", async () => {
    await backend.seed("messages", [{ author: "kept", body: "" }]);
    const waiting = await uploadImport(backend, snapshot("all-value-types"), { mode: "replaceAll" });
    const document = await untilState(backend, waiting, "waiting_for_confirmation");
    expect(at(document, "state", "require_manual_confirmation")).toBe(true);
    await importAll(backend, '{"author":"other","body":""}\n', {
      format: "jsonLines",
      tableName: "messages",
      mode: "append",
    });
    expect(await backend.post("/api/cancel_import", { importId: waiting })).toMatchObject({ status: 200, text: "" });
    expect(at(await importDocument(backend, waiting), "state")).toEqual({
      state: "failed",
      error_message: "Import canceled",
    });
    expect(await backend.post("/api/cancel_import", { importId: waiting })).toMatchObject({
      status: 400,
      json: { message: "Cannot cancel an import that has failed" },
    });
    expect((await confirm(waiting)).status).toBe(200);
    expect(await backend.tableSize("messages")).toBe(2);
  });

  it("7.3 queryImport:list gives the newest first", async () => {
    const first = await uploadImport(backend, '{"a":1}\n', { format: "jsonLines", tableName: "t", mode: "append" });
    const second = await uploadImport(backend, '{"a":1}\n', { format: "jsonLines", tableName: "t", mode: "append" });
    const list = listAt(await backend.value("query", "_system/cli/queryImport:list")).map((each) => at(each, "_id"));
    expect(list.slice(0, 2)).toEqual([second, first]);
    expect(list.length).toBeLessThanOrEqual(20);
    for (const importId of [first, second]) await backend.post("/api/cancel_import", { importId });
  });

  it("7.3 ids: not an id 400, of another table 500, unknown 404", async () => {
    const message = await backend.value("mutation", "messages:send", { author: "a", body: "b" });
    for (const path of ["/api/perform_import", "/api/cancel_import"]) {
      const call = (importId: unknown) => backend.post(path, { importId });
      expect(await call("x")).toMatchObject({
        status: 400,
        json: { code: "InvalidImport", message: "invalid import id x" },
      });
      expect((await call(message)).status).toBe(500);
      const unknown = madeId(541, 7);
      expect(await call(unknown)).toMatchObject({
        status: 404,
        json: { code: "ImportNotFound", message: `import ${unknown} not found` },
      });
    }
  });

  it("7.3 a read-only key cancels a waiting import; no key and system keys get 500 (M14)", async () => {
    const importId = await uploadImport(backend, '{"a":1}\n', { format: "jsonLines", tableName: "t", mode: "append" });
    await untilState(backend, importId, "waiting_for_confirmation");
    for (const key of [null, backend.systemKey])
      expect((await backend.post("/api/cancel_import", { importId }, key)).status).toBe(500);
    expect(at(await importDocument(backend, importId), "state", "state")).toBe("waiting_for_confirmation");
    expect((await backend.post("/api/cancel_import", { importId }, backend.readOnlyKey)).status).toBe(200);
  });

  const upload = (body: unknown) => backend.post("/api/import/finish_upload", body);
  it.each([
    ["an unknown format", { format: "tar", mode: "append" }, 400, "BadJsonBody"],
    ["an unknown mode", { format: "zip", mode: "x" }, 400, "BadJsonBody"],
    ["a garbage token", { format: "zip", mode: "append" }, 500, "InternalServerError"],
  ])("7.3 finish_upload with %s", async (_label, options, status, code) => {
    expect(await upload({ import: options, uploadToken: "x", partTokens: [] })).toMatchObject({
      status,
      json: { code },
    });
  });

  it.each([
    ["a table name with zip", { format: "zip", tableName: "t" }, "InvalidName", "ZIP import cannot have table name"],
    ["jsonLines without table", { format: "jsonLines" }, "InvalidName", "JSONL import requires table name"],
    ["csv without table", { format: "csv" }, "InvalidName", "CSV import requires table name"],
    ["jsonArray without table", { format: "jsonArray" }, "InvalidName", "JSON import requires table name"],
    [
      "a name that is no identifier",
      { format: "jsonLines", tableName: "a-b" },
      "ImportInvalidName",
      "invalid table name a-b: Identifier a-b has invalid character '-': Identifiers can only contain alphanumeric characters or underscores",
    ],
  ])("7.3 finish_upload with %s", async (_label, options, code, message) => {
    const token = textAt((await backend.post("/api/import/start_upload")).json, "uploadToken");
    const part = `/api/import/upload_part?uploadToken=${encodeURIComponent(token)}&partNumber=1`;
    await backend.send(part, { method: "POST", body: '{"a":1}\n' });
    const answer = await upload({ import: { mode: "append", ...options }, uploadToken: token, partTokens: [""] });
    expect(answer).toMatchObject({ status: 400, json: { code, message } });
  });

  it("7.3 upload_part: a garbage token is 500, no part number 400", async () => {
    const part = (query: string) =>
      backend.send(`/api/import/upload_part?uploadToken=x${query}`, { method: "POST", body: "x" });
    expect((await part("&partNumber=1")).status).toBe(500);
    expect(await part("")).toMatchObject({ status: 400, json: { code: "BadQueryArgs" } });
  });
});

describe("one call", () => {
  it("7.3 uploads, confirms and waits", async () => {
    expect(
      await backend.importFile("jsonLines", '{"author":"o","body":"1"}\n', "append", "&tableName=messages"),
    ).toMatchObject({
      status: 200,
      json: { numWritten: 1 },
    });
    expect((await backend.importFile("zip", snapshot("with-storage"))).json).toEqual({ numWritten: 42 });
  });

  it("7.3 failures are 400 ImportFailed with the text", async () => {
    expect(await backend.importFile("zip", "hello")).toMatchObject({
      status: 400,
      json: { code: "ImportFailed", message: "Hit an error while importing:\ninvalid zip file" },
    });
    await backend.importFile("zip", snapshot("with-storage"));
    expect((await backend.importFile("zip", snapshot("with-storage"), "requireEmpty")).json).toEqual({
      code: "ImportFailed",
      message: "Table _storage already exists. Please choose a new table name or use replace/append modes.",
    });
  });
});

describe("round trip", () => {
  it.each(["all-value-types", "with-storage"])("7.3 %s comes out of an export as it went in", async (name) => {
    const before = readZip(snapshot(name));
    await importAll(backend, snapshot(name), { mode: "replaceAll" });
    const after = await exportZip(backend, name === "with-storage");
    expect(namesLike(before, after)).toEqual(new Set(before.names()));
    for (const entry of before.entries.filter((each) => !each.name.startsWith("_tables"))) {
      const sort = (text: string) =>
        entry.name === "_storage/documents.jsonl" ? text.split("\n").sort().join("\n") : text;
      expect(sort(after.entry(entry.name).text)).toBe(sort(entry.text));
    }
    const numbers = (text: string) => new Set(text.trimEnd().split("\n"));
    expect(numbers(after.entry("_tables/documents.jsonl").text)).toEqual(
      numbers(before.entry("_tables/documents.jsonl").text),
    );
  });

  it("7.3 files keep their UUID: the old URL serves them", async () => {
    const zip = readZip(snapshot("with-storage"));
    await importAll(backend, snapshot("with-storage"), { mode: "replaceAll" });
    for (const line of zip.entry("_storage/documents.jsonl").text.trimEnd().split("\n")) {
      const document = JSON.parse(line) as unknown;
      const answer = await send(backend.url, `/api/storage/${at(document, "internalId")}`);
      const entry = zip.entries.find((each) => each.name.startsWith(`_storage/${at(document, "_id")}`));
      expect(answer.status).toBe(200);
      expect(answer.bytes.equals(entry?.data ?? Buffer.alloc(0))).toBe(true);
      expect(answer.headers["content-type"]).toBe(at(document, "contentType") ?? undefined);
    }
  });
});

describe("modes", () => {
  const two = zipOf(
    table("messages", [
      { author: "a", body: "1" },
      { author: "b", body: "2" },
    ]),
  );

  it("7.3 requireEmpty is the default and fails on a table that is not empty, before the confirmation", async () => {
    await importAll(backend, two, {});
    const text = "Table messages already exists. Please choose a new table name or use replace/append modes.";
    for (const mode of [undefined, "requireEmpty"] as const) {
      expect(errorOf(await importAll(backend, two, mode === undefined ? {} : { mode }))).toBe(text);
    }
  });

  it("7.3 append adds, replace replaces the tables of the file, replaceAll all others too", async () => {
    await backend.seed("values", [{ label: "x" }]);
    await importAll(backend, two, { mode: "append" });
    await importAll(backend, two, { mode: "append" });
    expect(await backend.tableSize("messages")).toBe(4);
    await importAll(backend, two, { mode: "replace" });
    expect([await backend.tableSize("messages"), await backend.tableSize("values")]).toEqual([2, 1]);
    await importAll(backend, two, { mode: "replaceAll" });
    expect([await backend.tableSize("messages"), await backend.tableSize("values")]).toEqual([2, 0]);
  });

  it("7.3 replaceAll deletes tables that are neither in the file nor in the schema", async () => {
    await importAll(backend, zipOf(table("extra", [{ a: 1 }])), { mode: "append" });
    const summary = await uploadImport(backend, two, { mode: "replaceAll" });
    const waiting = await untilState(backend, summary, "waiting_for_confirmation");
    expect(at(waiting, "state", "message_to_confirm")).toContain("extra    | 0      | 1 of 1 |");
    expect(at(waiting, "state", "require_manual_confirmation")).toBe(true);
    await confirm(summary);
    await untilState(backend, summary, "completed");
    const names = (await exportZip(backend)).entry("_tables/documents.jsonl").text;
    expect(names).not.toContain("extra");
    expect(names).toContain("refs");
  });

  it("7.3 a ZIP with only a README, or with nothing, empties the instance", async () => {
    for (const empty of [zipOf({ name: "README.md", data: "x" }), zipOf()]) {
      await backend.seed("messages", [{ author: "a", body: "" }]);
      expect(at(await importAll(backend, empty, { mode: "replaceAll" }), "state")).toMatchObject({
        state: "completed",
        num_rows_written: "0",
      });
      expect(await backend.tableSize("messages")).toBe(0);
    }
  });

  it("7.3 replaceAll of one jsonLines table empties everything else", async () => {
    await backend.seed("values", [{ label: "x" }]);
    await importAll(backend, '{"author":"j","body":"1"}\n', {
      format: "jsonLines",
      tableName: "messages",
      mode: "replaceAll",
    });
    expect([await backend.tableSize("messages"), await backend.tableSize("values")]).toEqual([1, 0]);
  });

  it("7.3 files are touched only when the ZIP has _storage; an empty one deletes all", async () => {
    await importAll(backend, snapshot("with-storage"), { mode: "replaceAll" });
    const count = async () => listAt(await backend.value("query", "files:meta")).length;
    await importAll(backend, snapshot("all-value-types"), { mode: "replaceAll" });
    expect(await count()).toBe(8);
    await importAll(backend, snapshot("empty"), { mode: "replaceAll" });
    expect(await count()).toBe(0);
  });

  it("7.3 append of ids that exist fails; an existing table keeps its documents", async () => {
    await importAll(backend, snapshot("all-value-types"), { mode: "replaceAll" });
    expect(errorOf(await importAll(backend, snapshot("all-value-types"), { mode: "append" }))).toMatch(
      /^Hit an error while importing:\nCannot create document with _id [0-9a-z]+ that already exists\. Try to update it with `db\.patch` or `db\.replace`\.$/,
    );
    expect(await backend.tableSize("messages")).toBe(2);
  });

  it.skipIf(othersComponents)("7.3 the summary of a replaceAll with files", async () => {
    await importAll(backend, snapshot("with-storage"), { mode: "replaceAll" });
    const importId = await uploadImport(backend, snapshot("with-storage"), { mode: "replaceAll" });
    const waiting = await untilState(backend, importId, "waiting_for_confirmation");
    expect(at(waiting, "state", "message_to_confirm")).toBe(
      `Import change summary:\ntable    | create | delete       |\n----------------------------------\n_storage | 8      | 8 of 8 files |\nfiles    | 8      | 8 of 8       |\nmessages | 2      | 2 of 2       |\nnothing  | 0      | 0 of 0       |\nrefs     | 0      | 0 of 0       |\nvalues   | 32     | 32 of 32     |\n${footer}`,
    );
    await backend.post("/api/cancel_import", { importId });
  });

  it("7.3 writes by functions during a waiting import stay until it is confirmed", async () => {
    const importId = await uploadImport(backend, two, { mode: "replaceAll" });
    await untilState(backend, importId, "waiting_for_confirmation");
    await backend.value("mutation", "messages:send", { author: "between", body: "" });
    expect(await backend.tableSize("messages")).toBe(1);
    await confirm(importId);
    await untilState(backend, importId, "completed");
    expect(await backend.tableSize("messages")).toBe(2);
  });
});

describe("table numbers and references", () => {
  it("7.3 a foreign snapshot under replaceAll: tables take over its numbers, references stay valid", async () => {
    const [message, ref] = [madeId(10055, 1), madeId(10056, 1)];
    const foreign = zipOf(
      tables({ messages: 10055, refs: 10056 }),
      table("messages", [{ _id: message, author: "f", body: "" }]),
      table("refs", [{ _id: ref, message }]),
    );
    expect(at(await importAll(backend, foreign, { mode: "replaceAll" }), "state", "num_rows_written")).toBe("2");
    const zip = await exportZip(backend);
    expect(zip.entry("_tables/documents.jsonl").text).toContain('{"name":"messages","id":10055}');
    expect(zip.entry("refs/documents.jsonl").text).toContain(`"message":"${message}"`);
  });

  it("7.3 without _tables the number comes from the first _id", async () => {
    await importAll(backend, zipOf(table("messages", [{ _id: madeId(10077, 1), author: "f", body: "" }])), {
      mode: "replaceAll",
    });
    expect((await exportZip(backend)).entry("_tables/documents.jsonl").text).toContain(
      '{"name":"messages","id":10077}',
    );
  });

  it("7.3 a reference to a document that does not exist imports; one with another table's number does not", async () => {
    const numbers = (await exportZip(backend)).entry("_tables/documents.jsonl").text;
    const own = Number(/"messages","id":(\d+)/.exec(numbers)?.[1]);
    const good = await importAll(backend, zipOf(table("refs", [{ message: madeId(own, 99) }])), { mode: "replace" });
    expect(at(good, "state", "state")).toBe("completed");
    const bad = await importAll(backend, zipOf(table("refs", [{ message: madeId(10099, 1) }])), { mode: "replace" });
    expect(errorOf(bad)).toMatch(
      /does not match the schema: Value does not match validator\.\nPath: \.message\nValue: "[0-9a-z]+"\nValidator: v\.id\("messages"\)$/,
    );
  });

  it("7.3 _id and _creationTime are kept; without _id new ones are given", async () => {
    const id = madeId(10001, 42);
    await importAll(
      backend,
      zipOf(table("messages", [`{"_creationTime":1795400000001.5,"_id":"${id}","author":"a","body":"b"}`])),
      { mode: "replaceAll" },
    );
    const list = await backend.value("query", "messages:list");
    expect(list).toEqual([{ _id: id, _creationTime: 1795400000001.5, author: "a", body: "b" }]);
    const importId = await uploadImport(
      backend,
      zipOf(table("messages", ['{"_creationTime":1795400000009.5,"author":"a","body":"b"}'])),
      { mode: "replace" },
    );
    const waiting = await untilState(backend, importId, "waiting_for_confirmation");
    expect(at(waiting, "checkpoints", 0, "is_missing_id_field")).toBe(true);
    await confirm(importId);
    await untilState(backend, importId, "completed");
    expect(at(await backend.value("query", "messages:list"), 0, "_creationTime")).toBe(1795400000009.5);
  });
});

describe("other formats", () => {
  it("7.3 jsonLines and jsonArray: every number is a Float64", async () => {
    const lines = '{"a":1,"b":1.0,"c":1e2,"d":9007199254740993,"e":-0}\n';
    await importAll(backend, lines, { format: "jsonLines", tableName: "jl", mode: "replace" });
    await importAll(backend, '[{"a":1}]', { format: "jsonArray", tableName: "ja", mode: "replace" });
    const zip = await exportZip(backend);
    expect(zip.entry("jl/documents.jsonl").text).toContain(
      '"a":1.0,"b":1.0,"c":100.0,"d":9007199254740992.0,"e":-0.0}',
    );
    expect(zip.entry("ja/documents.jsonl").text).toContain('"a":1.0}');
  });

  it("7.3 CSV cells: what looks like a number is one, inf and NaN are null, the rest is text", async () => {
    const csv =
      'n,f,e,neg,big,name,b,date,hex,empty,inf,nan\n1,1.5,1e3,-5,12345678901234567890,x,true,2026-01-01,0x10,,inf,NaN\n" 2","4",3 ,+6,5, y ,null,"a,b",1_000,"",Infinity,-nan\n';
    await importAll(backend, csv, { format: "csv", tableName: "cells", mode: "replace" });
    const { text } = (await exportZip(backend)).entry("cells/documents.jsonl");
    expect(text).toContain(
      '"b":"true","big":1.2345678901234567e19,"date":"2026-01-01","e":1000.0,"empty":"","f":1.5,"hex":"0x10","inf":null,"n":1.0,"name":"x","nan":null,"neg":-5.0}',
    );
    expect(text).toContain(
      '"b":"null","big":5.0,"date":"a,b","e":"3 ","empty":"","f":4.0,"hex":"1_000","inf":null,"n":" 2","name":" y ","nan":null,"neg":6.0}',
    );
  });

  it("7.3 a CSV with a BOM is accepted, the same header twice: the last wins", async () => {
    expect(
      at(
        await importAll(backend, "\ufeffa,b\n1,2\n", { format: "csv", tableName: "bom", mode: "replace" }),
        "state",
        "state",
      ),
    ).toBe("completed");
    await importAll(backend, "a,a\n1,2\n", { format: "csv", tableName: "twice", mode: "replace" });
    const zip = await exportZip(backend);
    expect(zip.entry("bom/documents.jsonl").text).toContain('"a":1.0,"b":2.0}');
    expect(zip.entry("twice/documents.jsonl").text).toContain('"a":2.0}');
  });

  it("7.3 numbers under uniform: 1 is Int64, 1.0, 1e2 and -0 are Float64, beyond 64 bits Float64", async () => {
    const lines = [
      "1",
      "1.0",
      "1e2",
      "-0",
      "-0.0",
      "9223372036854775808",
      "-9223372036854775809",
      "9007199254740993",
      "18446744073709551616",
    ];
    await importAll(
      backend,
      zipOf(
        table(
          "values",
          lines.map((value, n) => `{"n":"${n}","v":${value}}`),
        ),
      ),
      { mode: "replace" },
    );
    const { text } = (await exportZip(backend)).entry("values/documents.jsonl");
    const values = text
      .trimEnd()
      .split("\n")
      .map((line) => /"n":"(\d)","v":(.*)\}$/.exec(line) ?? []);
    const found = Object.fromEntries(values.map((match) => [match[1], match[2]]));
    expect(lines.map((_, n) => found[number(n)])).toEqual([
      ...[
        "1",
        "1.0",
        "100.0",
        "-0.0",
        "-0.0",
        "9.223372036854776e18",
        "-9.223372036854776e18",
        "9007199254740993",
        "1.8446744073709552e19",
      ],
    ]);
  });

  it("7.3 without generated_schema every number is a Float64", async () => {
    await importAll(backend, zipOf(table("values", ['{"v":9007199254740993}', '{"v":1}'], null)), { mode: "replace" });
    const { text } = (await exportZip(backend)).entry("values/documents.jsonl");
    expect(text).toContain('"v":9007199254740992.0}');
    expect(text).toContain('"v":1.0}');
  });

  it("7.2 the old encoding: int64 and bytes as strings under a shape, override lines", async () => {
    const shape = JSON.stringify(
      '{"_creationTime": normalfloat64, "_id": string, "b": bytes, "n": int64, "r": record<field_name, float64>, "a": array<normalfloat64>, "o"?: string | null}',
    );
    const document = await importAll(
      backend,
      zipOf(
        tables({ t: 10033 }),
        table(
          "t",
          [
            `{"_creationTime":1795400000001.5,"_id":"${madeId(10033, 1)}","a":[1,2],"b":"AAH+/w==","n":"42","r":{"k":5}}`,
          ],
          shape,
        ),
      ),
      { mode: "replaceAll" },
    );
    expect(errorOf(document)).toBeUndefined();
    const { text } = (await exportZip(backend)).entry("t/documents.jsonl");
    expect(text).toContain('"a":[1.0,2.0],"b":{"$bytes":"AAH+/w=="},"n":42,"r":{"k":5.0}}');
  });

  it("7.2 old values under uniform stay strings without a word", async () => {
    await importAll(backend, zipOf(table("values", ['{"n":"42"}'])), { mode: "replace" });
    expect((await exportZip(backend)).entry("values/documents.jsonl").text).toContain('"n":"42"}');
  });
});

describe("pause", () => {
  it("7.3 import, export and system queries work while paused", async () => {
    await backend.post("/api/v1/pause_deployment", {});
    try {
      expect(at(await importAll(backend, snapshot("all-value-types"), { mode: "replaceAll" }), "state", "state")).toBe(
        "completed",
      );
      expect((await exportZip(backend)).names()).toContain("values/documents.jsonl");
    } finally {
      await backend.post("/api/v1/unpause_deployment", {});
    }
  });
});

describe("deploy and import", () => {
  it("7.3 import before the deploy gives the same export as after it", async () => {
    await pushEmptyApp(backend);
    await importAll(backend, snapshot("all-value-types"), { mode: "replaceAll" });
    await push(backend);
    const zip = await exportZip(backend);
    const recorded = readZip(snapshot("all-value-types"));
    for (const name of ["values/documents.jsonl", "messages/documents.jsonl"])
      expect(zip.entry(name).text).toBe(recorded.entry(name).text);
  });
});
