import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importData, parseImport } from "../../../src/deployment/import.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import {
  type Answer,
  clientFor,
  collectLog,
  directoryWith,
  FakeBackend,
  fakeDeps,
  isTableSize,
  jumpingClock,
  type Seen,
} from "./support.ts";

async function thrown(work: () => unknown): Promise<ActionError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(ActionError);
    return error as ActionError;
  }
  return expect.unreachable();
}

describe("the input import", () => {
  it("refuses folders, loops and names that no disk takes", async () => {
    await using files = await directoryWith({ "seed.zip/inside": "x" });
    await symlink("loop.zip", join(files.path, "loop.zip"));
    const refusal = async (text: string) => (await thrown(() => parseImport(text, files.path))).code;
    expect(await refusal("seed.zip")).toBe("import-source-invalid");
    expect(await refusal("loop.zip")).toBe("import-file-missing");
    expect(await refusal(`${"a".repeat(300)}.zip`)).toBe("import-file-missing");
  });

  it("names snapshots and tables", async () => {
    await using files = await directoryWith({
      "a/seed.zip": "x",
      "a/messages.jsonl": "x",
      "a/users.CSV": "x",
      "seed-1.json": "x",
    });
    const at = (name: string): string => join(files.path, name);
    expect(parseImport("a/seed.zip", files.path)).toEqual({ path: at("a/seed.zip"), format: "zip" });
    expect(parseImport("a/messages.jsonl", files.path)).toEqual({
      path: at("a/messages.jsonl"),
      format: "jsonLines",
      table: "messages",
    });
    expect(parseImport("people=a/users.CSV", files.path)).toEqual({
      path: at("a/users.CSV"),
      format: "csv",
      table: "people",
    });
    expect(parseImport(` rooms=${at("seed-1.json")} `, "/")).toEqual({
      path: at("seed-1.json"),
      format: "jsonArray",
      table: "rooms",
    });
  });

  it("is refused before anything starts", async () => {
    await using files = await directoryWith({ "seed.zip": "x", "seed-1.json": "x", "empty.csv": "", "a.txt": "x" });
    const code = async (text: string): Promise<string> => (await thrown(() => parseImport(text, files.path))).code;
    expect(await code("nope.zip")).toBe("import-file-missing");
    expect(await code("a.txt")).toBe("import-source-invalid");
    expect(await code("seed-1.json")).toBe("import-source-invalid");
    expect(await code("messages=seed.zip")).toBe("import-source-invalid");
    expect(await code("empty.csv")).toBe("import-source-invalid");
  });
});

/** The import side of a backend that goes through these states, one a poll. */
function importing(states: Record<string, unknown>[]): (seen: Seen) => Answer {
  const left = [...states];
  const canceled = { state: "failed", error_message: "Import canceled" };
  return ({ url, body }) => {
    if (url.startsWith("/api/import/start_upload")) return { json: { uploadToken: '{"objectKey":"1"}' } };
    if (url.startsWith("/api/import/upload_part"))
      return { json: `part ${new URL(url, "http://x").searchParams.get("partNumber")}` };
    if (url.startsWith("/api/import/finish_upload")) return { json: { importId: "km1" } };
    if (url.startsWith("/api/query") && isTableSize(body)) return { json: { status: "success", value: "0" } };
    if (url.startsWith("/api/query")) {
      const state = left.length > 1 ? left.shift() : left[0];
      return { json: { status: "success", value: { _id: "km1", state } } };
    }
    if (url.startsWith("/api/cancel_import")) left.splice(0, left.length, canceled);
    return {};
  };
}

const DONE = { state: "completed", num_rows_written: "3", timestamp: "1" };
const WAITING = {
  state: "waiting_for_confirmation",
  message_to_confirm: "Import change summary:\ntable | create | delete\n------\nmessages | 1,003 | 0 of 0",
};
const paths = (backend: FakeBackend): string[] =>
  backend.seen.map(({ url }) => url.split("?")[0] ?? "").filter((path) => path !== "/api/query");

