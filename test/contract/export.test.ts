import { describe, expect, it } from "vitest";
import { twoWidgets } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { at, listAt, send, textAt } from "./support/http.ts";
import { decodeId, encodeId } from "./support/ids.ts";
import { push } from "./support/push.ts";
import { exportDocument, exportZip, latestExport, snapshot, uploadImport } from "./support/snapshot.ts";
import { readZip, type Zip } from "./support/zip.ts";

const backend = useBackend((target) => push(target, { files: twoWidgets }));

async function storeText(text: string, type: string | null): Promise<string> {
  const url = new URL(String(await backend.value("mutation", "files:uploadUrl")), backend.url);
  const headers: Record<string, string> = type === null ? {} : { "content-type": type };
  const answer = await send(backend.url, `${url.pathname}${url.search}`, { method: "POST", body: text, headers });
  return textAt(answer.json, "storageId");
}

describe("request and document", () => {
  it("7.1 a requested export is visible at once and completes; the document's fields", async () => {
    const before = at(await latestExport(backend), "_id");
    const answer = await backend.post("/api/export/request/zip?includeStorage=true");
    expect(answer).toMatchObject({ status: 200, text: "" });
    const seen = await latestExport(backend);
    expect(at(seen, "_id")).not.toBe(before);
    const again = await backend.post("/api/export/request/zip?includeStorage=true");
    if (at(seen, "state") !== "completed" && again.status !== 200) {
      expect(again).toMatchObject({
        status: 400,
        json: { code: "ExportInProgress", message: "There is already an export requested or in progress." },
      });
    }
    const document = await exportDocument(backend);
    expect(Object.keys(document as object).sort()).toEqual([
      ...["_creationTime", "_id", "complete_ts", "component", "expiration_ts", "format", "requestor", "size"],
      ...["start_ts", "state", "zip_object_key"],
    ]);
    expect(document).toMatchObject({
      component: null,
      format: { format: "zip", include_storage: false },
      requestor: "snapshotExport",
      state: "completed",
      start_ts: expect.stringMatching(/^\d{19}$/),
      size: expect.stringMatching(/^\d+$/),
    });
    const expires = BigInt(textAt(document, "expiration_ts")) / 1_000_000_000n;
    expect(Math.abs(Number(expires) - (Date.now() / 1000 + 14 * 86_400))).toBeLessThan(3600);
  });

  it("7.1 over convex_encoded_json the 64-bit values are $integer", async () => {
    await exportDocument(backend);
    const encoded = await backend.value("query", "_system/cli/exports:getLatest", {}, "convex_encoded_json");
    expect(at(encoded, "start_ts")).toEqual({ $integer: expect.stringMatching(/=$/) });
  });

  it("7.1 includeStorage missing is false; other words are 400; other formats 404", async () => {
    expect(await backend.post("/api/export/request/zip?includeStorage=1")).toMatchObject({
      status: 400,
      json: { code: "BadQueryArgs" },
    });
    expect(await backend.post("/api/export/request/csv")).toMatchObject({ status: 404, text: "" });
    await exportDocument(backend);
    expect(await backend.post("/api/export/request/zip")).toMatchObject({ status: 200, text: "" });
    expect(at(await latestExport(backend), "format", "include_storage")).toBe(false);
  });

  it("7.1 an unknown component is 500", async () => {
    expect(
      await backend.post("/api/export/request/zip?includeStorage=false&component=m02f0j8y749q6fhtv32mear2e18jrc39"),
    ).toMatchObject({ status: 500 });
  });

  it("7.1 cancel and set_expiration", async () => {
    const id = textAt(await exportDocument(backend), "_id");
    expect(await backend.post(`/api/export/cancel/${id}`)).toMatchObject({ status: 500 });
    const set = (expirationTsNs: unknown, key?: string) =>
      backend.post(`/api/export/set_expiration/${id}`, { expirationTsNs }, key);
    expect(await set(1_900_000_000_000_000_000)).toMatchObject({ status: 200, text: "" });
    for (const bad of ["5", -1]) expect(await set(bad)).toMatchObject({ status: 400, json: { code: "BadJsonBody" } });
    for (const key of [backend.systemKey, backend.readOnlyKey]) expect((await set(1, key)).status).toBe(200);
    expect((await backend.get(`/api/export/zip/${id}`)).status).toBe(200);
  });
});

