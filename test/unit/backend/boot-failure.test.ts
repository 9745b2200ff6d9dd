import { describe, expect, it } from "vitest";
import { bootFailure } from "../../../src/backend/boot-failure.ts";
import { redactor } from "../../../src/backend/redact.ts";
import { machine, SECRET } from "./support.ts";

const FIRST = "2026-11-23T09:49:39.794386Z  INFO convex_local_backend: Starting a Convex backend";
const caught = (chain: string): string =>
  `2026-11-23T10:56:03.667417Z ERROR common::errors: Caught error error (RUST_BACKTRACE=1 RUST_LOG=info,common::errors=debug for full trace): ${chain}`;

function failure(
  lines: readonly string[],
  exitCode: number | null = 1,
  signal: string | null = null,
  outOfMemory = false,
) {
  const { deps, told } = machine();
  const error = bootFailure(
    { exitCode, signal, outOfMemory },
    [FIRST, ...lines],
    { afterMs: 412, secrets: [SECRET] },
    deps.log,
  );
  return { error, told };
}

describe("bootFailure", () => {
  // The texts are those of the recordings boot-*.json.
  it.each([
    [["Error: Couldn't hexdecode key"], "instance secret", "instance-secret"],
    [["Error: Hex-decoded key was 0 bytes, not 32"], "instance secret", "instance-secret"],
    [["Error: Origin url should start with https:// or http:// but got 'ftp://x'"], "origin", "cloud-origin"],
    [
      [caught('db error: FATAL: database "lab_missing" does not exist'), "Error: db error"],
      'database "lab_missing" does not exist',
      "create-database",
    ],
    [
      [caught('db error: FATAL: password authentication failed for user "postgres"'), "Error: db error"],
      'refuses user "postgres"',
      "percent-encoded",
    ],
    [
      [caught("invalid configuration: password missing"), "Error: invalid configuration"],
      "has none",
      "postgresql://user:password",
    ],
    [
      [
        caught("db error: FATAL: remaining connection slots are reserved for non-replication superuser connections"),
        "Error: db error",
      ],
      "remaining connection slots",
      "POSTGRES_MAX_CONNECTIONS",
    ],
    [
      [caught("db error: ERROR: permission denied for schema public"), "Error: db error"],
      "schema public",
      "GRANT CREATE",
    ],
    [
      [caught('db error: ERROR: column "ts" of relation "documents" does not exist')],
      "another program's table",
      "of its own",
    ],
    [
      [caught("error connecting to server: Connection refused (os error 111)"), "Error: error connecting to server"],
      "cannot be reached: Connection refused",
      "postgres-url",
    ],
    [
      [caught("error performing TLS handshake: server does not support TLS"), "Error: error performing TLS handshake"],
      "offers no TLS",
      "DO_NOT_REQUIRE_SSL",
    ],
    [
      [
        caught("error performing TLS handshake: invalid peer certificate: UnknownIssuer"),
        "Error: error performing TLS handshake",
      ],
      "not accepted: UnknownIssuer",
      "PG_CA_FILE",
    ],
    [
      [
        caught("Failed to read CA file: /convex/nothing.pem: No such file or directory (os error 2)"),
        "Error: Failed to read CA file: /convex/nothing.pem",
      ],
      "/convex/nothing.pem",
      "PG_CA_FILE",
    ],
    [[caught("cluster url username must be set")], "cluster url username must be set", "postgresql://user"],
    [
      ["Error: cluster url already contains db name: /dbname"],
      "cluster url already contains db name",
      "without a database name",
    ],
    [
      [caught("invalid postgres connection url: invalid connection string: unknown option `foo`")],
      "does not know: foo",
      "Leave it out",
    ],
    [
      [caught("Your request couldn't be completed. Try again later.: Database Timeout (Postgres)")],
      "does not answer",
      "postgres-url",
    ],
    [
      [
        "Error: Server error: `ERROR 42000 (1064): You have an error in your SQL syntax; check the manual near 'SHARE' at line 1'",
      ],
      "MariaDB",
      "MySQL 8",
    ],
    [
      ["Error: Server error: `ERROR 42000 (1049): Unknown database 'lab_missing''"],
      '"lab_missing" does not exist',
      "instance name",
    ],
    [
      ["Error: Server error: `ERROR 28000 (1045): Access denied for user 'root'@'localhost' (using password: YES)'"],
      'refuses user "root"',
      "percent-encoded",
    ],
    [
      ["Error: Driver error: `Client asked for SSL but server does not have this capability'"],
      "offers no TLS",
      "DO_NOT_REQUIRE_SSL",
    ],
    [
      [
        caught(
          "Your request couldn't be completed. Try again later.: Input/output error: Input/output error: Connection refused (os error 111): ",
        ),
      ],
      "cannot be reached",
      "mysql-url",
    ],
    [
      [
        'Error: Database was initialized with Some(Local { dir: "/convex/other-storage" }), but backend started up with S3.',
      ],
      "made with Local storage, and was started with S3",
      "S3_*",
    ],
    [
      [
        'Error: Database was initialized with Some(S3 { s3_prefix: "lab-e1b18ad7/" }), but backend started up with Local { dir: "/x" }.',
      ],
      "made with S3 storage, and was started with Local",
      "S3_*",
    ],
    [
      ["Error: Cannot use s3 storage path lab-e1b18ad7/ with other"],
      "another instance name than other",
      "instance-name",
    ],
    [["Error: missing _tables.by_id global"], "is empty", "db.sqlite3"],
    [["Error: database disk image is malformed"], "damaged", "Copy"],
    [["Error: file is not a database"], "no SQLite database", "data"],
    [["Error: unable to open database file: /x/db.sqlite3"], "/x/db.sqlite3 cannot be opened", "directory"],
    [["Error: attempt to write a readonly database"], "may not be written", "right to write"],
    [
      ['Error: No such file or directory (os error 2) at path "/nonexistent/.tmpm2BXMm"'],
      "temporary files, /nonexistent, does not exist",
      "TMPDIR",
    ],
    [["Error: Not a directory (os error 20)"], "storage path is a file", "directory"],
    [
      ["Error: S3_STORAGE_FILES_BUCKET env variable is required when using S3 storage"],
      "S3_STORAGE_FILES_BUCKET",
      "backend-env",
    ],
    [["Error: AWS env variables are required when using S3 storage"], "S3 storage is missing", "AWS_REGION"],
    [
      [
        "error: the argument '--disable-beacon' cannot be used multiple times",
        "",
        "Usage: convex-local-backend [OPTIONS] [DB_SPEC]",
      ],
      "--disable-beacon is given twice",
      "backend-env",
    ],
    [["error: unexpected argument '--nope' found"], "unexpected argument '--nope' found", "version"],
  ])("explains %j", (lines, why, hint) => {
    const { error } = failure(lines);
    expect(error.code).toBe("backend-exited");
    expect(error.message).toMatch(/^The backend stopped 0\.4 s after its start, with exit code 1: /);
    expect(error.message).toContain(why);
    expect(error.hint).toContain(hint);
    expect(error.text).not.toMatch(/\$\d|undefined/);
    expect(error.hint).toMatch(/\(Its last \d+ log lines are above\.\)$/);
  });

  it("calls a taken port so", () => {
    const { error } = failure(["Error: Could not start backend_http_proxy on 127.0.0.1:3211"]);
    expect(error).toMatchObject({
      code: "port-taken",
      message: expect.stringContaining("port 3211 on 127.0.0.1 is in use"),
    });
  });

  it("takes a foreign address and a forbidden port for what they are", () => {
    const on = (address: string, why: string) =>
      failure([caught(`Could not start backend on ${address}: ${why}`), `Error: Could not start backend on ${address}`])
        .error;
    expect(on("10.9.9.9:3210", "Cannot assign requested address (os error 99)").text).toMatch(
      /^\[backend-exited\].*10\.9\.9\.9 is no address of this machine/,
    );
    expect(on("127.0.0.1:80", "Permission denied (os error 13)").text).toMatch(
      /^\[backend-exited\].*port 80 may not be opened/,
    );
    expect(on("127.0.0.1:80", "Address already in use (os error 98)").code).toBe("port-taken");
  });

  it("finds a cause that more lines than it shows came after", () => {
    const noise = Array.from({ length: 80 }, (_, at) => `INFO worker: line ${at}`);
    const { error, told } = failure(["Error: Couldn't hexdecode key", ...noise]);
    expect(error.message).toContain("instance secret");
    expect(told.foreign).toHaveLength(50);
  });

  it.each([
    [["ERROR: database or disk is full", "Received a fatal error. Shutting down immediately"], "the disk is full"],
    [["ERROR common::errors: Caught error SqliteFailure: SQLITE_FULL"], "the disk is full"],
    [["Error: No space left on device (os error 28)"], "the disk is full"],
    [["Error: ENOSPC: no space left on device, write"], "the disk is full"],
    [["Error: There is not enough space on the disk. (os error 112)"], "the disk is full"],
    [
      ['ERROR db error: ERROR: could not extend file "base/5/1": No space left on device'],
      "the disk of the database server is full",
    ],
    [
      ["Lease Lost", "Received a fatal error. Shutting down immediately", "Done"],
      "another backend was started on the same database",
    ],
    [["Write failed. Unsure if transaction committed to disk.: db error"], "a write to the database failed"],
  ])("does not believe exit code 0: %j", (lines, why) => {
    expect(failure(lines, 0).error.message).toContain(why);
  });

  it("explains the panic of a database that is too old, and quotes one that it does not know", () => {
    const panic = "thread 'tokio-runtime-worker' (12) panicked at crates/migrations_model/src/lib.rs:44:24:";
    expect(failure([panic, "Transition too old!"], null, "SIGABRT").error.text).toMatch(/ended by SIGABRT.*2025-02-24/);
    expect(failure([panic, "index out of bounds"], null, "SIGABRT").error.message).toContain("index out of bounds");
  });

  it("points to no log that is empty", () => {
    const { deps } = machine();
    const ended = { exitCode: 1, signal: null, outOfMemory: false };
    const { text } = bootFailure(ended, [], { afterMs: 1, secrets: [] }, deps.log);
    expect(text).toContain("it wrote nothing to its log");
    expect(text).not.toContain("above");
  });

  it("says that memory ran out, or probably did", () => {
    expect(failure([], 137, null, true).error.message).toContain("for want of memory");
    expect(failure([], null, "SIGKILL").error.message).toContain("killed from outside");
  });

  it("takes ERROR lines of healthy backends for nothing", () => {
    const line = "ERROR search: TextLiveFlusher died, num_failures: 1. Backing off, expected: true";
    expect(failure([line]).error.message).toContain("its log names no cause");
  });

  it("sees through colours", () => {
    const { error, told } = failure(["\u001b[31mError: Couldn't hexdecode key\u001b[0m"]);
    expect(error.message).toContain("instance secret");
    expect(told.foreign.at(-1)).toBe("Error: Couldn't hexdecode key");
  });

  it("prints the last fifty lines, without secrets", () => {
    const lines = Array.from({ length: 80 }, (_, at) => `line ${at} ${SECRET}`);
    const { told } = failure(lines);
    expect(told.foreign).toHaveLength(50);
    expect(told.foreign.at(-1)).toBe("line 79 ***");
  });
});

describe("redactor", () => {
  const clean = redactor([SECRET, "p@ss/word"]);
  it.each([
    ["GET /api/storage/upload?token=abcdef123 200", "GET /api/storage/upload?token=*** 200"],
    [
      "POST /api/import/upload_part?uploadToken=x.y.z&partNumber=1",
      "POST /api/import/upload_part?uploadToken=***&partNumber=1",
    ],
    ["GET /http/callback?code=4/0Ab&state=1", "GET /http/callback?code=***&state=1"],
    ["key lab|01abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdef", "key ***"],
    ["key prod:lab-2|01abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdef", "key ***"],
    [
      "unable to open database file: postgresql://postgres:pg/p@ss@127.0.0.1:14700",
      "unable to open database file: postgresql://postgres:***@127.0.0.1:14700",
    ],
    [`secret ${SECRET} and p%40ss%2Fword`, "secret *** and ***"],
    [`base64 ${Buffer.from(SECRET).toString("base64")}`, "base64 ***"],
    ["token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln end", "token *** end"],
    ["nothing to hide: 200 in 3ms", "nothing to hide: 200 in 3ms"],
  ])("cleans %j", (line, expected) => {
    expect(clean(line)).toBe(expected);
  });
});
