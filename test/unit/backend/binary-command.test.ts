import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BackendSpec } from "../../../src/backend/backend.ts";
import { addressesOf, backendArguments, backendEnvironment, layoutOf } from "../../../src/backend/binary-command.ts";
import { nodePath } from "../../../src/backend/node-path.ts";
import { machine, specOf } from "./support.ts";

const S3 = {
  AWS_REGION: "eu",
  S3_STORAGE_EXPORTS_BUCKET: "a",
  S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET: "b",
  S3_STORAGE_MODULES_BUCKET: "c",
  S3_STORAGE_FILES_BUCKET: "d",
  S3_STORAGE_SEARCH_BUCKET: "e",
};

function command(overrides: Partial<BackendSpec>): string[] {
  const spec = specOf(overrides);
  return backendArguments(spec, layoutOf(spec, "/temp", "o"), addressesOf(spec, 1, 2));
}

describe("backendArguments", () => {
  it("puts a database URL last, with its kind", () => {
    expect(command({ postgresUrl: "postgresql://u:p@h" }).slice(-3)).toEqual([
      "--db",
      "postgres-v5",
      "postgresql://u:p@h",
    ]);
    expect(command({ mysqlUrl: "mysql://u:p@h" }).slice(-3)).toEqual(["--db", "mysql-v5", "mysql://u:p@h"]);
  });

  it("keeps data where it is told to, in the image's layout", () => {
    const args = command({ data: "/kept" });
    expect(args.at(-1)).toBe("/kept/db.sqlite3");
    expect(args[args.indexOf("--local-storage") + 1]).toBe("/kept/storage");
  });

  it("uses S3 when all of its variables are there", () => {
    expect(command({ backendEnv: S3 })).toContain("--s3-storage");
    expect(command({ backendEnv: S3 })).not.toContain("--local-storage");
    const { S3_STORAGE_FILES_BUCKET, ...some } = S3;
    expect(command({ backendEnv: some })).toContain("--local-storage");
    expect(S3_STORAGE_FILES_BUCKET).toBe("d");
  });

  it.each([
    [{}, true],
    [{ DISABLE_BEACON: "" }, true],
    [{ DISABLE_BEACON: "true" }, true],
    [{ DISABLE_BEACON: "nonsense" }, true],
    [{ DISABLE_BEACON: "false" }, false],
    [{ DISABLE_BEACON: "off" }, false],
  ])("disables the beacon unless %j", (backendEnv, disabled) => {
    expect(command({ backendEnv }).includes("--disable-beacon")).toBe(disabled);
  });

  it("turns the image's switches into flags", () => {
    const args = command({ backendEnv: { REDACT_LOGS_TO_CLIENT: "1", DO_NOT_REQUIRE_SSL: "false" } });
    expect(args).toEqual(expect.arrayContaining(["--redact-logs-to-client", "--do-not-require-ssl"]));
  });

  it("gives out the origins it is told to, and is reached on loopback when bound everywhere", () => {
    const spec = specOf({ bind: "0.0.0.0", cloudOrigin: "https://api.example" });
    expect(addressesOf(spec, 5, 6)).toEqual({
      port: 5,
      sitePort: 6,
      url: "http://127.0.0.1:5",
      siteUrl: "http://127.0.0.1:6",
      cloudOrigin: "https://api.example",
      siteOrigin: "http://127.0.0.1:6",
    });
  });
});

it("lets an empty DISABLE_BEACON not reach the binary, which would stop of it", () => {
  const layout = layoutOf(specOf(), "/temp", "o");
  const env = (backendEnv: Record<string, string>) =>
    backendEnvironment(specOf({ backendEnv }), layout, "/bin", {}, {});
  expect(env({ DISABLE_BEACON: "" })).not.toHaveProperty("DISABLE_BEACON");
  expect(env({ DISABLE_BEACON: "false" })).toMatchObject({ DISABLE_BEACON: "false" });
  expect(env({ PATH: "/own" })).toMatchObject({ PATH: "/own", TMPDIR: "/temp/convex-backend-o/tmp", NO_COLOR: "1" });
});

describe("nodePath", () => {
  const path = async (version: string | undefined, own: string, platform: NodeJS.Platform = "linux") => {
    const windows = platform === "win32";
    const { deps } = machine({
      platform,
      env: windows ? { Path: "C:\\job;C:\\Windows" } : { PATH: "/job:/bin" },
      exec: { run: async () => ({ exitCode: 0, stdout: `${version}\n`, stderr: "", timedOut: false }) },
    });
    const executable = windows ? "C:\\externals\\node24\\bin\\node.exe" : "/externals/node24/bin/node";
    const job = windows ? "C:\\job\\node.exe" : join("/job", "node");
    return await nodePath(deps, (file) => version !== undefined && file === job, { executable, version: own });
  };

  it.each(["v20.20.2", "v22.22.2", "v24.1.0"])("keeps the job's %s", async (version) => {
    expect(await path(version, "24.21.0")).toEqual({ path: "/job:/bin" });
  });

  it.each(["v18.0.0", "v23.1.0", "v26.0.0", undefined])(
    "puts the action's own before the job's %s",
    async (version) => {
      expect(await path(version, "24.21.0")).toEqual({ path: "/externals/node24/bin:/job:/bin" });
    },
  );

  it("does so on Windows too", async () => {
    expect(await path("v23.0.0", "24.21.0", "win32")).toEqual({
      path: "C:\\externals\\node24\\bin;C:\\job;C:\\Windows",
    });
    expect(await path("v24.0.0", "24.21.0", "win32")).toEqual({ path: "C:\\job;C:\\Windows" });
  });

  it("warns when none fits", async () => {
    expect((await path("v23.1.0", "26.0.0")).warning).toContain("node v23.1.0 is the one on PATH");
    expect((await path(undefined, "26.0.0")).warning).toContain("No node is on PATH");
  });
});