describe("download", () => {
  it("7.1 by start_ts and by id, with the completed start_ts in the file name", async () => {
    const document = await exportDocument(backend);
    const [ts, id] = [textAt(document, "start_ts"), textAt(document, "_id")];
    for (const name of [ts, id]) {
      const answer = await backend.get(`/api/export/zip/${name}`);
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        "content-disposition": `attachment; filename=snapshot_${backend.name}_${ts}.zip`,
        "cache-control": "private, max-age=2592000",
        "content-length": String(answer.bytes.length),
      });
      expect(answer.headers["content-type"]).toBeUndefined();
      expect(String(answer.bytes.length)).toBe(textAt(document, "size"));
    }
  });

  it("7.1 Range is ignored, HEAD and ?adminKey= work", async () => {
    const path = `/api/export/zip/${textAt(await exportDocument(backend), "start_ts")}`;
    const whole = await backend.get(path);
    const ranged = await backend.send(path, { headers: { range: "bytes=0-1" } });
    expect(ranged.status).toBe(200);
    expect(ranged.bytes.equals(whole.bytes)).toBe(true);
    expect(await backend.send(path, { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect((await backend.get(`${path}?adminKey=${encodeURIComponent(backend.key)}`, null)).status).toBe(200);
  });

  it.each([
    ["1234567890123456789", 404, "ExportNotFound", "The requested export 1234567890123456789 was not found"],
    ["abc", 400, "BadSnapshotId", "Snapshot Id did not parse to an ID."],
    ["-1", 400, "BadSnapshotId", "Snapshot Id did not parse to an ID."],
  ])("7.1 %s is %i %s", async (name, status, code, message) => {
    expect(await backend.get(`/api/export/zip/${name}`)).toMatchObject({ status, json: { code, message } });
  });

  it("7.1 the id of another table is not found", async () => {
    const id = await backend.value("mutation", "messages:send", { author: "a", body: "b" });
    expect(await backend.get(`/api/export/zip/${id}`)).toMatchObject({ status: 404, json: { code: "ExportNotFound" } });
  });
});

describe("ZIP container", () => {
  const container = (zip: Zip) =>
    zip.entries.map((entry) => ({
      flags: entry.flags,
      method: entry.method,
      needed: entry.needed,
      madeBy: entry.madeBy,
      attributes: entry.attributes,
      dos: [entry.date, entry.time],
      rawSizes: entry.rawSizes,
      comment: entry.comment,
      extra: [entry.extra.readUInt16LE(0), entry.extra.readUInt16LE(2), entry.extra.length],
      local: {
        crc: entry.local.readUInt32LE(14),
        sizes: [entry.local.readUInt32LE(18), entry.local.readUInt32LE(22)],
        extra: entry.local.subarray(-20).toString("hex"),
      },
      descriptor: [
        entry.descriptor.length,
        entry.descriptor.readUInt32LE(0),
        entry.descriptor.readUInt32LE(8),
        entry.descriptor.readUInt32LE(12),
      ],
      descriptorCrc: entry.descriptor.readUInt32LE(4) === entry.crc,
    }));
  const expected = {
    flags: 0x0808,
    method: 8,
    needed: 20,
    madeBy: 0x033f,
    attributes: 0x01a40000,
    dos: [0, 0],
    rawSizes: [0xffffffff, 0xffffffff, 0xffffffff],
    comment: 0,
    extra: [1, 24, 28],
    local: { crc: 0, sizes: [0xffffffff, 0xffffffff], extra: `01001000${"00".repeat(16)}` },
    descriptor: [16, 0x08074b50, 0xffffffff, 0xffffffff],
    descriptorCrc: true,
  };

  it.each(["empty", "all-value-types", "with-storage", "with-component"])(
    "7.2 the recorded %s has the form that is asked of exports",
    (name) => {
      const zip = readZip(snapshot(name));
      for (const entry of container(zip)) expect(entry).toEqual(expected);
      expect(zip.hasZip64End).toBe(true);
    },
  );

  it("7.2 an export has that form, entry by entry", async () => {
    await storeText("", "text/plain");
    const zip = await exportZip(backend, true);
    for (const entry of container(zip)) expect(entry).toEqual(expected);
    expect(zip.hasZip64End).toBe(true);
    expect(zip.end.readUInt32LE(16)).toBeLessThan(0xffffffff);
    const empty = zip.entries.filter((entry) => entry.size === 0);
    for (const entry of empty) expect(entry.compressed.toString("hex")).toBe("0300");
    expect(zip.entries.every((entry) => !entry.name.endsWith("/"))).toBe(true);
  });
});

describe("ZIP content", () => {
  it("7.2 README first and the same as in every snapshot, then _tables in order of number", async () => {
    const zip = await exportZip(backend);
    expect(zip.names()[0]).toBe("README.md");
    expect(zip.entry("README.md").data.equals(readZip(snapshot("empty")).entry("README.md").data)).toBe(true);
    expect(zip.names()[1]).toBe("_tables/documents.jsonl");
    const lines = zip.entry("_tables/documents.jsonl").text.trimEnd().split("\n");
    const parsed = lines.map((line) => JSON.parse(line) as { name: string; id: number });
    expect(lines[0]).toBe(JSON.stringify(parsed[0]));
    expect(parsed.map((each) => each.id)).toEqual(parsed.map((each) => each.id).toSorted((a, b) => a - b));
    expect(parsed.every((each) => each.id >= 10001)).toBe(true);
  });

  it("7.2 documents before generated_schema of each table; empty tables have both; uniform", async () => {
    const zip = await exportZip(backend);
    for (const table of ["files", "messages", "nothing", "refs", "values"]) {
      const names = zip.names();
      expect(names.indexOf(`${table}/generated_schema.jsonl`)).toBe(names.indexOf(`${table}/documents.jsonl`) + 1);
      expect(zip.entry(`${table}/generated_schema.jsonl`).text).toBe('"uniform"\n');
    }
    expect(zip.entry("nothing/documents.jsonl").size).toBe(0);
  });

  it("7.2 components are in it, unmounted ones too; _storage of every component only with storage", async () => {
    const without = (await exportZip(backend)).names();
    expect(without).toContain("_components/widget/counters/documents.jsonl");
    expect(without).toContain("_components/second/_tables/documents.jsonl");
    expect(without.filter((name) => name.includes("_storage"))).toEqual([]);
    const names = (await exportZip(backend, true)).names();
    for (const prefix of ["", "_components/widget/", "_components/second/"])
      expect(names).toContain(`${prefix}_storage/documents.jsonl`);
  });

  it("7.2 every value type as text", async () => {
    await backend.seed("values", []);
    await backend.value("mutation", "values:fill");
    const { text } = (await exportZip(backend)).entry("values/documents.jsonl");
    const recorded = readZip(snapshot("all-value-types")).entry("values/documents.jsonl").text;
    const values = (all: string) =>
      all
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/^\{"_creationTime":[\d.]+,"_id":"[0-9a-z]+",/, ""))
        .toSorted();
    expect(values(text)).toEqual(values(recorded));
  });

  it("7.2 lines: keys in byte order, ordered by _id, a newline at the end of each", async () => {
    await backend.seed(
      "messages",
      [1, 2, 3, 4, 5].map((n) => ({ body: `b${n}`, author: `a${n}` })),
    );
    const { text } = (await exportZip(backend)).entry("messages/documents.jsonl");
    expect(text.endsWith("}\n")).toBe(true);
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(5);
    for (const line of lines)
      expect(line).toMatch(/^\{"_creationTime":\d+\.\d+,"_id":"[0-9a-z]{32}","author":"a\d","body":"b\d"\}$/);
    const ids = lines.map((line) => at(JSON.parse(line), "_id"));
    expect(ids).toEqual([...ids].sort());
  });

  it("7.2 strings are raw UTF-8, escaped are only quotes, backslash and control characters", async () => {
    await backend.seed("messages", [{ author: 'q" \\ / \b\f\n\r\t\u0001\u001f', body: "é 漢 😀 \u2028 \u007f" }]);
    const { text } = (await exportZip(backend)).entry("messages/documents.jsonl");
    expect(text).toContain('"author":"q\\" \\\\ / \\b\\f\\n\\r\\t\\u0001\\u001f","body":"é 漢 😀 \u2028 \u007f"}');
  });

  it("7.2 stored files: metadata line, extension guessed from the type, content", async () => {
    const cases: [string | null, string][] = [
      ["text/plain", ".txt"],
      ["text/html; charset=utf-8", ".html"],
      ["image/png", ".png"],
      ["application/json", ".json"],
      ["text/csv", ".csv"],
      ["application/octet-stream", ".bin"],
      [null, ""],
      ["application/x-nope", ""],
    ];
    const ids = await Promise.all(cases.map(([type], n) => storeText(`content ${n}`, type)));
    const zip = await exportZip(backend, true);
    const lines = zip.entry("_storage/documents.jsonl").text.trimEnd().split("\n");
    for (const [n, id] of ids.entries()) {
      const [type, extension] = cases[n] ?? [null, ""];
      expect(zip.entry(`_storage/${id}${extension}`).text).toBe(`content ${n}`);
      const line = lines.find((each) => each.includes(id)) ?? "";
      expect(Object.keys(JSON.parse(line) as object)).toEqual([
        "_id",
        "_creationTime",
        "sha256",
        "size",
        "contentType",
        "internalId",
      ]);
      expect(line).toContain(`"size":9,"contentType":${JSON.stringify(type)}`);
      const url = new URL(String(await backend.value("query", "files:url", { storageId: id })), backend.url);
      expect(url.pathname.endsWith(String(at(JSON.parse(line), "internalId")))).toBe(true);
    }
  });
});

