import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Backend, isStandIn, ownsProcess, withProcess } from "./support/backend.ts";
import { at, send } from "./support/http.ts";
import { mintKey } from "./support/keys.ts";
import {
  discard,
  freePorts,
  kill,
  type Launched,
  type LaunchOptions,
  launch,
  newDirectory,
  start,
  testSecret,
  untilReady,
} from "./support/process.ts";

/** Starts and waits for the end that must come by itself. */
async function ends(
  options: LaunchOptions,
): Promise<{ code: number | null; stdout: string; stderr: string; files: string[] }> {
  const backend = await launch(options);
  const { code } = await backend.exited;
  const files = readdirSync(backend.dir).filter((name) => name !== ".tmp" && !name.startsWith(".tmp"));
  const result = { code, stdout: backend.stdout(), stderr: backend.stderr(), files };
  await discard(backend);
  return result;
}
const name = ["--instance-name", "lab", "--instance-secret", testSecret];
const posix = process.platform !== "win32";

describe.skipIf(!ownsProcess)("command line", () => {
  const refused: [string, LaunchOptions, string][] = [
    ["an unknown flag", { flags: ["--nope"] }, "error: unexpected argument '--nope' found"],
    ["a flag twice", { flags: ["--port", "1"] }, "error: the argument '--port <PORT>' cannot be used multiple times"],
    [
      "a switch twice",
      { flags: ["--disable-beacon"] },
      "error: the argument '--disable-beacon' cannot be used multiple times",
    ],
    ["two positionals", { flags: ["other.sqlite3"] }, "error: unexpected argument 'db.sqlite3' found"],
    [
      "a name without secret",
      { onlyFlags: name.slice(0, 2) },
      "error: the following required arguments were not provided:\n  --instance-secret <INSTANCE_SECRET>",
    ],
    [
      "a secret without name",
      { onlyFlags: name.slice(2) },
      "error: the following required arguments were not provided:\n  --instance-name <INSTANCE_NAME>",
    ],
    [
      "a cloud origin alone",
      { onlyFlags: [...name, "--convex-origin", "http://a"] },
      "error: the following required arguments were not provided:\n  --convex-site <CONVEX_SITE>",
    ],
    [
      "a site origin alone",
      { onlyFlags: [...name, "--convex-site", "http://a"] },
      "error: the following required arguments were not provided:\n  --convex-origin <CONVEX_ORIGIN>",
    ],
    [
      "local and S3 storage",
      { flags: ["--s3-storage"] },
      "error: the argument '--local-storage <LOCAL_STORAGE>' cannot be used with '--s3-storage'",
    ],
    [
      "an unknown database",
      { flags: ["--db", "oracle"] },
      "error: invalid value 'oracle' for '--db <DB>'\n  [possible values: sqlite, mysql-v5",
    ],
    [
      "an IPv6 interface",
      { onlyFlags: [...name, "--interface", "::1"] },
      "error: invalid value '::1' for '--interface <INTERFACE>': invalid IPv4 address syntax",
    ],
    [
      "a host name as interface",
      { onlyFlags: [...name, "--interface", "localhost"] },
      "error: invalid value 'localhost' for '--interface <INTERFACE>': invalid IPv4 address syntax",
    ],
    [
      "port 70000",
      { onlyFlags: [...name, "--port", "70000"] },
      "error: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535",
    ],
    [
      "a port that is no number",
      { onlyFlags: [...name, "--port", "x"] },
      "error: invalid value 'x' for '--port <PORT>': invalid digit found in string",
    ],
    [
      "DISABLE_BEACON empty",
      { onlyFlags: name, env: { DISABLE_BEACON: "" } },
      "error: invalid value '' for '--disable-beacon': value was not a boolean",
    ],
    [
      "DISABLE_BEACON=maybe",
      { onlyFlags: name, env: { DISABLE_BEACON: "maybe" } },
      "error: invalid value 'maybe' for '--disable-beacon': value was not a boolean",
    ],
  ];
  it.each(refused)(
    "1.1 %s: exit 2, usage on stderr, nothing on stdout, nothing created",
    async (_label, options, stderr) => {
      const result = await ends(options);
      expect(result.stderr.startsWith(stderr)).toBe(true);
      expect(result.stderr).toContain("For more information, try '--help'.");
      expect({ code: result.code, stdout: result.stdout, files: result.files }).toEqual({
        code: 2,
        stdout: "",
        files: [],
      });
    },
  );

  it("1.1 --version and --help end with 0", async () => {
    const version = await ends({ onlyFlags: ["--version"] });
    expect(version).toMatchObject({ code: 0, stderr: "" });
    expect(version.stdout).toMatch(/^local_backend \S+\s*$/);
    const help = await ends({ onlyFlags: ["--help"] });
    expect(help.code).toBe(0);
    expect(help.stdout).toMatch(/^Usage: convex-local-backend \[OPTIONS\] \[DB_SPEC\]/m);
  });

  it.each(["true", "1", "false", "YES"])("1.1 DISABLE_BEACON=%s is read by the binary", async (value) => {
    const result = await ends({
      onlyFlags: ["--instance-name", "lab", "--instance-secret", "00", "--local-storage", "storage", "db.sqlite3"],
      env: { DISABLE_BEACON: value },
    });
    expect(result).toMatchObject({ code: 1, stderr: "Error: Hex-decoded key was 1 bytes, not 32\n" });
  });
});

