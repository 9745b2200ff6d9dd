import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { downloadExport } from "../../../src/snapshot/download.ts";
import { discardExport, type ExportOptions, expireExport, exportSnapshot } from "../../../src/snapshot/export.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { filesOf } from "../../standin/files.ts";
import { readZip } from "../../standin/snapshots/zip-reader.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import type { Document } from "../../standin/types.ts";
import { clientFor, collectLog, FakeBackend, fakeDeps, jumpingClock, type Lines } from "../deployment/support.ts";

let standin: Standin;
let lines: Lines;
let deps: Deps;
let client: DeploymentClient;
afterEach(() => standin?.stop());

async function begin(env: Record<string, string> = {}): Promise<void> {
  standin = await startStandin({ env });
  lines = collectLog();
  deps = fakeDeps({ clock: systemClock, log: lines.log });
  client = new DeploymentClient({ ...deps, url: standin.url, adminKey: standin.adminKey });
  await standin.backend.store.write((tx) => {
    for (let n = 0; n < 200; n += 1) tx.insert("", "messages", { body: randomBytes(600).toString("hex"), n: 1n });
  });
}

const ALL: ExportOptions = { includeStorage: true, timeoutMs: 60_000 };
const documents = (): Document[] => standin.backend.store.read((tx) => tx.scan("", "_exports"));
const stateOf = (id: string): unknown => documents().find(({ _id }) => _id === id)?.["state"];

