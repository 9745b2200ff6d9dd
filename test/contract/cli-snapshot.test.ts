import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type App, createApp } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { convex, marked } from "./support/cli.ts";
import { at } from "./support/http.ts";
import { push } from "./support/push.ts";
import { exportZip, latestExport, namesLike, snapshot } from "./support/snapshot.ts";
import { readZip } from "./support/zip.ts";

const backend = useBackend((target) => push(target));
let app: App;
beforeAll(async () => {
  app = createApp({ base: false });
  await mkdir(join(app.dir, "dir"));
  writeFileSync(join(app.dir, "files.zip"), snapshot("with-storage"));
});
afterAll(() => app.remove());

const cli = (args: readonly string[], key?: string) =>
  convex(backend, args, { cwd: app.dir, ...(key === undefined ? {} : { key }) });

describe("convex import and export", () => {
  it("7.3 import --replace-all -y: summary, progress, exit 0, the state is right", async () => {
    const { code, stdout, stderr } = await cli(["import", "--replace-all", "-y", "files.zip"]);
    expect(stderr).toContain("- Importing files.zip (");
    expect(stderr).toContain(
      "Import change summary:\ntable    | create | delete       |\n----------------------------------\n_storage | 8      |",
    );
    expect(stderr).toContain("✔ Added 42 documents.");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    const zip = await exportZip(backend, true);
    const before = readZip(snapshot("with-storage"));
    expect(zip.entry("values/documents.jsonl").text).toBe(before.entry("values/documents.jsonl").text);
    expect(namesLike(before, zip)).toEqual(new Set(before.names()));
  });

  it("7.1 export to a new file and into a directory, all output on stderr", async () => {
    const file = await cli(["export", "--path", "new.zip", "--include-file-storage"]);
    const document = await latestExport(backend);
    expect(file.stderr).toContain(`✔ Created snapshot export at timestamp ${at(document, "start_ts")}`);
    expect(file.stderr).toContain("✔ Downloaded snapshot export to new.zip");
    expect({ code: file.code, stdout: file.stdout }).toEqual({ code: 0, stdout: "" });
    expect(readZip(readFileSync(join(app.dir, "new.zip"))).names()).toContain("_storage/documents.jsonl");
    expect((await cli(["export", "--path", "dir/"])).code).toBe(0);
    expect(readdirSync(join(app.dir, "dir"))[0]).toMatch(new RegExp(`^snapshot_${backend.name}_\\d{19}\\.zip$`));
  });

  it("7.1 export to a file that exists: exit 1 after doing it", async () => {
    const { code, stderr } = await cli(["export", "--path", "files.zip"]);
    expect(code).toBe(1);
    expect(marked(stderr).at(-1)).toBe("✖ Error: Path files.zip already exists.");
  });

  it("7.1 export with a read-only key and with a bad key", async () => {
    const readOnly = await cli(["export", "--path", "ro.zip"], backend.readOnlyKey);
    expect(readOnly.code).toBe(1);
    expect(marked(readOnly.stderr).at(-1)).toMatch(/^✖ You do not have permission to perform this operation/);
    const bad = await cli(["export", "--path", "bad.zip"], backend.badKey);
    expect(bad.stderr).toContain("401 Unauthorized: BadAdminKey: The provided admin key was invalid for this instance");
    expect(existsSync(join(app.dir, "bad.zip"))).toBe(false);
  });

  it("7.3 without -y: uploaded, then exit 1 and the import is left waiting", async () => {
    await backend.importFile("zip", snapshot("with-storage"));
    const { code, stdout, stderr } = await cli(["import", "--replace-all", "files.zip"]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "Perform import?\n" });
    expect(stderr).toContain("✖ Cannot prompt for input in non-interactive terminals. (Perform import?)");
    const list = await backend.value("query", "_system/cli/queryImport:list");
    expect(at(list, 0, "state", "state")).toBe("waiting_for_confirmation");
    await backend.post("/api/cancel_import", { importId: at(list, 0, "_id") });
  });

  it("7.3 tables that are not empty, and a file that is no ZIP: exit 1 with the text", async () => {
    await backend.importFile("zip", snapshot("with-storage"));
    const full = await cli(["import", "files.zip", "-y"]);
    expect(full.code).toBe(1);
    expect(full.stderr).toContain(
      '✖ Importing data from "files.zip" failed\n\nTable _storage already exists. Please choose a new table name or use replace/append modes.',
    );
    writeFileSync(join(app.dir, "bad.zip"), "hello\n");
    const bad = await cli(["import", "--replace-all", "-y", "bad.zip"]);
    expect(bad.stderr).toContain(
      '✖ Importing data from "bad.zip" failed\n\nHit an error while importing:\ninvalid zip file',
    );
  });

  it("7.3 one table from jsonl, appended without asking", async () => {
    await backend.seed("messages", []);
    writeFileSync(join(app.dir, "m.jsonl"), '{"author":"a","body":"1"}\n{"author":"b","body":"2"}\n');
    const { code, stderr } = await cli(["import", "--table", "messages", "--append", "m.jsonl"]);
    expect(stderr).toContain('✔ Added 2 documents to table "messages".');
    expect(code).toBe(0);
    expect(await backend.tableSize("messages")).toBe(2);
  });

  it("7.3 import with a bad key and with a read-only key", async () => {
    const bad = await cli(["import", "--replace-all", "-y", "files.zip"], backend.badKey);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain(
      'Unexpected Error: Error: {"code":"BadAdminKey","message":"The provided admin key was invalid for this instance"}',
    );
    const readOnly = await cli(["import", "--replace-all", "-y", "files.zip"], backend.readOnlyKey);
    expect(readOnly.code).toBe(1);
    expect(marked(readOnly.stderr).at(-1)).toMatch(/^✖ You do not have permission to perform this operation/);
  });
});
