import { readFileSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeZip } from "../../contract/support/zip.ts";
import { readZip } from "../../standin/snapshots/zip-reader.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/snapshots/${name}.zip`, import.meta.url));
const lines = (count: number) => Array.from({ length: count }, (_, i) => `{"n":${i}}`).join("\n");

let standin: Standin;
beforeEach(async () => {
  standin = await startStandin({ env: { STANDIN_RETRY_MS: "5" } });
});
afterEach(() => standin.stop());

async function call(path: string, body?: Uint8Array | string | object, on = standin): Promise<Response> {
  const json = typeof body === "object" && !(body instanceof Uint8Array);
  const type: Record<string, string> = json ? { "content-type": "application/json" } : {};
  const headers = { authorization: `Convex ${on.adminKey}`, ...type };
  return fetch(on.url + path, { method: "POST", headers, body: json ? JSON.stringify(body) : (body ?? null) });
}

async function importAll(
  body: Uint8Array | string,
  query = "format=zip&mode=replaceAll",
  on = standin,
): Promise<string> {
  const json = (await (await call(`/api/import?${query}`, body, on)).json()) as {
    message?: string;
    numWritten?: number;
  };
  return json.message ?? `wrote ${json.numWritten}`;
}

/** The import's id, uploaded and finished but not confirmed. */
async function upload(body: string, options: object): Promise<string> {
  const { uploadToken } = (await (await call("/api/import/start_upload")).json()) as { uploadToken: string };
  await call(`/api/import/upload_part?partNumber=1&uploadToken=${encodeURIComponent(uploadToken)}`, body);
  const finished = await call("/api/import/finish_upload", { import: options, uploadToken, partTokens: [""] });
  return ((await finished.json()) as { importId: string }).importId;
}

function stateOf(id: string): { state: string; error_message?: string } {
  return standin.backend.store.read((tx) => tx.get("", id)?.["state"]) as { state: string };
}

/** Looks again after every commit. */
function when(enough: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!enough()) return;
      stop();
      resolve();
    };
    const stop = standin.backend.store.onCommit(() => queueMicrotask(look));
    look();
  });
}

const until = (id: string, state: string) => when(() => stateOf(id).state === state);

const count = (table: string) => standin.backend.store.read((tx) => tx.count("", table));

async function exportEntries(): Promise<Map<string, string>> {
  await call("/api/export/request/zip?includeStorage=true");
  const latest = () => standin.backend.store.read((tx) => tx.scan("", "_exports").at(-1));
  await when(() => latest()?.["state"] === "completed");
  const headers = { authorization: `Convex ${standin.adminKey}` };
  const answer = await fetch(`${standin.url}/api/export/zip/${latest()?.["start_ts"]}`, { headers });
  return entriesOf(Buffer.from(await answer.arrayBuffer()));
}

const entriesOf = (bytes: Buffer) => new Map(readZip(bytes).map((entry) => [entry.name, entry.read().toString("hex")]));

describe("restoring what a backend exported (contract 7.3)", () => {
  it.each(["empty", "with-storage", "with-component"])("%s comes out as it went in", async (name) => {
    const recorded = fixture(name);
    const first = await importAll(recorded);
    // M14 refuses components that do not exist yet and have an empty _storage, once
    if (name === "with-component") expect(first).toContain("`_file_storage` in 'second' has IDs that conflict");
    expect(await importAll(recorded)).toMatch(/^wrote \d+$/);
    const entries = await exportEntries();
    expect(Object.fromEntries(entries)).toEqual(Object.fromEntries(entriesOf(recorded)));
  });

  it("has no trouble with empty component storage as a newer release", async () => {
    const head = await startStandin({ like: "head" });
    expect(await importAll(fixture("with-component"), undefined, head)).toBe("wrote 45");
    await head.stop();
  });

  it("empties the instance with a ZIP without entries", async () => {
    await importAll(fixture("with-storage"));
    expect(await importAll(writeZip([]))).toBe("wrote 0");
    expect(standin.backend.store.read((tx) => tx.userTables())).toEqual([]);
  });
});

