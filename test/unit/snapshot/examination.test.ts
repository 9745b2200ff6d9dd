import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkProcessor } from "../../../src/snapshot/examination.ts";

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