describe.skipIf(!ownsProcess)("a start that fails", () => {
  const hex = (bytes: number) => "01".repeat(bytes);
  const rows: [string, LaunchOptions, string][] = [
    ["a secret of 31 bytes", { secret: hex(31) }, "Hex-decoded key was 31 bytes, not 32"],
    ["a secret of 33 bytes", { secret: hex(33) }, "Hex-decoded key was 33 bytes, not 32"],
    ["an empty secret", { secret: "" }, "Hex-decoded key was 0 bytes, not 32"],
    ["an odd number of digits", { secret: hex(32).slice(1) }, "Couldn't hexdecode key"],
    ["a secret that is no hex", { secret: "z".repeat(64) }, "Couldn't hexdecode key"],
    ["a secret with a newline", { secret: `${hex(32)}\n` }, "Couldn't hexdecode key"],
    ["a secret with a blank", { secret: ` ${hex(32)}` }, "Couldn't hexdecode key"],
    [
      "an origin without scheme",
      { origins: ["127.0.0.1:3210", "http://a"] },
      "Origin url should start with https:// or http:// but got '127.0.0.1:3210'",
    ],
    [
      "an origin with ftp",
      { origins: ["ftp://a", "http://a"] },
      "Origin url should start with https:// or http:// but got 'ftp://a'",
    ],
    [
      "a site origin without scheme",
      { origins: ["http://a", "a"] },
      "Site url should start with https:// or http:// but got 'a'",
    ],
  ];
  it.each(rows)("1.3 %s: exit 1, one line on stderr, after the database was created", async (_label, options, text) => {
    const result = await ends(options);
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 1, stderr: `Error: ${text}\n` });
    expect(result.stdout).toContain(text);
    expect(result.files).toContain("db.sqlite3");
  });

  const prepared: [string, (dir: string) => void, Partial<LaunchOptions>, string][] = [
    [
      "the parent directory missing",
      () => undefined,
      { onlyFlags: [...name, "nodir/db.sqlite3"] },
      "unable to open database file: nodir/db.sqlite3",
    ],
    [
      "a directory as database",
      (dir) => mkdirSync(join(dir, "folder")),
      { onlyFlags: [...name, "folder"] },
      "unable to open database file: folder",
    ],
    [
      "a file that is no database",
      (dir) => writeFileSync(join(dir, "db.sqlite3"), "no database ".repeat(100)),
      {},
      "file is not a database",
    ],
    ["an empty file", (dir) => writeFileSync(join(dir, "db.sqlite3"), ""), {}, "missing _tables.by_id global"],
    [
      "a storage path that is a file",
      (dir) => writeFileSync(join(dir, "storage"), "x"),
      {},
      "Not a directory (os error 20)",
    ],
    [
      "S3 without variables",
      () => undefined,
      { onlyFlags: [...name, "--s3-storage", "db.sqlite3"] },
      "S3_STORAGE_FILES_BUCKET env variable is required when using S3 storage",
    ],
    [
      "postgres with a file name",
      () => undefined,
      { onlyFlags: [...name, "--db", "postgres-v5", "db.sqlite3"] },
      "relative URL without a base",
    ],
    [
      "postgres that nobody answers for",
      () => undefined,
      { onlyFlags: [...name, "--db", "postgres-v5", "postgres://u:p@127.0.0.1:1"] },
      "error connecting to server",
    ],
    [
      "postgres without user",
      () => undefined,
      { onlyFlags: [...name, "--db", "postgres-v5", "postgres://127.0.0.1:1"] },
      "cluster url username must be set",
    ],
    [
      "postgres with a database name",
      () => undefined,
      { onlyFlags: [...name, "--db", "postgres-v5", "postgres://u:p@127.0.0.1:1/dbname"] },
      "cluster url already contains db name: /dbname",
    ],
    [
      "mysql that nobody answers for",
      () => undefined,
      { onlyFlags: [...name, "--db", "mysql-v5", "mysql://u:p@127.0.0.1:1"] },
      "Your request couldn't be completed. Try again later.",
    ],
    [
      "TMPDIR missing",
      () => undefined,
      { env: { TMPDIR: "/nonexistent" } },
      'No such file or directory (os error 2) at path "/nonexistent/.tmp',
    ],
  ];
  it.skipIf(!posix).each(prepared)("1.4 %s: exit 1", async (_label, prepare, options, text) => {
    const dir = newDirectory();
    prepare(dir);
    const result = await ends({ ...options, dir });
    expect(result.stderr.startsWith(`Error: ${text}`)).toBe(true);
    expect(result.code).toBe(1);
  });

  it.skipIf(!posix || process.getuid?.() === 0)("1.4 a database that cannot be read", async () => {
    const dir = newDirectory();
    writeFileSync(join(dir, "db.sqlite3"), "x");
    chmodSync(join(dir, "db.sqlite3"), 0);
    expect(await ends({ dir })).toMatchObject({ code: 1, stderr: "Error: unable to open database file: db.sqlite3\n" });
  });

  it.each(["API", "site"])(
    "1.6 the %s port in use: exit 1, names the address, the database is already there",
    async (which) => {
      const server = createServer((socket) => void socket.on("error", () => undefined));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      const result = await ends(which === "API" ? { port } : { sitePort: port });
      await new Promise((resolve) => server.close(resolve));
      const what = which === "API" ? "backend" : "backend_http_proxy";
      expect({ code: result.code, stderr: result.stderr }).toEqual({
        code: 1,
        stderr: `Error: Could not start ${what} on 127.0.0.1:${port}\n`,
      });
      expect(result.stdout).toMatch(/Address already in use|os error 98|EADDRINUSE/);
      expect(result.files).toContain("db.sqlite3");
    },
  );

  it("1.4 the storage kind is fixed by the first start", async () => {
    const dir = newDirectory();
    const first = await start({ dir });
    await kill(first);
    const bucket = "bucket";
    const env = {
      AWS_REGION: "x",
      AWS_ACCESS_KEY_ID: "x",
      AWS_SECRET_ACCESS_KEY: "x",
      ...Object.fromEntries(
        ["EXPORTS", "SNAPSHOT_IMPORTS", "MODULES", "FILES", "SEARCH"].map((each) => [
          `S3_STORAGE_${each}_BUCKET`,
          bucket,
        ]),
      ),
    };
    const result = await ends({ dir, env, onlyFlags: [...name, "--s3-storage", "db.sqlite3"] });
    expect(result).toMatchObject({
      code: 1,
      stderr: 'Error: Database was initialized with Some(Local { dir: "storage" }), but backend started up with S3.\n',
    });
  });
});

