import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { type ImportOptions, runImport } from "../../../src/deployment/import-run.ts";
import { cancelImport, type ImportState, readImport } from "../../../src/deployment/import-state.ts";
import { uploadFile } from "../../../src/deployment/import-upload.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { readZip } from "../../standin/snapshots/zip-reader.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import {
  type Answer,
  clientFor,
  collectLog,
  directoryWith,
  FakeBackend,
  fakeDeps,
  type Lines,
  type Seen,
} from "./support.ts";

const MODE: ImportOptions = { mode: "replaceAll", timeoutMs: 60_000 };

let standin: Standin | undefined;
let lines: Lines;
let deps: Deps;
let client: DeploymentClient;
afterEach(async () => {
  await standin?.stop();
  standin = undefined;
});

async function begin(env: Record<string, string> = {}): Promise<Standin> {
  standin = await startStandin({ env });
  lines = collectLog();
  deps = fakeDeps({ clock: systemClock, log: lines.log });
  client = new DeploymentClient({ ...deps, url: standin.url, adminKey: standin.adminKey });
  return standin;
}

const bodies = (): unknown[] =>
  standin?.backend.store.read((tx) => tx.scan("", "messages").map((document) => document["body"])) ?? [];
const imports = (): { state: unknown }[] =>
  standin?.backend.store.read((tx) =>
    tx.scan("", "_snapshot_imports").map((one) => one["state"] as { state: unknown }),
  ) ?? [];

/** JSON lines of a table. */
const rows = (count: number, body: string): string =>
  Array.from({ length: count }, (_, n) => `{"body":"${body}","n":${n}}\n`).join("");

const TABLE = (path: string) => ({ path, format: "jsonLines", table: "messages" }) as const;

describe("an import", () => {
  it("tells what the backend is about to do, and what it wrote, table by table", async () => {
    await begin();
    await using files = await directoryWith({ "a.jsonl": rows(3, "old"), "b.jsonl": rows(5, "new") });
    await runImport(client, deps, TABLE(join(files.path, "a.jsonl")), { ...MODE, mode: "append" });
    const seen: ImportState[] = [];
    const ids: string[] = [];
    const done = await runImport(client, deps, TABLE(join(files.path, "b.jsonl")), {
      ...MODE,
      mode: "replace",
      onImport: (id) => ids.push(id),
      confirm: (summary) => {
        expect(bodies()).toEqual(["old", "old", "old"]);
        seen.push(summary);
      },
    });
    expect(ids).toEqual([done.id]);
    expect(seen[0]?.state).toBe("waiting_for_confirmation");
    expect(seen[0]?.tables).toMatchObject([{ component: "", name: "messages", existing: 3, deleted: 3, total: 5 }]);
    expect(done).toMatchObject({ state: "completed", documents: 5 });
    expect(done.tables).toMatchObject([{ name: "messages", written: 5, total: 5 }]);
    expect(bodies()).toEqual(Array(5).fill("new"));
  });

  it("that is not confirmed is canceled, and changes nothing", async () => {
    await begin();
    await using files = await directoryWith({ "a.jsonl": rows(3, "new") });
    const confirm = (): void => {
      throw new ActionError("x", "not this one", "");
    };
    const work = runImport(client, deps, TABLE(join(files.path, "a.jsonl")), { ...MODE, confirm });
    await expect(work).rejects.toThrow("not this one");
    expect(bodies()).toEqual([]);
    expect(imports()).toMatchObject([{ state: "failed", error_message: "Import canceled" }]);
  });

  it("is canceled when the job is, while it runs", async () => {
    await begin({ STANDIN_IMPORT_ROW_DELAY_MS: "200" });
    await using files = await directoryWith({ "a.jsonl": rows(60_000, "new") });
    const cancelled = new AbortController();
    const work = runImport(client, deps, TABLE(join(files.path, "a.jsonl")), { ...MODE, signal: cancelled.signal });
    const settled = work.catch((error: Error) => error.message);
    while (imports()[0]?.state !== "in_progress") await delay(5);
    cancelled.abort(new Error("the job was cancelled"));
    expect(await settled).toBe("the job was cancelled");
    expect(imports()).toMatchObject([{ state: "failed", error_message: "Import canceled" }]);
    expect(bodies()).toEqual([]);
  });

  it("that takes too long is canceled, and that is looked at", async () => {
    await begin({ STANDIN_IMPORT_ROW_DELAY_MS: "500" });
    await using files = await directoryWith({ "a.jsonl": rows(60_000, "new") });
    const work = runImport(client, deps, TABLE(join(files.path, "a.jsonl")), { ...MODE, timeoutMs: 1500 });
    await expect(work).rejects.toThrow(/did not end in time; it was canceled, nothing was changed/);
    expect(bodies()).toEqual([]);
  });

  it("can be canceled by whoever knows its id, and a finished one stays", async () => {
    await begin();
    await using files = await directoryWith({ "a.jsonl": rows(1, "new") });
    const done = await runImport(client, deps, TABLE(join(files.path, "a.jsonl")), MODE);
    expect((await cancelImport(client, deps, done.id))?.state).toBe("completed");
    expect(bodies()).toEqual(["new"]);
    expect(await cancelImport(client, deps, "km2nonsense")).toBeUndefined();
    expect((await readImport(client, done.id)).documents).toBe(1);
  });

  it("waits for a backend that has just started and does not know its tables", async () => {
    let asked = 0;
    const states = [{ state: "completed", num_rows_written: "1" }];
    await using backend = await new FakeBackend(({ url, body }: Seen): Answer => {
      if (body.includes("_system/cli/tableSize")) {
        asked += 1;
        const message = "Table count unavailable while bootstrapping";
        if (asked < 7) return { status: 503, json: { code: "TableSummariesUnavailable", message } };
        return { json: { status: "success", value: "0" } };
      }
      if (url === "/api/query") return { json: { status: "success", value: { state: states[0] } } };
      return { json: url.includes("finish") ? { importId: "km1" } : { uploadToken: "t" } };
    }).listen();
    await using files = await directoryWith({ "a.jsonl": rows(1, "new") });
    const collected = collectLog();
    await runImport(clientFor(backend.url), fakeDeps({ log: collected.log }), TABLE(join(files.path, "a.jsonl")), MODE);
    expect(asked).toBe(7);
    expect(collected.all.filter((line) => line.includes("has just started"))).toHaveLength(1);
    const order = backend.seen.map(({ url }) => url.split("?")[0]);
    expect(order.lastIndexOf("/api/query")).toBeGreaterThan(order.indexOf("/api/import/start_upload"));
    expect(order.indexOf("/api/import/start_upload")).toBe(7);
  });
});

