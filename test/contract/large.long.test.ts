import { beforeAll, describe, expect, it } from "vitest";
import { Backend, ownsProcess, useBackend } from "./support/backend.ts";
import { at, listAt } from "./support/http.ts";
import { discard, kill, start, until } from "./support/process.ts";
import { expectOk, finishPush, push, requestFor, startPush, waitForSchema, waitUntilDecided } from "./support/push.ts";
import { exportDocument, importDocument, latestExport, untilState, uploadImport } from "./support/snapshot.ts";

const count = 60_000;
const lines = (total: number, author = "l") =>
  Array.from({ length: total }, (_, n) => `{"author":"${author}${n % 50}","body":"b${n}"}\n`).join("");
const app = (indexes: string, fields = "") => ({
  base: false,
  files: {
    "m.ts": `import { mutation } from "./_generated/server";\nexport const send = mutation({ handler: (ctx, doc: any) => ctx.db.insert("messages", doc) });\n`,
    "schema.ts": `import { defineSchema, defineTable } from "convex/server";\nimport { v } from "convex/values";
export default defineSchema({ messages: defineTable({ author: v.string(), body: v.string()${fields} })${indexes} });\n`,
  },
});

const backend = useBackend();
const fill = (mode = "replaceAll") => backend.importFile("jsonLines", lines(count), mode, "&tableName=messages");
beforeAll(async () => {
  await push(backend, app(""));
  expect((await fill()).json).toEqual({ numWritten: count });
}, 300_000);

describe("60,000 documents", () => {
  it("7.1 while an export runs: another request 400, download by its start_ts 404, by id 400; start_ts changes", async () => {
    expect((await backend.post("/api/export/request/zip?includeStorage=false")).status).toBe(200);
    const running = await until("a running export", async () => {
      const document = await latestExport(backend);
      return at(document, "state") === "in_progress" && document;
    });
    expect((await backend.post("/api/export/request/zip")).json).toMatchObject({ code: "ExportInProgress" });
    const byTs = await backend.get(`/api/export/zip/${at(running, "start_ts")}`);
    expect(byTs).toMatchObject({ status: 404, json: { code: "ExportNotFound" } });
    const byId = await backend.get(`/api/export/zip/${at(running, "_id")}`);
    expect(byId).toMatchObject({ status: 400, json: { code: "ExportNotComplete" } });
    const done = await until(
      "its end",
      async () => {
        const document = await latestExport(backend);
        return at(document, "state") === "completed" && document;
      },
      120_000,
    );
    expect(at(done, "_id")).toBe(at(running, "_id"));
    expect(at(done, "start_ts")).not.toBe(at(running, "start_ts"));
  });

  it("7.1 a running export can be canceled; its download is 400", async () => {
    expect((await backend.post("/api/export/request/zip?includeStorage=false")).status).toBe(200);
    const id = String(at(await latestExport(backend), "_id"));
    await until(
      "a cancel that is not refused as a conflict",
      async () => (await backend.post(`/api/export/cancel/${id}`)).status === 200,
    );
    const document = await latestExport(backend);
    expect(document).toMatchObject({ _id: id, state: "canceled" });
    expect(document).not.toHaveProperty("expiration_ts");
    expect(await backend.get(`/api/export/zip/${id}`)).toMatchObject({
      status: 400,
      json: { code: "ExportNotComplete" },
    });
    await until(
      "a new export",
      async () => at(await exportDocument(backend).catch(() => undefined), "state") === "completed",
      120_000,
    );
  });

  it("5.2 an index that is being built: inProgress, finish_push 500, then 200 with the same answer", async () => {
    const started = expectOk(
      await startPush(backend, await requestFor(backend, app('.index("by_body", ["body"])'))),
      "start_push",
    );
    const waited = expectOk(await waitForSchema(backend, started, 1), "wait");
    if (at(waited, "type") === "inProgress") {
      expect(at(waited, "components", "")).toMatchObject({ indexesTotal: 1 });
      expect(await finishPush(backend, started)).toMatchObject({ status: 500, json: { code: "InternalServerError" } });
    }
    expect(at(await waitUntilDecided(backend, started), "type")).toBe("complete");
    expect((await finishPush(backend, started)).status).toBe(200);
    await push(backend, app(""));
  });

  it("7.3 cancel of a running import leaves the old data", async () => {
    const options = { format: "jsonLines", tableName: "messages", mode: "replace" } as const;
    const importId = await uploadImport(backend, lines(4 * count, "new"), options);
    await untilState(backend, importId, "waiting_for_confirmation");
    await backend.post("/api/perform_import", { importId });
    expect((await backend.post("/api/cancel_import", { importId })).status).toBe(200);
    const state = at(await importDocument(backend, importId), "state");
    expect(state).toMatchObject({ state: "failed", error_message: "Import canceled" });
    expect(await backend.tableSize("messages")).toBe(count);
  });

  it("7.3 writes of functions during a replace are lost, without any error", async () => {
    const importId = await uploadImport(backend, lines(count, "new"), {
      format: "jsonLines",
      tableName: "messages",
      mode: "replace",
    });
    await untilState(backend, importId, "waiting_for_confirmation");
    await backend.post("/api/perform_import", { importId });
    await backend.value("mutation", "m:send", { author: "lost", body: "" });
    const lost = at(await importDocument(backend, importId), "state", "state") === "in_progress";
    await until(
      "the end of the import",
      async () => at(await importDocument(backend, importId), "state", "state") === "completed",
      180_000,
    );
    expect(await backend.tableSize("messages")).toBe(lost ? count : count + 1);
  });

  it("7.3 a deploy that changes the schema during an import makes it fail at the end", async () => {
    const importId = await uploadImport(backend, lines(count, "new"), {
      format: "jsonLines",
      tableName: "messages",
      mode: "replace",
    });
    await untilState(backend, importId, "waiting_for_confirmation");
    await backend.post("/api/perform_import", { importId });
    await push(backend, app("", ", more: v.optional(v.string())"));
    const last = await until(
      "the end of the import",
      async () => {
        const document = await importDocument(backend, importId);
        return at(document, "state", "state") !== "in_progress" && document;
      },
      180_000,
    );
    if (at(last, "state", "state") === "failed") {
      expect(at(last, "state", "error_message")).toContain("Could not complete import because schema changed.");
    }
    await push(backend, app(""));
  });
});

describe.skipIf(!ownsProcess)("restart", () => {
  it("7.3 a replaceAll under way goes on after SIGKILL and completes", async () => {
    const first = await start();
    let running = first;
    try {
      const target = new Backend().setTarget(first);
      await push(target, app(""));
      const importId = await uploadImport(target, lines(count), {
        format: "jsonLines",
        tableName: "messages",
        mode: "replaceAll",
      });
      await untilState(target, importId, "waiting_for_confirmation");
      await target.post("/api/perform_import", { importId });
      await kill(first);
      running = await start({ dir: first.dir });
      target.setTarget(running);
      await until(
        "its end",
        async () => at(await importDocument(target, importId), "state", "state") === "completed",
        180_000,
      );
      await until(
        "the count",
        async () => (await target.call("query", "_system/cli/tableSize", { tableName: "messages" })).status === 200,
      );
      expect(await target.tableSize("messages")).toBe(count);
      expect(listAt(await target.value("query", "_system/cli/queryImport:list"))).toHaveLength(1);
    } finally {
      await discard(running);
    }
  });
});