describe.skipIf(!ownsProcess)("what a start accepts", () => {
  it("1.3 upper case hex is the same secret", async () => {
    const secret = "AB".repeat(32);
    await withProcess({ secret, name: "lab" }, async (backend) => {
      for (const each of [secret, secret.toLowerCase()]) {
        const key = mintKey({ name: "lab", secret: each });
        expect((await backend.get("/api/check_admin_key", key)).status).toBe(200);
      }
    });
  });

  it.each([
    ["", 200],
    ["a|b:c", 400],
  ])("1.3 the name %j starts; its own key is %i", async (instance, status) => {
    await withProcess({ name: instance }, async (backend) => {
      expect((await send(backend.url, "/instance_name")).text).toBe(instance);
      expect((await backend.get("/api/check_admin_key")).status).toBe(status);
    });
  });

  it("1.1 without origins they are the loopback addresses of both ports", async () => {
    await withProcess({ origins: null }, async (backend) => {
      expect((await backend.get("/api/v1/get_canonical_urls")).json).toEqual({
        convexCloudUrl: backend.url,
        convexSiteUrl: backend.siteUrl,
      });
    });
  });

  it.each([
    ["", ""],
    ["http://", "http://"],
    ["http://a/", "http://b/"],
  ])("1.1 the origins %j and %j are taken as they are", async (cloud, site) => {
    await withProcess({ origins: [cloud, site] }, async (backend) => {
      expect((await backend.get("/api/v1/get_canonical_urls")).json).toEqual({
        convexCloudUrl: cloud,
        convexSiteUrl: site,
      });
    });
  });

  it("1.1 missing parents of the storage directory are created, with a folder for each kind", async () => {
    await withProcess({ storage: "a/b/c" }, async (_backend, launched) => {
      const made = readdirSync(join(launched.dir, "a/b/c")).sort();
      expect(made).toEqual(["exports", "files", "modules", "search", "snapshot_imports"]);
    });
  });

  it("1.4 SQLite in rollback-journal mode: neither -wal nor -shm", async () => {
    await withProcess({}, async (backend, launched) => {
      await backend.setEnv({ A: "1" });
      const files = readdirSync(launched.dir);
      expect(files).toContain("db.sqlite3");
      expect(files.filter((each) => /-(wal|shm)$/.test(each))).toEqual([]);
      expect(statSync(join(launched.dir, "db.sqlite3")).size).toBeGreaterThan(0);
    });
  });

  it("1.1 CONVEX_RELEASE_VERSION_DEV is /version of the API port only; metrics can be switched off", async () => {
    const env = {
      CONVEX_RELEASE_VERSION_DEV: "lab-1",
      DISABLE_METRICS_ENDPOINT: "true",
      DOCUMENT_RETENTION_DELAY: "2 days",
    };
    await withProcess({ env }, async (backend, launched) => {
      expect((await send(backend.url, "/version")).text).toBe("lab-1");
      expect((await send(backend.url, "/instance_version")).text).toBe("lab-1");
      expect((await send(backend.siteUrl, "/version")).text).toBe("unknown");
      for (const base of [backend.url, backend.siteUrl]) {
        expect(await send(base, "/metrics")).toMatchObject({
          status: 404,
          json: { code: "MetricsDisabled", message: "/metrics endpoint disabled" },
        });
      }
      expect(launched.stdout()).toContain("Invalid value 2 days for DOCUMENT_RETENTION_DELAY, falling back to 2592000");
    });
  });

  it("11 until 2026-05-08: without name and secret it is the public dev instance", async () => {
    const [port, sitePort] = await freePorts();
    const flags = [
      "--interface",
      "127.0.0.1",
      "--port",
      String(port),
      "--site-proxy-port",
      String(sitePort),
      "--disable-beacon",
      "db.sqlite3",
    ];
    const dev = await launch({ port, sitePort, onlyFlags: flags });
    try {
      await untilReady(dev);
      expect((await send(dev.url, "/instance_name")).text).toBe("carnitas");
    } catch (error) {
      // Later releases demand both: exit 1.
      if ((await dev.exited).code !== 1) throw error;
    } finally {
      await discard(dev);
    }
  });
});

