import { createServer } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { checkPostgresUrl, prepareDatabase } from "../../../src/backend/database.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { type Cluster, postgresPrograms, startCluster } from "./postgres.ts";
import { machine } from "./support.ts";

const programs = await postgresPrograms();
const LOOSE = { requireSsl: false };
const KEEP = { create: false };
const CREATE = { create: true };
let cluster: Cluster;

const url = (rest = "", user = "postgres:pg%2Fpass"): string => `postgresql://${user}@127.0.0.1:${cluster.port}${rest}`;
const target = (name: string, rest = "", user?: string) => checkPostgresUrl(url(rest, user), name, LOOSE);

async function administer<T>(database: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url(`/${database}`), { max: 1, onnotice: () => undefined });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

describe.skipIf(programs === undefined)("prepareDatabase", () => {
  beforeAll(async () => {
    cluster = await startCluster(programs ?? "", false);
  });
  afterAll(() => cluster.stop());

  it("says that the database is missing, and creates it when asked to, once", async () => {
    const { deps } = machine();
    await expect(prepareDatabase(target("Lab-Upper"), KEEP, deps)).rejects.toMatchObject({
      code: "database-missing",
      message: expect.stringContaining('"Lab_Upper" does not exist'),
    });
    expect(await prepareDatabase(target("Lab-Upper"), CREATE, deps)).toEqual({ created: true });
    expect(await prepareDatabase(target("Lab-Upper"), CREATE, deps)).toEqual({ created: false });
    const maintenance = "not-there";
    expect(await prepareDatabase(target("lab-other"), { create: true, maintenance }, deps)).toEqual({ created: true });
    const names = await administer(
      "postgres",
      (sql) => sql`SELECT datname FROM pg_database WHERE datname ILIKE 'lab_upper'`,
    );
    expect(names.map((row) => row["datname"])).toEqual(["Lab_Upper"]);
  });

  it("survives that two jobs create it at the same time", async () => {
    const { deps } = machine();
    const both = await Promise.all([
      prepareDatabase(target("twice"), CREATE, deps),
      prepareDatabase(target("twice"), CREATE, deps),
    ]);
    expect(both.filter(({ created }) => created)).toHaveLength(1);
  });

  it.each([
    ["a wrong password", "postgres:wrong-password"],
    ["no password", "postgres"],
    ["an unknown user", "nobody:pg%2Fpass"],
  ])("tells %s, without showing any", async (_, user) => {
    const { deps } = machine();
    const failure: unknown = await prepareDatabase(target("lab", "", user), CREATE, deps).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: "database-refused" });
    expect(inspect(failure)).not.toMatch(/wrong-password|pg\/pass/);
  });

  it("tells that the user may not create databases or tables", async () => {
    const { deps } = machine();
    await administer("postgres", (sql) => sql.unsafe("CREATE ROLE plain LOGIN PASSWORD 'plain-pass'"));
    const plain = "plain:plain-pass";
    await expect(prepareDatabase(target("other", "", plain), CREATE, deps)).rejects.toMatchObject({
      code: "database-rights",
      hint: expect.stringContaining('CREATE DATABASE "other"'),
    });
    await administer("postgres", (sql) => sql.unsafe("CREATE DATABASE other"));
    await expect(prepareDatabase(target("other", "", plain), KEEP, deps)).rejects.toMatchObject({
      code: "database-rights",
      message: expect.stringContaining("schema public"),
    });
  });

  it("warns of other connections", async () => {
    const { deps, told } = machine();
    await prepareDatabase(target("busy"), CREATE, deps);
    const other = postgres(url("/busy"), { max: 1 });
    onTestFinished(() => other.end());
    await other`SELECT 1`;
    await prepareDatabase(target("busy"), KEEP, deps);
    expect(told.warning.join()).toContain("1 other connection");
  });

  it("waits for a server that is not ready yet, and names one that never is", async () => {
    const { deps } = machine();
    await cluster.holdBack();
    await expect(prepareDatabase(target("woken"), { create: true, timeoutMs: 700 }, deps)).rejects.toMatchObject({
      code: "database-unreachable",
      message: expect.stringMatching(
        /cannot be reached: the database system is (not accepting connections|starting up)/,
      ),
    });
    const prepared = prepareDatabase(target("woken"), { create: true, timeoutMs: 60_000 }, deps);
    await cluster.letGo();
    expect(await prepared).toEqual({ created: true });
  });

  it("demands TLS where the backend does", async () => {
    const { deps } = machine();
    const strict = checkPostgresUrl(url(), "lab", { requireSsl: true });
    await expect(prepareDatabase(strict, CREATE, deps)).rejects.toMatchObject({
      code: "database-tls",
      message: expect.stringContaining("offers no TLS"),
    });
  });

  it("tells that nothing listens, and that something else does", async () => {
    const { deps } = machine();
    const [port = 0] = await freePorts(1);
    const nobody = checkPostgresUrl(`postgresql://u:p@127.0.0.1:${port}`, "lab", LOOSE);
    await expect(prepareDatabase(nobody, CREATE, deps)).rejects.toMatchObject({
      code: "database-unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    const silent = createServer((socket) => {
      // Once: what the client still sends after that finds a socket that is ended already.
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void silent.close());
    const address = silent.address();
    const other = typeof address === "object" ? address?.port : 0;
    const foreign = checkPostgresUrl(`postgresql://u:p@127.0.0.1:${other}?sslmode=disable`, "lab", LOOSE);
    const wish = { ...CREATE, timeoutMs: 300 };
    await expect(prepareDatabase(foreign, wish, deps)).rejects.toMatchObject({ code: "database-unreachable" });
  });
});

describe.skipIf(programs === undefined)("prepareDatabase over TLS", () => {
  beforeAll(async () => {
    cluster = await startCluster(programs ?? "", true);
  });
  afterAll(() => cluster.stop());

  const named = (host: string, requireSsl: boolean, rest = "") =>
    checkPostgresUrl(`postgresql://postgres:pg%2Fpass@${host}:${cluster.port}${rest}`, "lab", { requireSsl });

  it.each([true, false])("checks the certificate, whether TLS is demanded (%j) or only offered", async (requireSsl) => {
    const { deps } = machine();
    const caFile = join(cluster.directory, "ca.pem");
    const localhost = named("localhost", requireSsl);
    await expect(prepareDatabase(localhost, CREATE, deps)).rejects.toMatchObject({
      code: "database-tls",
      message: expect.stringContaining("certificate"),
    });
    await expect(prepareDatabase(named("127.0.0.1", requireSsl), { create: true, caFile }, deps)).rejects.toMatchObject(
      { code: "database-tls" },
    );
    await prepareDatabase(localhost, { create: true, caFile }, deps);
    await expect(prepareDatabase(localhost, { create: true, caFile: "/nonexistent.pem" }, deps)).rejects.toMatchObject({
      code: "database-tls",
      message: expect.stringContaining("/nonexistent.pem"),
    });
  });

  it("goes without TLS only where both say so", async () => {
    const { deps } = machine();
    await prepareDatabase(named("127.0.0.1", false, "?sslmode=disable"), CREATE, deps);
  });
});