describe("an import", () => {
  it("uploads in parts of 5 MiB in order, confirms and waits", async () => {
    await using files = await directoryWith({});
    const path = join(files.path, "seed.zip");
    const bytes = Buffer.alloc(11 * 1024 * 1024, "abcdefghij");
    await writeFile(path, bytes);
    await using backend = await new FakeBackend(
      importing([{ state: "uploaded" }, WAITING, { state: "in_progress", progress_message: "Importing" }, DONE]),
    ).listen();
    const lines = collectLog();
    const result = await importData(
      clientFor(backend.url),
      fakeDeps({ log: lines.log }),
      { path, format: "zip" },
      { mode: "replaceAll" },
    );
    expect(result.documents).toBe(3);
    expect(paths(backend)).toEqual([
      "/api/import/start_upload",
      "/api/import/upload_part",
      "/api/import/upload_part",
      "/api/import/upload_part",
      "/api/import/finish_upload",
      "/api/perform_import",
    ]);
    const parts = backend.seen.filter(({ url }) => url.includes("upload_part"));
    expect(parts.map(({ body }) => body.length)).toEqual([5242880, 5242880, 1048576]);
    expect(Buffer.concat(parts.map(({ body }) => body)).equals(bytes)).toBe(true);
    expect(parts[0]?.headers["content-type"]).toBe("application/octet-stream");
    expect(parts.map(({ url }) => new URL(url, "http://x").searchParams.get("uploadToken"))).toEqual(
      Array(3).fill('{"objectKey":"1"}'),
    );
    expect(backend.seen.find(({ url }) => url.includes("finish_upload"))?.json()).toEqual({
      import: { format: "zip", mode: "replaceAll" },
      uploadToken: '{"objectKey":"1"}',
      partTokens: ["part 1", "part 2", "part 3"],
    });
    expect(lines.all).toContain("foreign: messages | 1,003 | 0 of 0");
    expect(lines.all.at(-1)).toMatch(/^info: Imported seed\.zip: 3 documents in /);
  });

  it("of exactly one part sends one, without a table's byte order mark", async () => {
    await using files = await directoryWith({ "t.jsonl": '\uFEFF{"a":1}\n' });
    await using backend = await new FakeBackend(importing([WAITING, DONE])).listen();
    const source = parseImport("t.jsonl", files.path);
    await importData(clientFor(backend.url), fakeDeps(), source, { mode: "append" });
    const parts = backend.seen.filter(({ url }) => url.includes("upload_part"));
    expect(parts.map(({ body }) => body.toString())).toEqual(['{"a":1}\n']);
    expect(backend.seen.find(({ url }) => url.includes("finish_upload"))?.json()).toMatchObject({
      import: { format: "jsonLines", mode: "append", tableName: "t" },
    });
  });

  it("that fails tells the backend's text, without documents", async () => {
    await using files = await directoryWith({ "t.jsonl": "{}" });
    const text =
      'Hit an error while importing:\nFailed to insert or update a document in table "t" because it does not match the schema: x\nValue: hush\nValidator: v.string()';
    await using backend = await new FakeBackend(importing([{ state: "failed", error_message: text }])).listen();
    const error = await thrown(() =>
      importData(clientFor(backend.url), fakeDeps(), parseImport("t.jsonl", files.path), { mode: "append" }),
    );
    expect(error.code).toBe("import-failed");
    expect(error.message).toContain("does not match the schema");
    expect(error.text).not.toContain("hush");
    expect(error.hint).toContain("fit the deployed schema");
  });

  it("into components that do not exist yet is done again, once", async () => {
    await using files = await directoryWith({ "s.zip": "zip" });
    const clash = {
      state: "failed",
      error_message:
        "Hit an error while importing:\nNew table `_file_storage` in 'second' has IDs that conflict with existing table `counters`. x",
    };
    await using backend = await new FakeBackend(importing([WAITING, clash, WAITING, DONE])).listen();
    const source = parseImport("s.zip", files.path);
    expect((await importData(clientFor(backend.url), fakeDeps(), source, { mode: "replaceAll" })).documents).toBe(3);
    await using stubborn = await new FakeBackend(importing([clash])).listen();
    await thrown(() => importData(clientFor(stubborn.url), fakeDeps(), source, { mode: "replaceAll" }));
    expect(paths(stubborn).filter((path) => path.includes("finish_upload"))).toHaveLength(2);
  });

  it("that hangs is canceled, with progress at most every five seconds", async () => {
    await using files = await directoryWith({ "s.zip": "zip" });
    const stuck = {
      state: "in_progress",
      progress_message: 'Importing "_file_storage"',
      checkpoint_messages: ['Imported "t" (2 documents)'],
    };
    await using backend = await new FakeBackend(importing([WAITING, stuck])).listen();
    const lines = collectLog();
    const deps = fakeDeps({ log: lines.log, clock: jumpingClock() });
    const error = await thrown(() =>
      importData(clientFor(backend.url), deps, parseImport("s.zip", files.path), {
        mode: "replaceAll",
        timeoutMs: 12_000,
      }),
    );
    expect(error.code).toBe("import-timeout");
    expect(error.message).toContain(
      'it was canceled, nothing was changed. Last state: in_progress, Importing "_file_storage".',
    );
    expect(paths(backend).at(-1)).toBe("/api/cancel_import");
    const progress = lines.all.filter((line) => line.includes('Imported "t" (2 documents); Importing'));
    expect(progress.length).toBe(2);
  });
});
