import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { StartError } from "../../standin/database.ts";
import { takeLease } from "../../standin/lease.ts";
import { silentLog } from "../../standin/log.ts";
import { readPostgresUrl } from "../../standin/postgres-url.ts";

function refusal(url: string, instanceName = "lab-a"): readonly string[] {
  try {
    readPostgresUrl(url, instanceName, true);
  } catch (error) {
    if (error instanceof StartError) return error.chain;
    throw error;
  }
  return ["accepted"];
}

describe("POSTGRES_URL (contract 1.4)", () => {
  const connection = (cause: string) => ["invalid postgres connection url", `invalid connection string: ${cause}`];

  it.each([
    ["postgres://h:1", ["cluster url username must be set"]],
    ["postgres://h:1?user=u", ["cluster url username must be set"]],
    ["user:pw@host", ["cluster url username must be set"]],
    ["postgres://u:p@h:1/lab_a", ["cluster url already contains db name: /lab_a"]],
    ["postgres://u:p@h:1//", ["cluster url already contains db name: //"]],
    ["", ["relative URL without a base"]],
    ["dbname=x user=y", ["relative URL without a base"]],
    ["db.sqlite3", ["relative URL without a base"]],
    ["postgres://u:p/x@h:1", ["invalid port number"]],
    ["postgres://u:p@a:1,b:2", ["invalid port number"]],
    ["postgres://u:p@:5432", ["empty host"]],
    ["mysql://u:p@h:1", connection("unknown option `mysql://u:p@h:1/lab_a?target_session_attrs`")],
    ["postgres://u:p@h:1?foo=1", connection("unknown option `foo`")],
    ["postgres://u:p@h:1?sslmode=verify-full", connection("invalid value for option `sslmode`")],
    ["postgres://u:p@h:1?sslmode=", connection("invalid value for option `sslmode`")],
    ["postgres://u:p@h:1?connect_timeout=x", connection("invalid value for option `connect_timeout`")],
    ["postgres://u:p@h:1#f", connection("invalid value for option `target_session_attrs`")],
    ["postgresql://u:p@h:1/", ["accepted"]],
  ])("%s", (url, chain) => {
    expect(refusal(url)).toEqual(chain);
  });

  it("names the database after the instance, unless the URL does", () => {
    const database = (url: string, name: string) => readPostgresUrl(url, name, true).database;
    expect(database("postgres://u@h", "Lab-a--b.c")).toBe("Lab_a__b.c");
    expect(database("postgres://u@h?dbname=x", "lab")).toBe("x");
    expect(database("postgres://u@h", "")).toBe("u");
  });

  it("decodes escapes of the password, and asks for TLS unless both say otherwise", () => {
    expect(readPostgresUrl("postgres://u:p%41ss%@h", "l", true)).toMatchObject({ password: "pAss%", tls: "require" });
    expect(readPostgresUrl("postgres://u@h?sslmode=disable", "l", true).tls).toBe("require");
    expect(readPostgresUrl("postgres://u@h?sslmode=disable", "l", false).tls).toBe("disable");
    expect(readPostgresUrl("postgres://u@h", "l", false).tls).toBe("prefer");
  });
});

/** Just enough of a server: no TLS, whatever `begin` says, and one row for each statement. */
async function fakeServer(begin: Buffer, row: (statement: string) => string): Promise<{ server: Server; url: string }> {
  const message = (type: string, body: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    return Buffer.concat([Buffer.from(type), length, body]);
  };
  const ready = message("Z", Buffer.from("I"));
  const answer = (socket: Socket, bytes: Buffer) => {
    if (bytes.length === 8) return socket.write("N");
    if (bytes[0] !== 0x51) return socket.write(Buffer.concat([begin, ready]));
    const cell = Buffer.from(row(bytes.toString("utf8", 5)));
    const body = Buffer.alloc(6);
    body.writeInt16BE(1);
    body.writeInt32BE(cell.length, 2);
    return socket.write(Buffer.concat([message("D", Buffer.concat([body, cell])), ready]));
  };
  const server = createServer((socket) => {
    socket.on("data", (bytes) => answer(socket, bytes));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { server, url: `postgres://u@127.0.0.1:${typeof address === "object" ? address?.port : 0}` };
}

const welcome = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);

describe("the lease (contract 1.4)", () => {
  let server: Server | undefined;
  afterEach(() => server?.close());
  const take = (url: string, requireSsl = false) =>
    takeLease({ url, instanceName: "lab", requireSsl, env: {} }, silentLog);

  it("is lost when another start has taken it", async () => {
    let taken = "";
    const fake = await fakeServer(welcome, (statement) => {
      taken = /VALUES \(1, (\d+)\)/.exec(statement)?.[1] ?? taken;
      if (statement.includes("transaction_read_only")) return "off";
      return statement.startsWith("SELECT ts") ? taken : "id";
    });
    server = fake.server;
    const lease = await take(fake.url);
    expect(lease.databaseId).toBe("id");
    const lost = new Promise<void>((resolve) => lease.watch(resolve));
    taken = "1";
    await lost;
    lease.release();
  });

  it("is not taken from a server that has no TLS, writes nothing, or says no", async () => {
    const fake = await fakeServer(welcome, () => "on");
    server = fake.server;
    await expect(take(fake.url, true)).rejects.toMatchObject({
      chain: ["error performing TLS handshake", "server does not support TLS"],
    });
    await expect(take(fake.url)).rejects.toMatchObject({
      chain: ["error connecting to server", "database does not allow writes"],
    });
    await expect(take("postgres://u@127.0.0.1:1")).rejects.toMatchObject({
      chain: ["error connecting to server", "Connection refused (os error 111)"],
    });
    fake.server.close();
    const body = Buffer.from('SFATAL\0Mdatabase "lab" does not exist\0\0');
    const head = Buffer.alloc(5);
    head.write("E");
    head.writeInt32BE(body.length + 4, 1);
    const refusing = await fakeServer(Buffer.concat([head, body]), () => "");
    server = refusing.server;
    await expect(take(refusing.url)).rejects.toMatchObject({
      chain: ["db error", 'FATAL: database "lab" does not exist'],
    });
  });
});
