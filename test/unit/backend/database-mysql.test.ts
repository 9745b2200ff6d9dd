import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { checkMysqlUrl, prepareDatabase } from "../../../src/backend/database.ts";
import { mayCreateTables } from "../../../src/backend/database-mysql.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { hasMariaDb, type MariaDb, startMariaDb } from "./mariadb.ts";
import { machine } from "./support.ts";

const KEEP = { create: false };
const CREATE = { create: true };
const LIKE_MYSQL = "8.0.36";
let server: MariaDb;

const urlOf = (user = "root:my%2Fpass", host = "127.0.0.1"): string => `mysql://${user}@${host}:${server.port}`;
const target = (name: string, user?: string) => checkMysqlUrl(urlOf(user), name, { requireSsl: false });

describe.skipIf(!hasMariaDb)("prepareDatabase with MySQL's protocol", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    server = await startMariaDb({ version: LIKE_MYSQL, tls: true });
  }, 120_000);
  afterAll(() => server.stop());

  it("says that the database is missing, and creates it when asked to, once", async () => {
    const { deps, told } = machine();
    await expect(prepareDatabase(target("lab-a"), KEEP, deps)).rejects.toMatchObject({
      code: "database-missing",
      message: expect.stringContaining('"lab_a" does not exist'),
    });
    expect(await prepareDatabase(target("lab-a"), CREATE, deps)).toEqual({ created: true });
    expect(told.info.join()).toContain('Created database "lab_a"');
    expect(await prepareDatabase(target("lab-a"), CREATE, deps)).toEqual({ created: false });
    expect(await prepareDatabase(target("lab-a"), KEEP, deps)).toEqual({ created: false });
  });

  it("survives that two jobs create it at the same time", async () => {
    const { deps } = machine();
    const both = await Promise.all([1, 2].map(() => prepareDatabase(target("twice"), CREATE, deps)));
    expect(both.filter(({ created }) => created)).toHaveLength(1);
  });

  it.each([
    ["a wrong password", "root:wrong-password"],
    ["no password", "root"],
    ["an unknown user", "stranger:my%2Fpass"],
  ])("tells %s, without showing any", async (_, user) => {
    const { deps } = machine();
    const failure: unknown = await prepareDatabase(target("lab", user), CREATE, deps).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "database-refused", message: expect.stringContaining("MySQL") });
    expect(inspect(failure)).not.toMatch(/wrong-password|my\/pass/);
  });

  it("tells that the user may not create databases, nor tables", async () => {
    const { deps } = machine();
    await server.administer(
      "CREATE USER plain@localhost IDENTIFIED BY 'plain-pass'",
      "CREATE DATABASE readable",
      "GRANT SELECT ON readable.* TO plain@localhost",
    );
    const plain = "plain:plain-pass";
    await expect(prepareDatabase(target("other", plain), CREATE, deps)).rejects.toMatchObject({
      code: "database-rights",
      hint: expect.stringContaining("CREATE DATABASE `other`"),
    });
    await expect(prepareDatabase(target("other", plain), KEEP, deps)).rejects.toMatchObject({
      code: "database-rights",
      message: expect.stringContaining('"other"'),
    });
    await expect(prepareDatabase(target("readable", plain), KEEP, deps)).rejects.toMatchObject({
      code: "database-rights",
      message: expect.stringContaining("may not create tables"),
    });
    await server.administer("GRANT CREATE, INSERT, UPDATE, DELETE ON readable.* TO plain@localhost");
    expect(await prepareDatabase(target("readable", plain), KEEP, deps)).toEqual({ created: false });
  });

  it("warns of other connections", async () => {
    const { deps, told } = machine();
    await prepareDatabase(target("busy"), CREATE, deps);
    const other = await createConnection(`${urlOf()}/busy`);
    onTestFinished(() => other.end());
    await prepareDatabase(target("busy"), KEEP, deps);
    expect(told.warning.join()).toContain("1 other connection");
  });

  it("refuses a server that is read-only", async () => {
    const { deps } = machine();
    await prepareDatabase(target("replica"), CREATE, deps);
    await server.administer("SET GLOBAL read_only = 1");
    onTestFinished(() => server.administer("SET GLOBAL read_only = 0"));
    await expect(prepareDatabase(target("replica"), KEEP, deps)).rejects.toMatchObject({
      code: "database-rights",
      message: expect.stringContaining("read-only"),
    });
  });

  it("checks authority and name", async () => {
    const { deps } = machine();
    const caFile = join(server.directory, "ca.pem");
    const named = (host: string) => checkMysqlUrl(urlOf(undefined, host), "lab", { requireSsl: true });
    await expect(prepareDatabase(named("localhost"), CREATE, deps)).rejects.toMatchObject({
      code: "database-tls",
      message: expect.stringContaining("certificate"),
    });
    const elsewhere = { create: true, caFile, host: "127.0.0.1" };
    await expect(prepareDatabase(named("db.example"), elsewhere, deps)).rejects.toMatchObject({ code: "database-tls" });
    expect(await prepareDatabase(named("localhost"), { create: true, caFile }, deps)).toEqual({ created: true });
    const unreadable = { create: true, caFile: "/nonexistent.pem" };
    await expect(prepareDatabase(named("localhost"), unreadable, deps)).rejects.toMatchObject({
      code: "database-tls",
      message: expect.stringContaining("MYSQL_CA_FILE names /nonexistent.pem"),
    });
  });
});

