import { describe, expect, it } from "vitest";
import { checkMysqlUrl, checkPostgresUrl } from "../../../src/backend/database.ts";
import { ActionError } from "../../../src/runner/errors.ts";

const LOOSE = { requireSsl: false };

function refusal(work: () => unknown): ActionError {
  try {
    work();
  } catch (error) {
    if (error instanceof ActionError) return error;
    throw error;
  }
  throw new Error("not refused");
}

describe("checkPostgresUrl", () => {
  it.each([
    [
      "postgresql://postgres:pgpass@127.0.0.1:14700",
      { host: "127.0.0.1", port: 14700, user: "postgres", password: "pgpass", database: "lab_a" },
    ],
    ["postgres://u:p@localhost/", { host: "localhost", port: 5432, database: "lab_a" }],
    ["postgresql://u@[::1]:5433", { host: "::1", port: 5433, user: "u" }],
    ["postgresql://u:a%40b%2Fc@h", { password: "a@b/c" }],
    ["postgresql://u:p%41ss@h", { password: "pAss" }],
    ["postgresql://u:100%@h", { password: "100%" }],
    ["postgresql://u:a+$!:b@h", { password: "a+$!:b" }],
    ["postgresql://u:a@b@h", { password: "a@b", host: "h" }],
    ["postgresql://u@h?password=x", { password: "x" }],
    ["postgresql://u:p@h?dbname=neondb&connect_timeout=3", { database: "neondb" }],
    ["postgresql://u:p@h?sslmode=require", { tls: "prefer" }],
    ["postgresql://u:p@h?sslmode=disable", { tls: "off" }],
  ])("takes %s", (url, target) => {
    expect(checkPostgresUrl(url, "lab-a", LOOSE)).toMatchObject({ ...target, warnings: [] });
  });

  // Refused by the backend too, with the words of contract 1.4.
  it.each([
    ["", "no URL"],
    ["host=localhost user=postgres", "no URL"],
    ["user:pw@host:5432", "no URL"],
    ["mysql://u:p@h", "scheme is mysql"],
    ["postgresql://127.0.0.1:14700", "no user"],
    ["postgresql://127.0.0.1:14700?user=postgres", "no user"],
    ["postgresql://u:p@h/lab_a", 'path (/lab_a), and the backend names its database itself: "lab_a"'],
    ["postgresql://u:p@h/dbname", "path"],
    ["postgresql://u:p@h//", "path"],
    ["postgresql://u:pa/ss@h:5432", "as it is"],
    ["postgresql://u:pa#ss@h:5432", "as it is"],
    ["postgresql://u:pa?ss@h:5432", "as it is"],
    ["postgresql://u:p@a:1,b:2", "several hosts"],
    ["postgresql://u:p@:5432", "host"],
    ["postgresql://u:p@h:99999", "cannot be read"],
    ["postgresql://u:p@h\r\n:5432", "line breaks"],
    ["postgresql://u:p@%2Fvar%2Frun", "sockets"],
    ["postgresql://u:p@h?host=/var/run", "sockets"],
    ["postgresql://u:p@h#x", "#fragment"],
    ["postgresql://u:p@h?sslmode=verify-full", "verify-full"],
    ["postgresql://u:p@h?sslmode=", "sslmode="],
    ["postgresql://u:p@h?pgbouncer=true", "pgbouncer"],
    ["postgresql://u:p@h?sslrootcert=/x", "sslrootcert"],
    ["postgresql://u:p@h?channel_binding=require", "channel_binding"],
  ])("refuses %j", (url, why) => {
    const error = refusal(() => checkPostgresUrl(url, "lab-a", LOOSE));
    expect(error.code).toBe("database-url-invalid");
    expect(error.message).toContain(why);
  });

  it("never quotes the password", () => {
    for (const rest of ["@h/db", "@h?foo=1", "/x@h", "@a:1,b:2", "@h:99999", "@h#f"]) {
      const error = refusal(() => checkPostgresUrl(`postgresql://u:hunter2pass${rest}`, "lab", LOOSE));
      expect(error.text).not.toContain("hunter2");
    }
  });

  it("demands TLS unless the backend is told otherwise, and warns of what has no effect", () => {
    expect(checkPostgresUrl("postgresql://u:p@h", "lab", { requireSsl: true }).tls).toBe("require");
    const target = checkPostgresUrl("postgresql://u:p@h?sslmode=disable", "lab", { requireSsl: true });
    expect(target.tls).toBe("require");
    expect(target.warnings.join()).toContain("DO_NOT_REQUIRE_SSL");
    expect(checkPostgresUrl("postgresql://u:p@h", "postgres", LOOSE).warnings.join()).toContain("maintenance");
  });

  it("keeps case and dots of the name, as the backend does", () => {
    expect(checkPostgresUrl("postgresql://u:p@h", "Lab-Upper.1", LOOSE).database).toBe("Lab_Upper.1");
    expect(checkPostgresUrl("postgresql://u:p@h", "a".repeat(70), LOOSE).database).toHaveLength(63);
  });
});

describe("checkMysqlUrl", () => {
  it("takes what the driver takes", () => {
    expect(checkMysqlUrl("mysql://root:pw@127.0.0.1:3306?require_ssl=true", "lab", LOOSE).warnings).toEqual([]);
    expect(checkMysqlUrl("mysql://root:p%2Fw@h", "lab-a", LOOSE)).toMatchObject({
      kind: "mysql",
      host: "h",
      port: 3306,
      user: "root",
      password: "p/w",
      database: "lab_a",
      tls: "off",
    });
    expect(checkMysqlUrl("mysql://root@h?require_ssl=true", "lab", LOOSE).tls).toBe("require");
    expect(checkMysqlUrl("mysql://root@h", "lab", { requireSsl: true }).tls).toBe("require");
    expect(checkMysqlUrl("mysql://root:pw@h/other", "lab-a", LOOSE).warnings.join()).toContain('"lab_a"');
  });

  it.each([
    ["mariadb://root@h", "scheme is mariadb"],
    ["postgresql://root@h", "scheme is postgresql"],
    ["mysql://h:3306", "no user"],
    ["mysql://root@h?sslmode=disable", "sslmode"],
    ["mysql://root:a/b@h", "as it is"],
  ])("refuses %j", (url, why) => {
    expect(refusal(() => checkMysqlUrl(url, "lab", LOOSE)).message).toContain(why);
  });
});
