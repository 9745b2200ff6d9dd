import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAdminKey } from "../../standin/admin-keys.ts";
import { buildImageContext, buildStandin } from "../../standin/bundle.ts";

const run = promisify(execFile);
const secret = "01".repeat(32);
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "bundle-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

// the bundle's first line asks for `node`
const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: "/nonexistent", NO_COLOR: "1" };

describe("the bundled stand-in", { timeout: 60_000 }, () => {
  it("is one executable file that runs alone, the same each time", async () => {
    const file = await buildStandin(join(directory, "a", "b"));
    expect(file).toBe(join(directory, "a", "b", "convex-local-backend"));
    expect(statSync(file).mode & 0o777).toBe(0o755);
    expect((await run(file, ["--version"], { env })).stdout).toBe("local_backend unknown\n");
    expect((await run(file, ["--help"], { env })).stdout).toContain("a test double");
    const again = await buildStandin(join(directory, "c"));
    expect(readFileSync(again).equals(readFileSync(file))).toBe(true);
  });

  it("is laid out as an image whose scripts make keys", async () => {
    const context = await buildImageContext(join(directory, "image"));
    const data = join(directory, "data");
    const script = join(context, "generate_admin_key.sh");
    const first = await run(script, { env: { ...env, DATA_DIR: data, INSTANCE_NAME: "lab", INSTANCE_SECRET: secret } });
    expect(first.stderr).toBe("Admin key:\n");
    const [name, hex = ""] = first.stdout.trim().split("|");
    expect(name).toBe("lab");
    expect(openAdminKey(hex, Buffer.from(secret, "hex"))).toMatchObject({ kind: "admin" });
    expect(readFileSync(join(data, "credentials", "instance_secret"), "utf8")).toBe(`${secret}\n`);
    const dockerfile = readFileSync(join(context, "Dockerfile"), "utf8");
    expect(dockerfile).toContain('ENTRYPOINT ["./run_backend.sh"]');
    expect(dockerfile).not.toMatch(/^(?:HEALTHCHECK|STOPSIGNAL)/m);
    const bad = run(script, { env: { ...env, DATA_DIR: data, INSTANCE_SECRET: "zz" } });
    await expect(bad).rejects.toMatchObject({
      code: 1,
      stderr: "Error: Couldn't hexdecode key\n\nCaused by:\n    Invalid character 'z' at position 0\n",
    });
  });
});
