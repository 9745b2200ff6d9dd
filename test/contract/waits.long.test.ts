import { describe, expect, it } from "vitest";
import { useBackend } from "./support/backend.ts";
import { at, listAt } from "./support/http.ts";
import { push } from "./support/push.ts";
import { errorOf, importAll, importDocument, table, untilState, uploadImport, zipOf } from "./support/snapshot.ts";
import { SyncClient } from "./support/sync.ts";

const backend = useBackend((target) => push(target));

describe("real waits", () => {
  it("6.1 a Ping after 15 s without other traffic", async () => {
    const client = await SyncClient.open(backend.url);
    const began = Date.now();
    client.connect();
    await client.frame("a Ping", (frame) => frame.type === "Ping", 20_000);
    expect(Date.now() - began).toBeGreaterThan(14_000);
    client.close();
  });

  it("6.2 the log long poll ends after 60 s with no entries and the cursor that was sent", async () => {
    await backend.call("query", "messages:undef");
    const newest = at((await backend.get("/api/stream_function_logs?cursor=0")).json, "newCursor");
    const began = Date.now();
    const answer = await backend.send(`/api/stream_function_logs?cursor=${newest}`, { timeoutMs: 90_000 });
    expect(Date.now() - began).toBeGreaterThan(55_000);
    expect(listAt(answer.json, "entries")).toEqual([]);
    expect(at(answer.json, "newCursor")).toBe(newest);
  });

  it("1.7 actions: 16 at once, those that wait 5 s are answered 429", async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => backend.call("action", "messages:slow", { ms: 1000 })),
    );
    const done = answers.filter((answer) => answer.status === 200).length;
    const refused = answers.filter((answer) => answer.status === 429);
    expect(done + refused.length).toBe(100);
    expect(done).toBeGreaterThanOrEqual(70);
    expect(done).toBeLessThanOrEqual(97);
    expect(at(refused[0]?.json, "code")).toBe("TooManyConcurrentRequests");
  });

  it("7.3 a stored file whose CRC is wrong: the import stays in_progress; canceled, the next one goes on", async () => {
    const broken = zipOf(
      { name: "_storage/documents.jsonl", data: "" },
      { name: "_storage/kg20cwktp33xb44110a8ybhwf58jsynz.txt", data: "hello", crc: 1 },
    );
    const importId = await uploadImport(backend, broken, { mode: "replaceAll" });
    await untilState(backend, importId, "waiting_for_confirmation");
    await backend.post("/api/perform_import", { importId });
    await new Promise((resolve) => setTimeout(resolve, 6000));
    expect(at(await importDocument(backend, importId), "state", "state")).toBe("in_progress");
    expect((await backend.post("/api/cancel_import", { importId })).status).toBe(200);
    const good = zipOf(table("messages", [{ author: "a", body: "b" }]));
    expect(errorOf(await importAll(backend, good, { mode: "replaceAll" }).catch(() => undefined))).toBeUndefined();
  });
});