describe("ids", () => {
  it("7.2 the computed example", () => {
    const id = Uint8Array.from({ length: 16 }, (_, n) => n);
    expect(encodeId(10001, id)).toBe("j57000820c20a1g7104gm2rc1m70ynr8");
    expect(decodeId("jn7872p1cxvfjjpgycqv66s6258jrhas")).toMatchObject({ table: 10005, checksumFits: true });
  });

  it("7.2 real ids carry their table's number, the day of creation and a checksum", async () => {
    await backend.seed("messages", []);
    const id = String(await backend.value("mutation", "messages:send", { author: "a", body: "b" }));
    const decoded = decodeId(id);
    const numbers = (await exportZip(backend)).entry("_tables/documents.jsonl").text;
    expect(numbers).toContain(`{"name":"messages","id":${decoded.table}}`);
    expect(decoded.checksumFits).toBe(true);
    expect(Math.abs(decoded.id.readUInt16BE(14) - Date.now() / 86_400_000)).toBeLessThan(2);
    expect(id).toHaveLength(32);
  });

  it("7.2 system tables have ids of their kind: gg2 exports, km2 imports, kg2 files", async () => {
    expect(textAt(await latestExport(backend), "_id")).toMatch(/^gg2/);
    const importId = await uploadImport(backend, '{"a":1}\n', { format: "jsonLines", tableName: "t", mode: "append" });
    expect(importId).toMatch(/^km2/);
    await backend.post("/api/cancel_import", { importId });
    expect(await storeText("x", null)).toMatch(/^kg2/);
    expect(listAt(await backend.value("query", "_system/cli/queryImport:list")).length).toBeGreaterThan(0);
  });
});
