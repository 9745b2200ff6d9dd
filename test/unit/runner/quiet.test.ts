import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";

const QUIET = join(resolve(import.meta.dirname, "../../.."), "test/quiet.ts");

it("lets no command for a runner out of a test", () => {
  const lines = String.raw`::add-mask::secret\n  ::warning::not ours\nstays::here\n::error file=a.ts::gone\nlast`;
  const script = `await import(${JSON.stringify(QUIET)}); process.stdout.write("${lines}"); process.stdout.write("::debug::x");`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] },
  });
  expect(stdout).toBe("stays::here\nlast");
});
