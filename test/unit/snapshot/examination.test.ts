import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkProcessor, examine } from "../../../src/snapshot/examination.ts";
import { scratch } from "../../support/snapshot.ts";

it("takes this processor", () => {
  expect(checkProcessor).not.toThrow();
});

it.skipIf(process.arch !== "x64")("names one that cannot run the scanner, before and while it is needed", async () => {
  const source = (name: string): string => JSON.stringify(join(import.meta.dirname, "../../../src/snapshot", name));
  const program = `
    const { checkProcessor, examine } = await import(${source("examination.ts")});
    try { checkProcessor(); } catch ({ code }) { console.log(code); }
    await examine(process.argv[1]).catch(({ code }) => console.log(code));`;
  const old = ["--no-enable-ssse3", "--no-enable-sse4-1"];
  const args = [
    ...old,
    "--input-type=module",
    "--eval",
    program,
    join(import.meta.dirname, "../../fixtures/snapshots/plain.zip"),
  ];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(stdout, stderr).toBe("processor-unfit\nprocessor-unfit\n");
});

it("names a snapshot that cannot be read back: one that is gone, or something else in its place", async () => {
  await using files = await scratch();
  await mkdir(files.path("folder.zip"));
  for (const [name, code] of [
    ["gone.zip", "ENOENT"],
    ["folder.zip", "EISDIR"],
  ] as const) {
    await expect(examine(files.path(name))).rejects.toMatchObject({
      code: "disk-unreadable",
      message: expect.stringMatching(new RegExp(`${name} cannot be read back: ${code}`)),
      hint: expect.stringContaining("RUNNER_TEMP"),
    });
  }
});
