import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isStandIn } from "./support/backend.ts";
import { newDirectory } from "./support/process.ts";

/** A folder with the image's three scripts and `generate_key`; the stand-in's own by default. */
const given = process.env["CONVEX_TEST_SCRIPTS"] || undefined;
const standIn = fileURLToPath(new URL("../standin/", import.meta.url));
const runs = process.platform !== "win32" && (given !== undefined || isStandIn);

let dir = "";
let data = "";
beforeAll(() => {
  if (!runs) return;
  dir = newDirectory();
  for (const name of ["run_backend.sh", "read_credentials.sh", "generate_admin_key.sh"]) {
    copyFileSync(given ? join(given, name) : join(standIn, "image", name), join(dir, name));
  }
  const write = (name: string, text: string) => writeFileSync(join(dir, name), text, { mode: 0o755 });
  write("convex-local-backend", '#!/bin/bash\necho "ARGS: $*"\necho "BEACON=$DISABLE_BEACON TMPDIR=$TMPDIR"\n');
  if (given) copyFileSync(join(given, "generate_key"), join(dir, "generate_key"));
  else
    write(
      "generate_key",
      `#!/bin/bash\nSTANDIN_ROLE=generate_key exec "${process.execPath}" "${standIn}main.ts" "$@"\n`,
    );
});
afterAll(() => {
  if (runs) rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  if (!runs) return;
  data = join(dir, "data");
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data);
});

function run(script: string, env: Record<string, string> = {}, args: readonly string[] = []) {
  const result = spawnSync("bash", [`./${script}`, ...args], {
    cwd: dir,
    env: { PATH: process.env["PATH"] ?? "", DATA_DIR: data, ...env },
    encoding: "utf8",
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}
const stored = (name: string) => readFileSync(join(data, "credentials", name), "utf8");
const args = (stdout: string) => /^ARGS: (.*)$/m.exec(stdout)?.[1] ?? "";
const secret = "01".repeat(32);
const named = { INSTANCE_NAME: "lab", INSTANCE_SECRET: secret };
const usual = (origins = "--convex-origin  --convex-site ") =>
  `--instance-name lab --instance-secret ${secret} --port 3210 --site-proxy-port 3211 ${origins} --beacon-tag self-hosted-docker`;

describe.skipIf(!runs)("run_backend.sh", () => {
  it("1.2 fresh: default name, a new secret of 64 digits, both stored and used again", () => {
    const first = run("run_backend.sh");
    expect(first.code).toBe(0);
    expect(stored("instance_name")).toBe("convex-self-hosted\n");
    expect(stored("instance_secret")).toMatch(/^[0-9a-f]{64}\n$/);
    expect(args(first.stdout)).toContain(`--instance-secret ${stored("instance_secret").trim()}`);
    expect(args(run("run_backend.sh").stdout)).toBe(args(first.stdout));
  });

  it("1.2 arguments first, then the fixed flags, storage, database", () => {
    const { stdout } = run("run_backend.sh", named, ["--port", "5"]);
    expect(args(stdout)).toBe(`--port 5 ${usual()} --local-storage ${data}/storage ${data}/db.sqlite3`);
    expect(stdout).toContain(`TMPDIR=${data}/tmp`);
    expect(existsSync(join(data, "tmp"))).toBe(true);
  });

  it("1.2 origins; any text turns a switch on, false too", () => {
    const env = {
      ...named,
      CONVEX_CLOUD_ORIGIN: "http://a",
      CONVEX_SITE_ORIGIN: "http://b",
      DISABLE_BEACON: "false",
      REDACT_LOGS_TO_CLIENT: "false",
      DO_NOT_REQUIRE_SSL: "0",
    };
    expect(args(run("run_backend.sh", env).stdout)).toBe(
      `${usual("--convex-origin http://a --convex-site http://b")} --disable-beacon --redact-logs-to-client --do-not-require-ssl --local-storage ${data}/storage ${data}/db.sqlite3`,
    );
  });

  it("1.2 an empty DISABLE_BEACON gives no flag and reaches the binary", () => {
    const { stdout } = run("run_backend.sh", { ...named, DISABLE_BEACON: "" });
    expect(args(stdout)).not.toContain("--disable-beacon");
    expect(stdout).toContain("BEACON= TMPDIR");
  });

  it.each([
    [{ POSTGRES_URL: "postgres://x", MYSQL_URL: "mysql://y" }, "--db postgres-v5", "postgres://x"],
    [{ MYSQL_URL: "mysql://y", DATABASE_URL: "postgres://z" }, "--db mysql-v5", "mysql://y"],
    [{ DATABASE_URL: "postgres://z" }, "--db postgres-v5", "postgres://z"],
  ])("1.2 database from %j", (env, flag, url) => {
    const { stdout } = run("run_backend.sh", { ...named, ...(env as Record<string, string>) });
    expect(args(stdout)).toBe(`${usual()} ${flag} --local-storage ${data}/storage ${url}`);
    expect(stdout.includes("DATABASE_URL is deprecated")).toBe(Object.keys(env).length === 1 && "DATABASE_URL" in env);
  });

  it("1.2 S3 only when every variable is there, else a warning and local storage", () => {
    const all = Object.fromEntries(
      [
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        ...["EXPORTS", "SNAPSHOT_IMPORTS", "MODULES", "FILES", "SEARCH"].map((each) => `S3_STORAGE_${each}_BUCKET`),
      ].map((each) => [each, "x"]),
    );
    expect(args(run("run_backend.sh", { ...named, ...all }).stdout)).toBe(`${usual()} --s3-storage ${data}/db.sqlite3`);
    const { stdout } = run("run_backend.sh", { ...named, ...all, S3_STORAGE_SEARCH_BUCKET: "" });
    expect(stdout).toContain("Warning: Some AWS/S3 environment variables are missing. Falling back to local storage.");
    expect(args(stdout)).toContain("--local-storage");
  });

  it("1.2 name and secret of the environment are stored, also a bad one; empty counts as unset", () => {
    run("run_backend.sh", { INSTANCE_NAME: "other", INSTANCE_SECRET: "zz" });
    expect([stored("instance_name"), stored("instance_secret")]).toEqual(["other\n", "zz\n"]);
    expect(args(run("run_backend.sh", { INSTANCE_NAME: "" }).stdout)).toContain(
      "--instance-name other --instance-secret zz",
    );
  });
});

describe.skipIf(!runs)("generate_admin_key.sh", () => {
  it("1.2 the key and a newline on stdout, its caption on stderr", () => {
    run("run_backend.sh", named);
    const { code, stdout, stderr } = run("generate_admin_key.sh");
    expect(stdout).toMatch(/^lab\|01[0-9a-f]{72}\n$/);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "Admin key:\n" });
  });

  it("1.2 with a secret in its environment it overwrites the stored one", () => {
    run("run_backend.sh", named);
    run("generate_admin_key.sh", { INSTANCE_SECRET: "02".repeat(32) });
    expect(stored("instance_secret")).toBe(`${"02".repeat(32)}\n`);
  });

  it("1.2 a bad secret: exit 1, nothing on stdout", () => {
    const { code, stdout, stderr } = run("generate_admin_key.sh", { INSTANCE_SECRET: "zz" });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("Error: Couldn't hexdecode key");
  });
});