describe("an upload", () => {
  const bytes = randomBytes(11 * 1024 * 1024);

  /** Local storage: whatever comes is appended to what the token names. Answers as told by `fate`. */
  function storage(fate: (part: number) => Answer | undefined): {
    readonly answer: (seen: Seen) => Answer;
    readonly uploads: Buffer[][];
  } {
    const uploads: Buffer[][] = [];
    let part = 0;
    const answer = ({ url, body }: Seen): Answer => {
      if (url.startsWith("/api/import/start_upload")) {
        uploads.push([]);
        return { json: { uploadToken: String(uploads.length - 1) } };
      }
      const query = new URL(url, "http://x").searchParams;
      uploads[Number(query.get("uploadToken"))]?.push(body);
      part += 1;
      return fate(part) ?? { json: query.get("partNumber") };
    };
    return { answer, uploads };
  }

  async function uploadTo(fate: (part: number) => Answer | undefined): Promise<{
    readonly result: unknown;
    readonly uploads: Buffer[][];
    readonly log: readonly string[];
  }> {
    const disk = storage(fate);
    await using backend = await new FakeBackend(disk.answer).listen();
    await using files = await directoryWith({});
    await writeFile(join(files.path, "a.zip"), bytes);
    const collected = collectLog();
    const result = await uploadFile(
      clientFor(backend.url),
      fakeDeps({ log: collected.log }),
      join(files.path, "a.zip"),
    ).catch((error: unknown) => error);
    return { result, uploads: disk.uploads, log: collected.all };
  }

  it.each<[string, Answer]>([
    ["a cut connection", { cut: true }],
    ["an error inside", { status: 500, json: { code: "InternalServerError", message: "x" } }],
    ["a proxy's error", { status: 502, text: "<html>" }],
    ["503", { status: 503, json: { code: "Overloaded", message: "x" } }],
  ])("after %s starts again with a new one, and sends no part twice", async (_, answer) => {
    const { result, uploads, log } = await uploadTo((part) => (part === 2 ? answer : undefined));
    expect(result).toEqual({ uploadToken: "1", partTokens: ["1", "2", "3"] });
    expect(Buffer.concat(uploads[1] ?? []).equals(bytes)).toBe(true);
    expect(uploads[0]?.length).toBe(2);
    expect(log.filter((line) => line.includes("the upload starts again"))).toHaveLength(1);
  });

  it("gives up after some tries", async () => {
    const { result, uploads } = await uploadTo(() => ({ cut: true }));
    expect(result).toBeInstanceOf(ActionError);
    expect(uploads.map((parts) => parts.length)).toEqual([1, 1, 1, 1]);
  });

  it.each([401, 403, 413])("is not tried again after %i", async (status) => {
    const { result, uploads } = await uploadTo(() => ({ status, json: { code: "X", message: "x" } }));
    expect(result).toBeInstanceOf(ActionError);
    expect(uploads).toHaveLength(1);
  });
});

describe("a snapshot", () => {
  it("goes back as it came", async () => {
    const own = await begin();
    await own.backend.store.write((tx) => {
      for (let n = 0; n < 50; n += 1) tx.insert("", "messages", { body: `m${n}`, n: BigInt(n) });
    });
    const { exportSnapshot } = await import("../../../src/snapshot/export.ts");
    const { downloadExport } = await import("../../../src/snapshot/download.ts");
    const fetchZip = async (): Promise<Buffer> => {
      const parts: Buffer[] = [];
      const done = await exportSnapshot(client, deps, { includeStorage: true, timeoutMs: 60_000 });
      await downloadExport(client, deps, done, {
        write: async (part) => {
          parts.push(Buffer.from(part));
        },
      });
      return Buffer.concat(parts);
    };
    const before = await fetchZip();
    await own.backend.store.write((tx) => {
      for (const { _id } of tx.scan("", "messages")) tx.delete("", _id);
      tx.insert("", "wreck", { a: 1n });
    });
    await using files = await directoryWith({});
    const path = join(files.path, "s.zip");
    await writeFile(path, before);
    const done = await runImport(client, deps, { path, format: "zip" }, MODE);
    expect(done).toMatchObject({ state: "completed", documents: 50 });
    const content = (zip: Buffer): Map<string, string> =>
      new Map(readZip(zip).map((entry) => [entry.name, entry.read().toString()]));
    expect(content(await fetchZip())).toEqual(content(before));
  });
});
