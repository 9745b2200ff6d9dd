import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { compareInspections } from "../../../src/snapshot/compare.ts";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import { rewriteSnapshot } from "../../../src/snapshot/rewrite.ts";
import { entriesToLeaveOut, restorability } from "../../../src/snapshot/roads.ts";
import { startStandin } from "../../standin/standin.ts";
import { generateSnapshot } from "../../support/generator.ts";
import { scratch } from "../../support/snapshot.ts";
import { exportZip, importZip } from "../../support/transfer.ts";

it("gives the same bytes for the same seed, and others for another", async () => {
  await using files = await scratch();
  const make = async (name: string, seed: number): Promise<Buffer> => {
    await generateSnapshot(files.path(name), { bytes: 200_000, files: 5, seed });
    return await readFile(files.path(name));
  };
  const first = await make("a", 3);
  expect((await make("b", 3)).equals(first)).toBe(true);
  expect((await make("c", 4)).equals(first)).toBe(false);
});

it("makes what inspects clean, imports, and comes back equal", async () => {
  await using files = await scratch();
  await using standin = await startStandin();
  await generateSnapshot(files.path("a.zip"), { bytes: 200_000, files: 5 });
  const made = await inspectSnapshot(files.path("a.zip"));
  // components without files are what a backend writes, and said
  expect(new Set(made.findings.map(({ kind }) => kind))).toEqual(new Set(["component-storage-empty"]));
  expect(made).toMatchObject({ files: 5, encoding: "uniform" });
  expect(made.documents).toBeGreaterThan(500);
  // the stand-in has none of the components yet
  const upload = files.path("upload.zip");
  await rewriteSnapshot(files.path("a.zip"), upload, entriesToLeaveOut(restorability(made), []));
  expect(await importZip(standin, upload)).toMatchObject({ status: 200 });
  const back = await inspectSnapshot(await exportZip(standin, files.path("b.zip")));
  expect(back.findings.filter(({ level }) => level === "error")).toEqual([]);
  expect(compareInspections(made, back)).toEqual([]);
});