const plain = (text: string) => text.replace(/\u001b\[[0-9;]*m/g, "");
async function lines(options: LaunchOptions): Promise<{ text: string; launched: Launched }> {
  const launched = await start(options);
  await kill(launched, "SIGINT");
  const text = launched.stdout();
  await discard(launched);
  return { text, launched };
}

describe.skipIf(!ownsProcess || !posix)("log", () => {
  it("1.5 lines of a fresh start in order, on stdout", async () => {
    const { text, launched } = await lines({});
    const expected = [
      "Starting a Convex backend",
      "Connected to SQLite at db.sqlite3",
      "Initializing database with system tables...",
      "Created system table: _",
      'Local { dir: "storage" } storage is configured.',
      `backend listening on 127.0.0.1:${launched.port}`,
      `backend_http_proxy listening on 127.0.0.1:${launched.sitePort}`,
      "Received Ctrl-C signal!",
      "Shutting down application...",
      "Server successfully shut down.",
      "Done",
    ];
    let from = 0;
    for (const line of expected) {
      const found = text.indexOf(line, from);
      expect(found, `${line} in order`).toBeGreaterThanOrEqual(0);
      from = found;
    }
    expect(text).toContain("Migration complete");
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}INFO convex_local_backend: Starting a Convex backend$/m);
  });

  it("1.5 a second start of the same data does not initialise again", async () => {
    const first = await start({});
    await kill(first);
    const { text } = await lines({ dir: first.dir });
    expect(text).not.toContain("Initializing database with system tables...");
    expect(text).toContain("Migration complete");
  });

  it("1.1 colours unless NO_COLOR is set, also empty; LOG_FORMAT=json; RUST_LOG=warn hides the start", async () => {
    const coloured = (await lines({ env: { NO_COLOR: undefined } })).text;
    expect(coloured).toContain("\u001b[32m INFO\u001b[0m");
    expect(plain(coloured)).toContain(" INFO convex_local_backend: Starting a Convex backend");
    expect((await lines({ env: { NO_COLOR: "" } })).text).not.toContain("\u001b[");
    const json = (await lines({ env: { LOG_FORMAT: "json", NO_COLOR: undefined } })).text.split("\n")[0] ?? "";
    expect(JSON.parse(json)).toMatchObject({
      level: "INFO",
      fields: { message: "Starting a Convex backend" },
      target: "convex_local_backend",
    });
    expect((await lines({ env: { RUST_LOG: "warn" } })).text).not.toContain("Starting a Convex backend");
  });

  it("1.1 requests are logged with path and query string, but not one with adminKey=, nor bodies and headers", async () => {
    await withProcess({}, async (backend, launched) => {
      await backend.get("/api/stream_function_logs?cursor=x&mark=visible");
      await backend.get(`/api/check_admin_key?adminKey=${encodeURIComponent(backend.key)}`, null);
      await backend.setEnv({ MARKER: "hidden-value" });
      await kill(launched, "SIGINT");
      const text = launched.stdout();
      expect(text).toContain("mark=visible");
      expect(text).toContain("/api/check_admin_key");
      expect(text).not.toContain(backend.key.split("|")[1]);
      expect(text).not.toContain("hidden-value");
    });
  });
});