describe("modes and states (contract 7.3)", () => {
  it("requireEmpty refuses a table with documents before anything is confirmed", async () => {
    await importAll(lines(2), "format=jsonLines&tableName=t&mode=append");
    const id = await upload(lines(1), { format: "jsonLines", tableName: "t" });
    await until(id, "failed");
    expect(stateOf(id).error_message).toBe(
      "Table t already exists. Please choose a new table name or use replace/append modes.",
    );
  });

  it("waits for its confirmation, which only then counts; the summary names what would go", async () => {
    await importAll(lines(1200), "format=jsonLines&tableName=t&mode=append");
    const id = await upload(lines(3), { format: "jsonLines", tableName: "t", mode: "replace" });
    await until(id, "waiting_for_confirmation");
    expect(stateOf(id)).toEqual({
      state: "waiting_for_confirmation",
      require_manual_confirmation: true,
      message_to_confirm:
        "Import change summary:\ntable | create | delete         |\n---------------------------------\n" +
        "t     | 3      | 1,200 of 1,200 |\nOnce the import has started, it will run in the background.\n" +
        "Interrupting `npx convex import` will not cancel it.",
    });
    expect(count("t")).toBe(1200);
    await call("/api/perform_import", { importId: id });
    expect(stateOf(id).state).not.toBe("waiting_for_confirmation");
    await until(id, "completed");
    expect(count("t")).toBe(3);
    expect((await call("/api/cancel_import", { importId: id })).status).toBe(400);
  });

  it("canceled while it runs it leaves the old data, and the next one still comes", async () => {
    const slow = { STANDIN_RETRY_MS: "5", STANDIN_IMPORT_ROW_DELAY_MS: "30" };
    const { backend, ...rest } = await startStandin({ env: slow });
    await standin.stop();
    standin = { ...rest, backend };
    await importAll(lines(5), "format=jsonLines&tableName=t&mode=append");
    const id = await upload(lines(30_000), { format: "jsonLines", tableName: "t", mode: "replace" });
    await until(id, "waiting_for_confirmation");
    await call("/api/perform_import", { importId: id });
    expect((await call("/api/cancel_import", { importId: id })).status).toBe(200);
    expect(stateOf(id)).toEqual({ state: "failed", error_message: "Import canceled" });
    expect(await importAll(lines(1), "format=jsonLines&tableName=t&mode=append")).toBe("wrote 1");
    expect(count("t")).toBe(6);
  });

  it("keeps whole batches of a failed append, and nothing of a failed replace", async () => {
    await importAll('{"_id":"j57000000400000028t00000018js8sq"}', "format=jsonLines&tableName=t&mode=append");
    const bad = `${lines(9000)}\n{"_id":"garbage"}`;
    expect(await importAll(bad, "format=jsonLines&tableName=t&mode=append")).toContain("invalid _id 'garbage'");
    expect(count("t")).toBe(8002);
    expect(await importAll(bad, "format=jsonLines&tableName=t&mode=replace")).toContain("invalid _id 'garbage'");
    expect(count("t")).toBe(8002);
  });

  it("loses what functions write while a replace runs", async () => {
    const id = await upload(lines(20_000), { format: "jsonLines", tableName: "t", mode: "replace" });
    await until(id, "waiting_for_confirmation");
    await call("/api/perform_import", { importId: id });
    await standin.backend.store.write((tx) => tx.insert("", "t", { late: true }));
    expect(count("t")).toBe(1);
    await until(id, "completed");
    expect(count("t")).toBe(20_000);
  });

  it("goes on after a restart", async () => {
    const id = await upload(lines(3), { format: "jsonLines", tableName: "t", mode: "replace" });
    await until(id, "waiting_for_confirmation");
    const { directory, instanceName, instanceSecret, backend } = standin;
    await call("/api/perform_import", { importId: id });
    await backend.destroy();
    const again = await startStandin({ directory, instanceName, instanceSecret });
    const stop = async () => {
      await again.stop();
      rmSync(directory, { recursive: true, force: true });
    };
    standin = { ...again, stop };
    await until(id, "completed");
    expect(count("t")).toBe(3);
  });

  it("takes table numbers of a foreign snapshot, and refuses them where they collide", async () => {
    const zip = (number: number, id: string) =>
      writeZip([
        { name: "_tables/documents.jsonl", data: `{"name":"users","id":${number}}\n` },
        { name: "users/documents.jsonl", data: `{"_id":"${id}"}\n` },
      ]);
    expect(await importAll(zip(10055, "rx7000000400000028t00000018jsp83"))).toBe("wrote 1");
    expect(standin.backend.store.read((tx) => tx.table("", "users")?.number)).toBe(10055);
    expect(await importAll(zip(10001, "j57000000400000028t00000018js8sq"), "format=zip&mode=append")).toBe(
      "Hit an error while importing:\ntable users wants table number 10001 but was already assigned 10055",
    );
    const clash = writeZip([{ name: "extra/documents.jsonl", data: '{"_id":"rx7000000400000028t00000018jsp83"}\n' }]);
    expect(await importAll(clash, "format=zip&mode=append")).toContain(
      "New table `extra` has IDs that conflict with existing table `users`.",
    );
  });
});

