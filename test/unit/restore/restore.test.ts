import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { importData } from "../../../src/deployment/import.ts";
import { asRecord } from "../../../src/deployment/json.ts";
import { openBackup } from "../../../src/restore/backup.ts";
import { carryOut } from "../../../src/restore/carry-out.ts";
import { isPaused } from "../../../src/restore/pause.ts";
import { pickBackup } from "../../../src/restore/pick.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { DirectoryStore } from "../../../src/store/directory.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { BASE, changed, linesOf, MESSAGES, renamed, writeZip } from "../../support/snapshot.ts";
import { keyPair, makeBackup, makeRun, makeWorld, type TestRun, type World } from "./support.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/snapshots");
let world: World;
let keys: { identity: string; recipient: string };
let zip: string;
const standins: Standin[] = [];
let runs = 0;

beforeAll(async () => {
  [world, keys] = await Promise.all([makeWorld(), keyPair()]);
  zip = await writeZip(join(world.directory, "base.zip"), BASE);
  await makeBackup(world.store, { zip, recipients: [keys.recipient] });
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(async () => {
  for (const standin of standins.splice(0)) await standin.stop();
});

async function target(options: Parameters<typeof startStandin>[0] = {}): Promise<Standin> {
  const standin = await startStandin({ instanceName: "production", metrics: false, ...options });
  standins.push(standin);
  return standin;
}

async function restoreInto(standin: Standin, inputs: Record<string, string> = {}): Promise<TestRun> {
  const run = makeRun(world, standin, { identity: keys.identity, ...inputs });
  await carryOut(run, await scratch());
  return run;
}

async function failing(standin: Standin, inputs: Record<string, string> = {}): Promise<[ActionError, TestRun]> {
  const run = makeRun(world, standin, { identity: keys.identity, ...inputs });
  const error: unknown = await carryOut(run, await scratch()).catch((failure: unknown) => failure);
  if (!(error instanceof ActionError)) throw error ?? new Error("it succeeded");
  return [error, run];
}

async function scratch(): Promise<string> {
  const directory = join(world.directory, "temp", `run-${++runs}`);
  await mkdir(directory);
  return directory;
}

/** Ids of all documents of a table of the root. */
async function idsOf(run: TestRun, table: string): Promise<string[]> {
  const args = { table, order: "asc", paginationOpts: { cursor: null, numItems: 1000 } };
  const page = asRecord(await run.client.systemQuery("_system/cli/tableData", args))["page"];
  return (Array.isArray(page) ? page : []).map((document) => String(asRecord(document)["_id"])).sort();
}

/** The newest export of each moment in which another was asked for: all that a killed step knows of its own. */
function askedAfter({ states }: TestRun): unknown[] {
  const asked = states.map(({ exportBefore }) => exportBefore).filter((before) => before !== undefined);
  return [...new Set(asked)];
}

const BASE_MESSAGES = MESSAGES.map((line) => (JSON.parse(line) as { _id: string })._id).sort();

/** Puts one other message into a target, and nothing else. */
async function fill(standin: Standin, name = "filled.zip"): Promise<string> {
  const [line = ""] = MESSAGES;
  const entries = changed(
    BASE.filter(([entry]) => !entry.startsWith("_storage/")),
    "messages/documents.jsonl",
    linesOf([line.replaceAll("a1", "somebody")]),
  );
  const path = await writeZip(join(world.directory, `${++runs}-${name}`), entries);
  const run = makeRun(world, standin);
  await importData(run.client, world.deps, { path, format: "zip" }, { mode: "replaceAll" });
  return (JSON.parse(line) as { _id: string })._id;
}

describe("a restore into an empty deployment", () => {
  it("is proved table by table, needs no agreement, and lets functions run again", async () => {
    const standin = await target();
    const run = await restoreInto(standin);
    const { verified, rows, objectives, state } = run.told();
    expect(verified).toBe(true);
    expect(rows).toEqual([
      { name: "anything", expected: 2, found: 2, content: "equal" },
      { name: "messages", expected: 3, found: 3, content: "equal" },
      { name: "refs", expected: 1, found: 1, content: "equal" },
      { name: "stored files", expected: 2, found: 2, content: "equal" },
    ]);
    expect(objectives?.map(({ name }) => name)).toEqual(["RTO", "RPO"]);
    expect(state).toEqual([
      "The data of the backup are in the deployment, verified.",
      "Its functions run again, as they did.",
    ]);
    expect(await isPaused(run.client)).toBe(false);
    expect(run.keeper.now).toMatchObject({ stage: "verified", settled: true });
  });

  it("leaves a deployment paused that was paused: a drill", async () => {
    const standin = await target();
    await makeRun(world, standin).client.pause();
    const run = await restoreInto(standin);
    expect(run.told()).toMatchObject({ drill: true, verified: true });
    expect(await isPaused(run.client)).toBe(true);
  });

  it("saves what to go back to before it pauses, and each import before it can change anything", async () => {
    const standin = await target();
    const run = await restoreInto(standin);
    const pausing = run.states.find(({ was }) => was !== undefined);
    expect(pausing).toMatchObject({ was: "running", stage: "untouched", imports: [], settled: false });
    // Both looks at the target: before it is agreed to, and the verification.
    const exports = run.states.at(-1)?.exports ?? [];
    expect(exports).toHaveLength(2);
    expect(askedAfter(run)).toEqual([null, exports[0]]);
    expect(run.states.at(-1)?.exportBefore).toBeUndefined();
    const importing = run.states.findIndex(({ stage }) => stage === "importing");
    const known = run.states.findIndex(({ imports }) => imports.length === 1);
    expect(importing).toBeLessThan(known);
    expect(known).toBeLessThan(run.states.findIndex(({ stage }) => stage === "imported"));
  });

  it("compares counts alone when that is asked for", async () => {
    const run = await restoreInto(await target(), { verify: "counts" });
    expect(run.told().verified).toBe(true);
    expect(new Set(run.told().rows?.map(({ content }) => content))).toEqual(new Set(["not compared"]));
  });

  it("brings components back, those without files too", async () => {
    const other = await makeWorld();
    await using _ = other;
    await makeBackup(other.store, { zip: join(FIXTURES, "with-component.zip") });
    const standin = await target();
    const run = makeRun(other, standin);
    await carryOut(run, await scratch());
    expect(run.told().rows?.map(({ name }) => name)).toContain("counters in widget");
    expect(run.told().verified).toBe(true);
  });

  it("brings back a table whose name ends in _storage where its values survive the road", async () => {
    const other = await makeWorld();
    await using _ = other;
    const entries = renamed(BASE, (name) => name.replace(/^refs\//, "my_storage/")).map(
      ([name, content]) =>
        [
          name,
          typeof content === "string" ? content.replace('"name":"refs"', '"name":"my_storage"') : content,
        ] as const,
    );
    await makeBackup(other.store, { zip: await writeZip(join(other.directory, "suffix.zip"), entries) });
    const run = makeRun(other, await target());
    await carryOut(run, await scratch());
    expect(run.told().rows).toContainEqual({ name: "my_storage", expected: 1, found: 1, content: "equal" });
  });
});

describe("a restore into a deployment with data", () => {
  it("does not begin without the deployment's name", async () => {
    const standin = await target();
    const kept = await fill(standin);
    const [error, run] = await failing(standin);
    expect(error.code).toBe("confirm-missing");
    expect(error.text).toMatch(/holds 4 documents .*confirm: production/);
    expect(await idsOf(run, "messages")).toEqual([kept]);
    expect(run.states).toEqual([]);
  });

  it("does not begin with another name, even into an empty one", async () => {
    const standin = await target();
    const [error, run] = await failing(standin, { confirm: "staging", "safety-backup": "off" });
    expect(error.code).toBe("confirm-mismatch");
    expect(run.states).toEqual([]);
  });

  it("does not begin before it is said where the present data are kept", async () => {
    const standin = await target();
    await fill(standin);
    expect((await failing(standin, { confirm: "production" }))[0].code).toBe("safety-backup-missing");
  });

  it("sees data that only an export shows: files, and tables of components", async () => {
    const files = await target();
    const entries = BASE.filter(([name]) => !/^(messages|refs|anything)\//.test(name)).map(
      ([name, content]) => [name, name === "_tables/documents.jsonl" ? "" : content] as const,
    );
    const path = await writeZip(join(world.directory, "files-only.zip"), entries);
    const run = makeRun(world, files);
    // A ZIP without any document is refused by `importData`; the backend takes it.
    const { runImport } = await import("../../../src/deployment/import-run.ts");
    await runImport(run.client, world.deps, { path, format: "zip" }, { mode: "replaceAll", timeoutMs: 30_000 });
    const [error] = await failing(files);
    expect(error.code).toBe("confirm-missing");
    expect(error.message).toContain("2 stored files");
    const parts = await target();
    await importData(
      makeRun(world, parts).client,
      world.deps,
      { path: join(FIXTURES, "with-component.zip"), format: "zip" },
      { mode: "replaceAll" },
    );
    expect((await failing(parts))[0].code).toBe("confirm-missing");
  });

  it("keeps the present data first, encrypted to the identity's own key, and they can be restored", {
    timeout: 60_000,
  }, async () => {
    const standin = await target();
    const kept = await fill(standin);
    const folder = join(world.directory, `safety-${++runs}`);
    await mkdir(folder);
    const run = await restoreInto(standin, { confirm: "production", "safety-backup": `dir:${folder}` });
    expect(await idsOf(run, "messages")).toEqual(BASE_MESSAGES);
    expect(run.told().replaced).toMatch(/^4 documents \(/);
    expect(askedAfter(run)).toEqual([null, run.keeper.now.exports?.[0]]);
    const safety = new DirectoryStore(folder, world.deps);
    const manifest = await pickBackup(safety, "latest", world.deps.log);
    expect(manifest.encryption).toEqual({ method: "age", recipients: [keys.recipient] });
    const opener = { store: safety, identities: [keys.identity], directory: await scratch() };
    const backup = await openBackup(manifest, opener, world.deps);
    expect(backup.inspection.documents).toBe(4);
    const back = makeRun(world, standin, {
      identity: keys.identity,
      source: `dir:${folder}`,
      confirm: "production",
      "safety-backup": "off",
    });
    await carryOut({ ...back, store: safety }, await scratch());
    expect(await idsOf(back, "messages")).toEqual([kept]);
  });

  it("ends before anything changes when the present data cannot be kept", async () => {
    const standin = await target();
    const kept = await fill(standin);
    const inputs = { confirm: "production", "safety-backup": "dir:/proc/no-such-folder/x" };
    const [error, run] = await failing(standin, inputs);
    expect(error.code).toBe("safety-backup-failed");
    expect(await idsOf(run, "messages")).toEqual([kept]);
    expect(await isPaused(run.client)).toBe(false);
    expect(run.keeper.now).toMatchObject({ stage: "untouched", settled: true });
  });
});

describe("a restore that does not succeed", () => {
  it("leaves the data and the running functions as they were when the import is ended half way", async () => {
    const standin = await target({ env: { STANDIN_IMPORT_ROW_DELAY_MS: "300" } });
    const kept = await fill(standin);
    const run = makeRun(world, standin, { identity: keys.identity, confirm: "production", "safety-backup": "off" });
    const restoring = carryOut(run, await scratch()).catch((error: unknown) => error);
    // Somebody at the dashboard cancels it.
    const other = makeRun(world, standin).client;
    for (let canceled = false; !canceled; ) {
      const list = await other.systemQuery("_system/cli/queryImport:list", {});
      const [newest] = (Array.isArray(list) ? list : []).map(asRecord);
      const open = asRecord(newest?.["state"])["state"] === "in_progress";
      if (open) {
        await other.request("POST", "/api/cancel_import", { json: { importId: newest?.["_id"] } });
        canceled = true;
      }
      if (run.keeper.now.settled) break;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await restoring).toMatchObject({ code: "restore-import-failed" });
    expect(run.told().state).toEqual([
      "The import did not take place: the deployment holds the data that it had before.",
      "Its functions run again, as they did.",
    ]);
    expect(await idsOf(run, "messages")).toEqual([kept]);
    expect(await isPaused(run.client)).toBe(false);
  });

  it("leaves all as it was when documents do not fit the code that is deployed, and says what to deploy", async () => {
    const standin = await target();
    const kept = await fill(standin);
    // The last of the tables, so that others are written by then.
    const documentType = { type: "object", value: { nobody: { fieldType: { type: "string" }, optional: false } } };
    const table = { tableName: "messages", indexes: [], searchIndexes: [], vectorIndexes: [], documentType };
    const text = JSON.stringify({ tables: [table], schemaValidation: true });
    await standin.backend.store.write((tx) => {
      tx.insert("", "_schemas", { schemaId: "s1", state: "active", text, readyAt: 0 });
    });
    const [error, run] = await failing(standin, { confirm: "production", "safety-backup": "off" });
    expect(error.code).toBe("restore-import-failed");
    expect(error.message).toContain('table "messages" because it does not match the schema');
    expect(error.hint).toContain("Deploy the code that the data were written under");
    expect(await idsOf(run, "messages")).toEqual([kept]);
    expect(await isPaused(run.client)).toBe(false);
    expect(run.keeper.now).toMatchObject({ stage: "untouched", settled: true });
  });

  it("cancels an import that takes too long, and leaves all as it was", async () => {
    const standin = await target({ env: { STANDIN_IMPORT_ROW_DELAY_MS: "60000" } });
    const run = makeRun(world, standin, { identity: keys.identity, "import-timeout": "2s" });
    await expect(carryOut(run, await scratch())).rejects.toMatchObject({ code: "import-timeout" });
    expect(await idsOf(run, "messages")).toEqual([]);
    expect(await isPaused(run.client)).toBe(false);
    expect(run.told().state?.[0]).toContain("The import did not take place");
  });

  it("says so when the snapshot is newer than the backend, which cannot be paused either", async () => {
    const standin = await target({ like: "first" });
    const [error, run] = await failing(standin);
    expect(error.code).toBe("restore-import-failed");
    expect(error.hint).toContain("newer release");
    expect(world.lines.all.join("\n")).toContain("cannot be paused");
    expect(run.keeper.now.settled).toBe(true);
  });

  it("finds what was written behind its back, by table and id", async () => {
    const standin = await target();
    const run = makeRun(world, standin, { identity: keys.identity });
    const restoring = carryOut(run, await scratch()).catch((error: unknown) => error);
    // The dashboard writes to paused deployments too.
    while (run.keeper.now.stage !== "imported" && !run.keeper.now.settled) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await standin.backend.store.write((tx) => {
      const [first] = tx.scan("", "messages");
      if (first !== undefined) tx.replace("", first._id, { ...first, body: "changed" });
    });
    expect(await restoring).toMatchObject({ code: "restore-differs" });
    const row = run.told().rows?.find(({ name }) => name === "messages");
    expect(row).toMatchObject({ content: "different", samples: [{ id: BASE_MESSAGES[0], how: "changed" }] });
    expect(run.told().verified).toBeUndefined();
    expect(await isPaused(run.client)).toBe(false);
  });

  it("is not begun without the key that decrypts, or with another one", async () => {
    const standin = await target();
    expect((await failing(standin, { identity: "" }))[0].code).toBe("identity-missing");
    expect((await failing(standin, { identity: (await keyPair()).identity }))[0].code).toBe("identity-mismatch");
  });

  it("names the backups that there are when the wanted one is not", async () => {
    const [error] = await failing(await target(), { "backup-id": "2026-01-01T00-00-00Z-00000000" });
    expect(error.code).toBe("backup-missing");
    expect(error.message).toMatch(/the newest are \d{4}-/);
  });
});

describe.skipIf(process.getuid?.() !== 0 || process.platform !== "linux")("a full disk", () => {
  it("ends a restore before anything changes (a small tmpfs, which takes root)", async () => {
    const other = await makeWorld();
    await using _ = other;
    const [line = ""] = MESSAGES;
    const large = linesOf([line.replaceAll("a1", randomBytes(64 * 1024).toString("hex"))]);
    const entries = changed(BASE, "messages/documents.jsonl", large);
    const path = await writeZip(join(other.directory, "large.zip"), entries);
    await makeBackup(other.store, { zip: path, recipients: [keys.recipient] });
    const standin = await target();
    const run = makeRun(other, standin, { identity: keys.identity });
    const directory = await scratch();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=32k", "tmpfs", directory]);
    try {
      await expect(carryOut(run, directory)).rejects.toMatchObject({ code: "disk-full" });
    } finally {
      execFileSync("umount", [directory]);
    }
    expect(run.keeper.now.was).toBeUndefined();
    expect(await isPaused(run.client)).toBe(false);
  });
});

describe("variables", () => {
  it("are compared by their fingerprints, and restored in one request when that is asked for", async () => {
    const other = await makeWorld();
    await using _ = other;
    const variables = new Map([
      ["BETTER_AUTH_SECRET", "sentinel-secret-of-production"],
      ["GREETING", "hello from production"],
    ]);
    await makeBackup(other.store, { zip, recipients: [keys.recipient], variables });
    const standin = await target();
    const client = makeRun(other, standin).client;
    await client.updateVariables([
      { name: "BETTER_AUTH_SECRET", value: "another secret value" },
      { name: "ONLY_HERE", value: "kept as it is" },
    ]);
    const run = makeRun(other, standin, { identity: keys.identity });
    await carryOut(run, await scratch());
    const notes = run.told().notes?.join("\n") ?? "";
    expect(notes).toMatch(/lacks: GREETING\./);
    expect(notes).toMatch(/other values here .*: BETTER_AUTH_SECRET\./);
    expect(notes).toMatch(/only this deployment has: ONLY_HERE\./);
    expect((await client.listVariables()).get("BETTER_AUTH_SECRET")).toBe("another secret value");
    const again = makeRun(other, standin, {
      identity: keys.identity,
      "restore-env": "true",
      confirm: "production",
      "safety-backup": "off",
    });
    await carryOut(again, await scratch());
    expect(await client.listVariables()).toEqual(new Map([...variables, ["ONLY_HERE", "kept as it is"]]));
    const told = other.lines.all.filter((line) => !line.startsWith("mask: ")).join("\n");
    expect(told).not.toContain("sentinel-secret-of-production");
  });

  it("that the backup does not hold are no reason to begin", async () => {
    const other = await makeWorld();
    await using _ = other;
    await makeBackup(other.store, { zip });
    const run = makeRun(other, await target(), { identity: keys.identity, "restore-env": "true" });
    await expect(carryOut(run, await scratch())).rejects.toMatchObject({ code: "restore-env-missing" });
    expect(run.keeper.now).toMatchObject({ stage: "untouched", imports: [] });
    expect(run.keeper.now.was).toBeUndefined();
  });
});

describe("scheduled functions", () => {
  it("are told, because they outlive the import and run on the restored data", async () => {
    const standin = await target();
    await standin.backend.store.write((tx) => {
      tx.insert("", "_scheduled_functions", {
        name: "mails.js:send",
        args: [{}],
        scheduledTime: Date.now() + 3_600_000,
        state: { kind: "pending" },
      });
    });
    const run = await restoreInto(standin);
    expect(run.told().notes?.join("\n")).toMatch(/1 scheduled function is left .*\(mails:send\), 0 of them due/);
  });

  it("that fall due meanwhile wait until the data are verified, and run then", async () => {
    const standin = await target();
    const run = makeRun(world, standin, { identity: keys.identity });
    const jobs = () => standin.backend.store.read((tx) => tx.scan("", "_scheduled_functions"));
    const set = run.keeper.set.bind(run.keeper);
    let scheduled: Promise<unknown> = Promise.reject(new Error("nothing was imported"));
    scheduled.catch(() => undefined);
    let verifiedAt = Number.POSITIVE_INFINITY;
    run.keeper.set = (facts) => {
      const name = "mails.js:send";
      if (facts.stage === "importing") {
        const job = { name, args: [{}], scheduledTime: Date.now(), state: { kind: "pending" } };
        scheduled = standin.backend.store.write((tx) => tx.insert("", "_scheduled_functions", job));
      }
      if (facts.stage === "verified") verifiedAt = Date.now();
      set(facts);
    };
    await carryOut(run, await scratch());
    await scheduled;
    expect(run.told().verified).toBe(true);
    // There is no such function here, so it fails; the point is when.
    await expect.poll(() => jobs().map((job) => asRecord(job["state"])["kind"])).toEqual(["failed"]);
    expect(jobs()[0]?.["completedTime"]).toBeGreaterThanOrEqual(verifiedAt);
  });
});