describe.skipIf(!ownsProcess)("moving data", () => {
  it("1.8 stopped data starts under another name, secret and port; old keys are void", async () => {
    const first = await start({});
    const target = new Backend().setTarget(first);
    await target.setEnv({ KEPT: "1" });
    const old = target.key;
    await kill(first);
    const second = await start({ dir: first.dir, name: "other", secret: "02".repeat(32) });
    try {
      target.setTarget(second);
      expect((await send(second.url, "/instance_name")).text).toBe("other");
      expect(await target.env()).toEqual({ KEPT: "1" });
      expect(await target.get("/api/check_admin_key", old)).toMatchObject({
        status: 401,
        json: { code: "BadAdminKey" },
      });
    } finally {
      await discard(second);
    }
  });

  it("1.5 before readiness connections are refused; both ports open together", async () => {
    const backend = await launch({});
    try {
      const early = await send(backend.url, "/version", { timeoutMs: 1000 }).then(
        (answer) => answer.status,
        (error: unknown) => String(at(error, "code") ?? error),
      );
      expect(["ECONNREFUSED", 200]).toContain(early);
      await untilReady(backend);
      expect((await send(backend.url, "/instance_name")).text).toBe(backend.name);
    } finally {
      await discard(backend);
    }
  });
});

describe.skipIf(!isStandIn)("the stand-in", () => {
  it("0 says that it is a test double where it shows", async () => {
    await withProcess({}, async (_backend, launched) => {
      expect(launched.stdout().toLowerCase()).toMatch(/test double|stand-in/);
    });
  });
});