describe("uploads on S3 (contract 7.4)", () => {
  const MiB = 1024 * 1024;
  let token: string;
  const part = async (number: number, body: string): Promise<string> => {
    const query = `partNumber=${number}&uploadToken=${encodeURIComponent(token)}`;
    return (await (await call(`/api/import/upload_part?${query}`, body)).json()) as string;
  };
  const finish = async (partTokens: string[]): Promise<number> => {
    const wanted = { format: "jsonLines", tableName: "t", mode: "replace" };
    return (await call("/api/import/finish_upload", { import: wanted, uploadToken: token, partTokens })).status;
  };

  beforeEach(async () => {
    await standin.stop();
    standin = await startStandin({
      storage: { kind: "s3", prefix: "lab-x/" },
      env: { S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET: "b" },
    });
    token = ((await (await call("/api/import/start_upload")).json()) as { uploadToken: string }).uploadToken;
  });

  it("puts the named parts together by their numbers, and only those", async () => {
    const long = `{"n":1,"x":"${"x".repeat(5 * MiB)}"}`;
    const [third, first] = [await part(3, '\n{"n":3}'), await part(1, `{"n":0}\n${long}`)];
    await part(2, "never named");
    expect(JSON.parse(third)).toEqual({
      partNumber: 3,
      etag: expect.any(String),
      checksum: expect.any(String),
      size: 8,
    });
    expect(await finish([third, first])).toBe(200);
    const key = standin.backend.store.read((tx) => tx.scan("", "_snapshot_imports")[0]?.["fq_object_key"]);
    expect(key).toMatch(/^b\/lab-x\/[0-9a-f-]{36}$/);
  });

  it("refuses tokens that do not fit and small parts before the last; the right ones still work", async () => {
    const first = await part(1, '{"n":1}\n');
    const second = await part(2, '{"n":2}');
    for (const tokens of [
      ["x"],
      [first, first],
      [first, second],
      [first.replace(/"etag":"[^,]*"/, '"etag":"\\"0\\""')],
    ]) {
      expect(await finish(tokens)).toBe(500);
    }
    const changed = await part(1, '{"n":9}\n');
    expect(await finish([first])).toBe(500);
    expect(await finish([changed])).toBe(200);
    expect(await finish([changed])).toBe(200);
  });

  it("knows part numbers from 1 to 9,999", async () => {
    expect(await part(0, "x")).toMatchObject({ code: "InternalServerError" });
    expect(await part(10_000, "x")).toMatchObject({ code: "Invalid part number" });
    expect(await part(65_536, "x")).toMatchObject({ code: "BadQueryArgs" });
  });
});
