import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimDatabase, dropDatabase } from "../../../src/backend/database-own.ts";
import { databaseOf } from "../../../src/preview/database.ts";
import { type Cluster, postgresPrograms, startCluster } from "./postgres.ts";
import { machine } from "./support.ts";

const programs = await postgresPrograms();
let cluster: Cluster;

const url = (): string => `postgresql://postgres:pg%2Fpass@127.0.0.1:${cluster.port}`;
const LOOSE = { DO_NOT_REQUIRE_SSL: "true" };

async function administer<T>(work: (sql: postgres.Sql) => Promise<T>, database = "postgres"): Promise<T> {
  const sql = postgres(`${url()}/${database}`, { max: 1, onnotice: () => undefined });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

const own = (name: string) => databaseOf(url(), { repository: "Acme/App", name }, LOOSE, machine().deps);

describe.skipIf(programs === undefined)("a preview's own database", () => {
  beforeAll(async () => {
    cluster = await startCluster(programs ?? "", false);
  });
  afterAll(() => cluster.stop());

  it("has a name of repository and preview, in the URL for the backend", () => {
    const { target, url: forBackend } = own("pr-1");
    expect(target.database).toMatch(/^convex_preview_[0-9a-f]{8}_pr_1$/);
    expect(new URL(forBackend).searchParams.get("dbname")).toBe(target.database);
    expect(own("x".repeat(63)).target.database).toHaveLength(63);
  });

  it("is made once, stays while somebody is connected, and is dropped with its connections", async () => {
    const { deps, told } = machine();
    const database = own("pr-1");
    expect(await claimDatabase(database, {}, deps)).toEqual({ created: true });
    const client = postgres(`${url()}/${database.target.database}`, { max: 1, onnotice: () => undefined });
    await client`SELECT 1`;
    expect(await claimDatabase(database, {}, deps)).toEqual({ created: false });
    expect(told.warning.join("\n")).not.toContain("other connection");
    expect(await dropDatabase(database, {})).toBe(true);
    expect(await dropDatabase(database, {})).toBe(false);
    await client.end({ timeout: 0 }).catch(() => undefined);
  });

  it("is marked after an interruption, and left alone where it is somebody else's", async () => {
    const { deps } = machine();
    const database = own("pr-2");
    await administer((sql) => sql.unsafe(`CREATE DATABASE "${database.target.database}"`));
    await expect(dropDatabase(database, {})).rejects.toMatchObject({ code: "database-not-ours" });
    expect(await claimDatabase(database, {}, deps)).toEqual({ created: false });
    await administer((sql) => sql.unsafe(`COMMENT ON DATABASE "${database.target.database}" IS 'it''s mine'`));
    await expect(claimDatabase(database, {}, deps)).rejects.toMatchObject({ code: "database-not-ours" });
    await expect(dropDatabase(database, {})).rejects.toMatchObject({ code: "database-not-ours" });
  });
});
