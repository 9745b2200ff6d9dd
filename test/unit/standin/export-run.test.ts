import { rmSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { filesOf } from "../../standin/files.ts";
import { readZip } from "../../standin/snapshots/zip-reader.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import type { Document } from "../../standin/types.ts";

let standin: Standin;
afterEach(() => standin.stop());

function call(path: string, method = "POST", body?: string): Promise<Response> {
  const headers = { authorization: `Convex ${standin.adminKey}`, "content-type": "application/json" };
  return fetch(standin.url + path, { method, headers, body: body ?? null });
}

const latest = () => standin.backend.store.read((tx) => tx.scan("", "_exports").at(-1));

/** All states and messages that a watcher could have seen until `enough`. */
function watch(enough: (document: Document) => boolean): Promise<Document[]> {
  return new Promise((resolve) => {
    const seen: Document[] = [];
    const stop = standin.backend.store.onCommit(() => {
      queueMicrotask(() => {
        const document = latest();
        if (document !== undefined && document !== seen.at(-1)) seen.push(document);
        if (document === undefined || !enough(document)) return;
        stop();
        resolve(seen);
      });
    });
  });
}

const isState = (state: string) => (document: Document) => document["state"] === state;

describe("exports (contract 7.1)", () => {
  it("go through their states, with another start_ts at the end", async () => {
    standin = await startStandin();
    await standin.backend.store.write((tx) => tx.insert("", "messages", { body: "x", n: 1n }));
    const seen = watch(isState("completed"));
    expect((await call("/api/export/request/zip?includeStorage=true")).status).toBe(200);
    const states = await seen;
    const messages = states.map((document) => document["progress_message"] ?? document["state"]);
    expect(messages).toEqual([
      "requested",
      "in_progress",
      "Beginning backup",
      "Backing up _tables",
      "Backing up messages",
      "Backing up _storage",
      "completed",
    ]);
    const [running, done] = [states[1], states.at(-1)];
    expect(done?.["start_ts"]).not.toBe(running?.["start_ts"]);
    expect((await call(`/api/export/zip/${running?.["start_ts"]}`, "GET")).status).toBe(404);
    const answer = await call(`/api/export/zip/${done?._id}`, "GET");
    expect(answer.headers.get("content-disposition")).toBe(
      `attachment; filename=snapshot_${standin.instanceName}_${done?.["start_ts"]}.zip`,
    );
    const zip = Buffer.from(await answer.arrayBuffer());
    expect(zip.length).toBe(Number(done?.["size"]));
    expect(
      readZip(zip)
        .find((entry) => entry.name === "messages/documents.jsonl")
        ?.read()
        .toString(),
    ).toMatch(/^\{"_creationTime":\d+\.\d+,"_id":"j57[^"]+","body":"x","n":1\}\n$/);
  });

  it("are one at a time", async () => {
    standin = await startStandin({ env: { STANDIN_EXPORT_DELAY_MS: "20" } });
    const done = watch(isState("completed"));
    await call("/api/export/request/zip");
    const second = await call("/api/export/request/zip");
    expect([second.status, await second.json()]).toEqual([
      400,
      { code: "ExportInProgress", message: "There is already an export requested or in progress." },
    ]);
    await done;
  });

  it("can be canceled, and the next one runs", async () => {
    standin = await startStandin({
      env: { STANDIN_EXPORT_DELAY_MS: "50", STANDIN_RETRY_MS: "5", STANDIN_CANCEL_CONFLICTS: "1" },
    });
    const running = watch(isState("in_progress"));
    await call("/api/export/request/zip");
    await running;
    expect((await call(`/api/export/cancel/${latest()?._id}`)).status).toBe(503);
    expect((await call(`/api/export/cancel/${latest()?._id}`)).status).toBe(200);
    const canceled = latest();
    expect(canceled).toMatchObject({ state: "canceled" });
    expect(canceled).not.toHaveProperty("expiration_ts");
    expect((await call(`/api/export/zip/${canceled?._id}`, "GET")).status).toBe(400);
    const done = watch(isState("completed"));
    await call("/api/export/request/zip");
    await done;
    expect((await call(`/api/export/cancel/${latest()?._id}`)).status).toBe(500);
  });

  it("try again for ever while a stored file is lost, and complete when it is back", async () => {
    standin = await startStandin({ env: { STANDIN_RETRY_MS: "5" } });
    const { blobs, store } = standin.backend;
    await filesOf(standin.backend).store("", Buffer.from("hello"), "text/plain");
    const file = store.read((tx) => tx.scan("", "_storage")[0]);
    rmSync(blobs.path("files", String(file?.["storageKey"])));
    let tries = 0;
    const thrice = watch((document) => document["progress_message"] === "Backing up _storage" && ++tries === 3);
    await call("/api/export/request/zip?includeStorage=true");
    const messages = (await thrice).map((document) => document["progress_message"]);
    expect(messages.filter((message) => message === "Beginning backup")).toHaveLength(3);
    const done = watch(isState("completed"));
    const again = await blobs.put("files", Buffer.from("hello"));
    await store.write((tx) => {
      const { _id, _creationTime, ...fields } = tx.scan("", "_storage")[0] as Document;
      tx.replace("", _id, { ...fields, storageKey: again });
    });
    await done;
  });

  it("are deleted with their file when they expired long enough ago (contract 7.4)", async () => {
    standin = await startStandin({
      env: { MAX_EXPIRED_SNAPSHOT_AGE_DAYS: "0", SYSTEM_TABLE_CLEANUP_FREQUENCY_SECONDS: "0.02" },
    });
    const done = watch(isState("completed"));
    await call("/api/export/request/zip");
    await done;
    const { _id = "", zip_object_key: key } = latest() ?? ({} as Partial<Document>);
    const { store, blobs } = standin.backend;
    const gone = new Promise<void>((resolve) => {
      const stop = store.onCommit(() => {
        if (store.read((tx) => tx.get("", _id)) !== null) return;
        stop();
        resolve();
      });
    });
    await call(`/api/export/set_expiration/${_id}`, "POST", '{"expirationTsNs":1}');
    await gone;
    await expect.poll(() => blobs.has("exports", String(key))).toBe(false);
  });
});