async function failure(work: Promise<unknown>): Promise<ActionError> {
  const error = await work.then(
    () => expect.unreachable("it succeeded"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ActionError);
  return error as ActionError;
}

function collect(): { readonly write: (bytes: Buffer) => Promise<void>; readonly all: () => Buffer } {
  const parts: Buffer[] = [];
  return {
    write: async (bytes) => {
      parts.push(Buffer.from(bytes));
    },
    all: () => Buffer.concat(parts),
  };
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await delay(5);
}

describe("an export", () => {
  it("is requested, awaited, downloaded and made to expire", async () => {
    await begin();
    const asked: string[] = [];
    const done = await exportSnapshot(client, deps, { ...ALL, onRequested: (id) => asked.push(id) });
    const document = documents()[0];
    expect(asked).toEqual([document?._id]);
    expect(done).toMatchObject({
      id: document?._id,
      timestamp: String(document?.["start_ts"]),
      bytes: Number(document?.["size"]),
    });
    const sink = collect();
    const sha256 = await downloadExport(client, deps, done, sink);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(readZip(sink.all()).map(({ name }) => name)).toContain("messages/documents.jsonl");
    expect(await expireExport(client, deps, done.id)).toBe(true);
    expect(Number(documents()[0]?.["expiration_ts"])).toBeLessThan((Date.now() - 31 * 86_400_000) * 1e6);
  });

  it("is made with or without the files, as asked", async () => {
    await begin();
    await exportSnapshot(client, deps, { ...ALL, includeStorage: false });
    await exportSnapshot(client, deps, ALL);
    expect(documents().map((one) => one["format"])).toEqual([
      { format: "zip", include_storage: false },
      { format: "zip", include_storage: true },
    ]);
  });

  it("is not taken for an older one", async () => {
    await begin({ STANDIN_EXPORT_DELAY_MS: "30" });
    const first = await exportSnapshot(client, deps, ALL);
    const second = await exportSnapshot(client, deps, ALL);
    expect(second.id).not.toBe(first.id);
    expect(BigInt(second.timestamp)).toBeGreaterThan(BigInt(first.timestamp));
  });

  it("waits for somebody else's and then makes its own", async () => {
    await begin({ STANDIN_EXPORT_DELAY_MS: "100" });
    const [one, other] = await Promise.all([
      exportSnapshot(client, deps, { ...ALL, includeStorage: false }),
      exportSnapshot(client, deps, ALL),
    ]);
    expect(one.id).not.toBe(other.id);
    expect(documents().map((each) => each["state"])).toEqual(["completed", "completed"]);
    expect(lines.all.some((line) => line.includes("Waiting for the export of somebody else"))).toBe(true);
    // Ours is not the newest one any more, and still told rightly.
    for (const done of [one, other]) {
      expect(done.timestamp).toBe(String(documents().find(({ _id }) => _id === done.id)?.["start_ts"]));
      expect((await downloadExport(client, deps, done, collect())).length).toBe(64);
    }
  });

  it("gives up waiting for somebody else's, and leaves that one alone", async () => {
    await begin({ STANDIN_EXPORT_DELAY_MS: "60000" });
    await client.request("POST", "/api/export/request/zip");
    const error = await failure(exportSnapshot(client, deps, { ...ALL, timeoutMs: 300 }));
    expect(error.code).toBe("export-busy");
    expect(error.hint).toContain(`/api/export/cancel/${documents()[0]?._id}`);
    expect(documents().map((each) => each["state"])).toEqual(["in_progress"]);
  });

  it("that takes too long is canceled, also when that races with the worker", async () => {
    await begin({ STANDIN_EXPORT_DELAY_MS: "60000", STANDIN_CANCEL_CONFLICTS: "2" });
    const error = await failure(exportSnapshot(client, deps, { ...ALL, timeoutMs: 300 }));
    expect(error.code).toBe("export-timeout");
    expect(error.hint).toContain("export-timeout");
    expect(documents().map((each) => each["state"])).toEqual(["canceled"]);
  });

  it("that the backend repeats for ever names lost files as the cause, and is canceled", async () => {
    await begin({ STANDIN_RETRY_MS: "400", STANDIN_EXPORT_DELAY_MS: "60" });
    const { blobs, store } = standin.backend;
    await filesOf(standin.backend).store("", Buffer.from("hello"), "text/plain");
    rmSync(blobs.path("files", String(store.read((tx) => tx.scan("", "_storage")[0])?.["storageKey"])));
    const error = await failure(exportSnapshot(client, deps, { ...ALL, timeoutMs: 6000 }));
    expect(error.code).toBe("export-timeout");
    expect(error.message).toMatch(/began its export again \d+ times and came as far as "Backing up _storage"/);
    expect(error.hint).toMatch(/A stored file is lost.*STORAGE_MAX_INTERMEDIATE_PART_SIZE=5242880/);
    expect(documents().map((each) => each["state"])).toEqual(["canceled"]);
    expect(lines.all.filter((line) => line.startsWith("warning: The backend began its export again"))).toHaveLength(1);
  });

  it("is canceled when the job is", async () => {
    await begin({ STANDIN_EXPORT_DELAY_MS: "60000" });
    const cancelled = new AbortController();
    const work = exportSnapshot(client, deps, { ...ALL, signal: cancelled.signal });
    await until(() => documents()[0]?.["state"] === "in_progress");
    cancelled.abort(new Error("the job was cancelled"));
    await expect(work).rejects.toThrow("the job was cancelled");
    expect(documents().map((each) => each["state"])).toEqual(["canceled"]);
  });

  it("that somebody else cancels is a failure", async () => {
    await begin({ STANDIN_EXPORT_DELAY_MS: "60000" });
    const work = failure(exportSnapshot(client, deps, ALL));
    await until(() => documents()[0]?.["state"] === "in_progress");
    await client.request("POST", `/api/export/cancel/${documents()[0]?._id}`);
    expect((await work).message).toContain("canceled by somebody else");
  });

  it("is discarded in any state", async () => {
    await begin();
    const done = await exportSnapshot(client, deps, ALL);
    expect(await discardExport(client, deps, done.id)).toBe("expired");
    expect(await discardExport(client, deps, "gg2nonsense")).toBe("left");
    expect(stateOf(done.id)).toBe("completed");
  });
});

describe("an export that a scripted backend answers", () => {
  const exporting = (states: readonly Record<string, unknown>[]) => {
    const left = [{}, ...states];
    return ({ url }: { url: string }) => {
      if (url === "/api/query") {
        const value = left.length > 1 ? left.shift() : left[0];
        return { json: { status: "success", value: value !== undefined && "_id" in value ? value : null } };
      }
      return {};
    };
  };

  it("failed says so", async () => {
    await using backend = await new FakeBackend(
      exporting([
        { _id: "gg1", state: "requested" },
        { _id: "gg1", state: "failed" },
      ]),
    ).listen();
    const error = await failure(exportSnapshot(clientFor(backend.url), fakeDeps(), ALL));
    expect(error.text).toMatch(/export-failed.*its state is failed/);
  });

  it("takes a request whose answer was cut off for what it is", async () => {
    const states = exporting([
      { _id: "gg1", state: "requested" },
      { _id: "gg1", state: "completed", start_ts: "17", size: "9" },
    ]);
    await using backend = await new FakeBackend((seen) =>
      seen.url.startsWith("/api/export/request") ? { cut: true } : states(seen),
    ).listen();
    const done = await exportSnapshot(clientFor(backend.url), fakeDeps(), ALL);
    expect(done).toMatchObject({ id: "gg1", timestamp: "17", bytes: 9 });
    expect(backend.seen.filter(({ url }) => url.startsWith("/api/export/request"))).toHaveLength(1);
  });

  it("outlives a restart of the backend, but not for ever", async () => {
    let polls = 0;
    let comesBack = true;
    await using backend = await new FakeBackend(({ url }) => {
      if (url !== "/api/query") return {};
      polls += 1;
      if (polls === 1) return { json: { status: "success", value: null } };
      if (polls === 2) return { json: { status: "success", value: { _id: "gg1", state: "requested" } } };
      if (polls < 12 || !comesBack) return { cut: true };
      const value = { _id: "gg1", state: "completed", start_ts: "17", size: "9" };
      return { json: { status: "success", value } };
    }).listen();
    const clock = jumpingClock();
    const work = () =>
      exportSnapshot(clientFor(backend.url, lines, clock), fakeDeps({ clock }), { ...ALL, timeoutMs: 9e6 });
    expect((await work()).id).toBe("gg1");
    [polls, comesBack] = [0, false];
    expect((await failure(work())).code).toBe("backend-unreachable");
  });
});

describe("a download", () => {
  it("that is cut goes on where it was, until it is whole", async () => {
    await begin({ STANDIN_DOWNLOAD_CUTS: "4" });
    const done = await exportSnapshot(client, deps, ALL);
    const sink = collect();
    const clock = jumpingClock();
    const sha256 = await downloadExport(client, { ...deps, clock }, done, sink);
    expect(sink.all().length).toBe(done.bytes);
    expect(readZip(sink.all()).length).toBeGreaterThan(3);
    expect(lines.all.filter((line) => line.includes("The download broke off at"))).toHaveLength(4);
    const again = collect();
    expect(await downloadExport(client, deps, done, again)).toBe(sha256);
    expect(again.all().equals(sink.all())).toBe(true);
  });

  const bytes = randomBytes(300_000);
  const completed = { id: "gg1", timestamp: "17", bytes: bytes.length, ms: 1 };

  /** A real server that sends these bodies, one a request, and cuts each at its end. */
  async function sending(bodies: readonly Buffer[], announced?: number): Promise<AsyncDisposable & { url: string }> {
    const { createServer } = await import("node:http");
    let request = 0;
    const server = createServer((_, response) => {
      const body = bodies[Math.min(request, bodies.length - 1)] ?? Buffer.alloc(0);
      request += 1;
      response.writeHead(200, { "content-length": announced ?? bytes.length });
      response.write(body, () => {
        if (body.length < (announced ?? bytes.length)) response.destroy();
        else response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address() as { port: number };
    return {
      url: `http://127.0.0.1:${address.port}`,
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        server.close();
      },
    };
  }

  it("that never gets on ends", async () => {
    await using backend = await sending([bytes.subarray(0, 100_000)]);
    const lines = collectLog();
    const error = await failure(
      downloadExport(clientFor(backend.url), fakeDeps({ log: lines.log }), completed, collect()),
    );
    expect(error.text).toMatch(/export-cut.*broke off 6 times, the last time at 100.0 kB of 300.0 kB/);
    expect(lines.all).toHaveLength(5);
  });

  it("is refused when the second try brings other bytes", async () => {
    const other = Buffer.from(bytes);
    other[5] = (other[5] ?? 0) ^ 1;
    await using backend = await sending([bytes.subarray(0, 200_000), other]);
    const error = await failure(downloadExport(clientFor(backend.url), fakeDeps(), completed, collect()));
    expect(error.code).toBe("export-changed");
  });

  it("is refused when its length is not what the export says", async () => {
    await using backend = await sending([bytes.subarray(0, 9)], 9);
    const error = await failure(downloadExport(clientFor(backend.url), fakeDeps(), completed, collect()));
    expect(error.text).toContain("300000 bytes, and sends 9");
  });

  it("that falls silent is cut and tried again", async () => {
    const { createServer } = await import("node:http");
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.writeHead(200, { "content-length": bytes.length });
      if (requests === 1) response.write(bytes.subarray(0, 1000));
      else response.end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const sink = collect();
    await downloadExport(clientFor(`http://127.0.0.1:${port}`), fakeDeps(), completed, sink, { silenceMs: 200 });
    expect(sink.all().equals(bytes)).toBe(true);
    server.closeAllConnections();
    server.close();
  });

  it("stops at once when what takes its bytes fails, and says why", async () => {
    await using backend = await sending([bytes]);
    const write = async (): Promise<void> => {
      throw new ActionError("disk-full", "full", "");
    };
    const error = await failure(downloadExport(clientFor(backend.url), fakeDeps(), completed, { write }));
    expect(error.code).toBe("disk-full");
  });

  it("of an export whose file is gone says what the backend says", async () => {
    await begin();
    const done = await exportSnapshot(client, deps, ALL);
    rmSync(standin.backend.blobs.path("exports", String(documents()[0]?.["zip_object_key"])));
    const error = await failure(downloadExport(client, deps, done, collect()));
    expect(error.message).toContain("404 ExportNotFound");
  });
});
