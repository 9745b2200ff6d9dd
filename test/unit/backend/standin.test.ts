import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { BackendSpec } from "../../../src/backend/backend.ts";
import { type BinaryState, startBinary } from "../../../src/backend/binary.ts";
import { stopBinary } from "../../../src/backend/binary-stop.ts";
import { waitUntilReady } from "../../../src/backend/readiness.ts";
import { issueAdminKey } from "../../../src/credentials/admin-key.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { buildStandin } from "../../standin/bundle.ts";
import { machine, SECRET, specOf, temporary } from "./support.ts";

let directory: string;
let executable: string;
let owners = 0;

// The stand-in speaks the binary's command line, log and exit codes: what is explained here is what a backend says.
describe("the stand-in as release binary", () => {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "standin-"));
    executable = await buildStandin(directory);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function start(overrides: Partial<BackendSpec> = {}) {
    const { deps, told } = machine();
    let state: BinaryState | undefined;
    const stop = async () => (state === undefined ? [] : await stopBinary(state, deps));
    onTestFinished(async () => void (await stop()));
    const spec = specOf(overrides);
    const place = { executable, owner: `standin-${process.pid}-${++owners}`, temp: await temporary() };
    const backend = await startBinary(
      spec,
      place,
      (next) => {
        state = next as BinaryState;
      },
      deps,
    );
    const key = { instanceName: spec.instanceName, instanceSecret: SECRET };
    const ready = () =>
      waitUntilReady(
        backend,
        {
          instanceName: spec.instanceName,
          adminKey: issueAdminKey(key),
          legacyKey: () => issueAdminKey({ ...key, format: "legacy" }),
          timeoutMs: 15_000,
          secrets: [spec.instanceSecret],
        },
        deps,
      );
    return { backend, ready, stop, told };
  }

  async function fixed(): Promise<{ port: number; sitePort: number }> {
    const [port = 0, sitePort = 0] = await freePorts(2);
    return { port, sitePort };
  }

  it("is proven ready, stops at an interrupt, and starts again on the data that was kept", async () => {
    const data = join(await temporary(), "data");
    const first = await start({ data });
    expect(await first.ready()).toMatchObject({ instanceName: "lab", legacy: false });
    const steps = await first.stop();
    expect(steps.map(({ error }) => error).filter(Boolean)).toEqual([]);
    expect(await first.backend.ended).toMatchObject({ exitCode: 0 });
    expect(await (await start({ data })).ready()).toMatchObject({ instanceName: "lab" });
  });

  it("runs twice side by side on free ports", async () => {
    const both = await Promise.all([start({ instanceName: "one" }), start({ instanceName: "two" })]);
    const ready = await Promise.all(both.map((one) => one.ready()));
    expect(ready.map(({ instanceName }) => instanceName)).toEqual(["one", "two"]);
  });

  it.each([
    ["a bad secret", { instanceSecret: "zz" }, "instance secret"],
    ["a bad origin", { cloudOrigin: "ftp://x" }, "origin"],
    ["a missing TMPDIR", { backendEnv: { TMPDIR: "/nonexistent" } }, "temporary files, /nonexistent"],
  ])("explains %s", async (_, overrides, why) => {
    const { ready, told } = await start({ ...(await fixed()), ...overrides });
    await expect(ready()).rejects.toMatchObject({ code: "backend-exited", message: expect.stringContaining(why) });
    expect(told.foreign.length).toBeGreaterThan(0);
  });

  it("explains an empty database file, and another kind of storage", async () => {
    const data = join(await temporary(), "data");
    await mkdir(data);
    await writeFile(join(data, "db.sqlite3"), "");
    const empty = await start({ ...(await fixed()), data });
    await expect(empty.ready()).rejects.toThrow(/the database file exists and is empty/);

    const kept = join(await temporary(), "data");
    const local = await start({ data: kept });
    await local.ready();
    await local.stop();
    const buckets = ["EXPORTS", "SNAPSHOT_IMPORTS", "MODULES", "FILES", "SEARCH"].map((name) => [
      `S3_STORAGE_${name}_BUCKET`,
      "b",
    ]);
    const aws = { AWS_REGION: "eu", AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "key" };
    const s3 = await start({ ...(await fixed()), data: kept, backendEnv: { ...aws, ...Object.fromEntries(buckets) } });
    await expect(s3.ready()).rejects.toThrow(/made with Local storage, and was started with S3/);
  });

  it("explains a database server that is away", async () => {
    const [port = 0] = await freePorts(1);
    const postgresUrl = `postgresql://postgres:top-secret@127.0.0.1:${port}`;
    const { ready, told } = await start({ ...(await fixed()), postgresUrl, backendEnv: { DO_NOT_REQUIRE_SSL: "1" } });
    const failure = ready();
    await expect(failure).rejects.toMatchObject({
      code: "backend-exited",
      message: expect.stringContaining("cannot be reached: Connection refused"),
    });
    expect(told.foreign.join("\n")).not.toContain("top-secret");
  });
});
