import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeFolders } from "../../../src/system/folders.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "folders-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

it("makes what is missing, with the wanted rights, and takes what is there", async () => {
  const path = join(root, "a", "b", "c");
  makeFolders(path, 0o700);
  makeFolders(path, 0o700);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  await symlink(path, join(root, "link"));
  makeFolders(join(root, "link"));
  makeFolders("/");
});

it("ends where a file is in the way", async () => {
  await writeFile(join(root, "file"), "");
  expect(() => makeFolders(join(root, "file"))).toThrow(/EEXIST/);
  expect(() => makeFolders(join(root, "file", "x", "y"))).toThrow(/ENOTDIR|EEXIST/);
});

it.runIf(process.platform === "linux").each(["/proc/nothing", "/proc/nothing/at/all"])(
  "ends where none can be made: %s",
  (path) => {
    expect(() => makeFolders(path)).toThrow(/ENOENT/);
  },
);
