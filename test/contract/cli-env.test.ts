import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type App, createApp } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { convex } from "./support/cli.ts";

const backend = useBackend();
let app: App;
beforeAll(() => {
  app = createApp({ base: false });
});
afterAll(() => app.remove());
beforeEach(() => backend.clearEnv());

const env = (args: readonly string[], options: { stdin?: string; key?: string } = {}) =>
  convex(backend, ["env", ...args], { cwd: app.dir, ...options });

describe("convex env", () => {
  it("4.3 set as NAME VALUE and NAME=VALUE", async () => {
    expect(await env(["set", "A", "x"])).toEqual({ code: 0, stdout: "", stderr: "✔ Successfully set A\n" });
    expect((await env(["set", "B=y=z"])).code).toBe(0);
    expect(await backend.env()).toEqual({ A: "x", B: "y=z" });
  });

  it("4.3 set from stdin loses one trailing newline, from a file none; empty stdin sets the empty value", async () => {
    await env(["set", "C"], { stdin: "l1\nl2\n" });
    const pem = "-----BEGIN PRIVATE KEY-----\nAAAA+/==\n-----END PRIVATE KEY-----\n";
    writeFileSync(join(app.dir, "key.pem"), pem);
    await env(["set", "PEM", "--from-file", "key.pem"]);
    await env(["set", "NONE"]);
    expect(await backend.env()).toEqual({ C: "l1\nl2", PEM: pem, NONE: "" });
  });

  it("4.3 a dotenv file: new names only, a conflict sets nothing, --force overwrites", async () => {
    await backend.setEnv({ A: "old" });
    writeFileSync(
      join(app.dir, "a.env"),
      'NEW="l1\nl2" # comment\nexport ESC="a\\nb"\nDOLLAR=$A\nCONVEX_DEPLOYMENT=x\n',
    );
    const fresh = await env(["set", "--from-file", "a.env"]);
    expect(fresh.stderr).toContain("Skipping 1 CLI-managed environment variable");
    expect(fresh.stderr).toContain("✔ Successfully set 3 environment variables from a.env (3 new)");
    expect(await backend.env()).toEqual({ A: "old", NEW: "l1\nl2", ESC: "a\nb", DOLLAR: "$A" });
    writeFileSync(join(app.dir, "b.env"), "A=other\nB=2\n");
    const conflict = await env(["set", "--from-file", "b.env"]);
    expect(conflict.code).toBe(1);
    expect(conflict.stderr).toContain("✖ error: environment variable A already exists with different value.");
    expect(await backend.env()).not.toHaveProperty("B");
    const forced = await env(["set", "--from-file", "b.env", "--force"]);
    expect(forced.stderr).toContain("(1 new, 1 updated)");
    expect(await backend.env()).toMatchObject({ A: "other", B: "2" });
  });

  it("4.3 list: none, then NAME=value by name, values of several lines in single quotes", async () => {
    expect(await env(["list"])).toEqual({ code: 0, stdout: "", stderr: "No environment variables set\n" });
    await backend.setEnv({ B: "y", A: '{"k":"$A"}', ML: "l1\nl2\n", E: "" });
    const { code, stdout, stderr } = await env(["list"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(`A={"k":"$A"}\nB=y\nE=\nML='l1\nl2\n'\n`);
  });

  it("4.3 get prints value and newline; a missing name is exit 0 with empty stdout", async () => {
    await backend.setEnv({ C: "l1\nl2" });
    expect(await env(["get", "C"])).toEqual({ code: 0, stdout: "l1\nl2\n", stderr: "" });
    expect(await env(["get", "NOPE"])).toEqual({
      code: 0,
      stdout: "",
      stderr: '✖ Environment variable "NOPE" not found\n',
    });
  });

  it("4.3 remove, also of a missing name", async () => {
    await backend.setEnv({ A: "1" });
    expect(await env(["remove", "A"])).toEqual({ code: 0, stdout: "", stderr: "✔ Successfully unset A\n" });
    expect((await env(["unset", "NOPE"])).code).toBe(0);
    expect(await backend.env()).toEqual({});
  });

  it("4.3 errors of the backend: exit 1 with status, code and message", async () => {
    const { code, stderr } = await env(["set", "1BAD", "x"]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `✖ Error fetching POST  ${backend.url}/api/update_environment_variables 400 Bad Request: EnvironmentVariableNameInvalid: The environment variable name 1BAD is invalid.`,
    );
  });

  it("4.3 a read-only key lists, but does not set", async () => {
    await backend.setEnv({ A: "1" });
    expect((await env(["list"], { key: backend.readOnlyKey })).stdout).toBe("A=1\n");
    const { code, stderr } = await env(["set", "B", "1"], { key: backend.readOnlyKey });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^✖ You do not have permission to perform this operation/);
  });

  it("4.3 a bad key: set is 401, list reconnects without it and fails", async () => {
    const set = await env(["set", "B", "1"], { key: backend.badKey });
    expect(set.code).toBe(1);
    expect(set.stderr).toContain(
      "401 Unauthorized: BadAdminKey: The provided admin key was invalid for this instance\nAuthenticate with `npx convex dev`",
    );
    const list = await env(["list"], { key: backend.badKey });
    expect(list.code).toBe(1);
    expect(list.stdout).toContain("Attempting reconnect in");
    expect(list.stderr).toContain(
      'Failed to authenticate: "The provided admin key was invalid for this instance", check your server auth config',
    );
    expect(list.stderr).toContain("Operation query not permitted");
  });
});