describe.skipIf(!hasMariaDb)("prepareDatabase with a MariaDB that says so", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    server = await startMariaDb();
  }, 120_000);
  afterAll(() => server.stop());

  it("says that the backend does not work with it, before anything is created", async () => {
    const { deps } = machine();
    await expect(prepareDatabase(target("lab"), CREATE, deps)).rejects.toMatchObject({ code: "database-unsupported" });
    await server.administer("CREATE DATABASE lab");
  });

  it("demands TLS where the backend does", async () => {
    const { deps } = machine();
    const strict = checkMysqlUrl(urlOf(), "lab", { requireSsl: true });
    await expect(prepareDatabase(strict, CREATE, deps)).rejects.toMatchObject({
      code: "database-tls",
      message: expect.stringContaining("offers no TLS"),
    });
  });
});

/** A server that does one thing to whoever connects. */
async function speaker(greet: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    greet(socket);
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  return (silent.address() as AddressInfo).port;
}

describe("prepareDatabase without a MySQL server", () => {
  it("tells that nothing listens, and that something else does", async () => {
    const { deps } = machine();
    const [port = 0] = await freePorts(1);
    const at = (number: number) => checkMysqlUrl(`mysql://u:p@127.0.0.1:${number}`, "lab", { requireSsl: false });
    await expect(prepareDatabase(at(port), CREATE, deps)).rejects.toMatchObject({
      code: "database-unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    const other = await speaker(() => undefined);
    const wish = { ...CREATE, timeoutMs: 300 };
    await expect(prepareDatabase(at(other), wish, deps)).rejects.toMatchObject({ code: "database-unreachable" });
  });

  it("tells that the server wants TLS and the backend would not use it", async () => {
    const { deps } = machine();
    const text = "Connections using insecure transport are prohibited while --require_secure_transport=ON.";
    // MySQL's error packet; MariaDB answers such clients as it does a wrong password.
    const packet = Buffer.concat([
      Buffer.of(text.length + 3, 0, 0, 0, 0xff, 3159 & 0xff, 3159 >> 8),
      Buffer.from(text),
    ]);
    const port = await speaker((socket) => socket.end(packet));
    const plain = checkMysqlUrl(`mysql://u:p@127.0.0.1:${port}`, "lab", { requireSsl: false });
    await expect(prepareDatabase(plain, CREATE, deps)).rejects.toMatchObject({
      code: "database-tls",
      hint: expect.stringContaining("require_ssl"),
    });
  });
});

describe("what SHOW GRANTS tells of tables", () => {
  it.each([
    [true, "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"],
    [true, "GRANT SELECT, INSERT, CREATE, DROP ON `lab\\_a`.* TO `u`@`%`"],
    [true, "GRANT CREATE ON `lab_a`.* TO `u`@`%`"],
    [true, "GRANT CREATE ON `lab%`.* TO `u`@`%`"],
    [true, "GRANT `writer`@`%` TO `u`@`%`"],
    [false, "GRANT SELECT, CREATE VIEW, CREATE TEMPORARY TABLES ON `lab_a`.* TO `u`@`%`"],
    [false, "GRANT ALL PRIVILEGES ON `other`.* TO `u`@`%`"],
    [false, "GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*00'"],
    [false, "GRANT CREATE ON `lab_a`.`one` TO `u`@`%`"],
  ])("%j: %s", (enough, line) => {
    expect(mayCreateTables([line], "lab_a")).toBe(enough);
  });
});
