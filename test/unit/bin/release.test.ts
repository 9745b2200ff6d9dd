import { cp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { notReleased, pinsOf } from "../../../bin/pin-workflows.ts";
import { movesMajor, notesOf, obstacles, tagRelease } from "../../../bin/release.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { scratch } from "../../support/scratch.ts";

const root = resolve(import.meta.dirname, "../../..");

async function git(folder: string, ...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
  const result = await systemExec.run("git", ["-C", folder, ...identity, ...args]);
  if (result.exitCode !== 0) throw new Error(result.stderr);
  return result.stdout.trim();
}

/** A clone as it is before a release of 1.2.3. */
async function clone(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await scratch("release");
  await cp(join(root, ".github"), join(folder, ".github"), { recursive: true });
  const version = '{ "version": "1.2.3" }\n';
  const all = {
    "package.json": version,
    "package-lock.json": version,
    "CHANGELOG.md": "# Changes\n\n## 1.2.3 (2026-12-01)\n\n- New.\n\n## 1.2.2 (2026-11-01)\n\n- Old.\n",
    ...files,
  };
  for (const [path, text] of Object.entries(all)) await writeFile(join(folder, path), text);
  await git(folder, "init", "-q", "-b", "main");
  await git(folder, "add", "-A");
  await git(folder, "commit", "-qm", "A");
  return folder;
}

describe("a release", () => {
  it("is commit B with its tag on top of A, and main stays at A", async () => {
    const folder = await clone();
    const a = await git(folder, "rev-parse", "main");
    expect(await obstacles(folder, "1.2.3")).toEqual([]);
    await tagRelease(folder, "1.2.3");
    expect(await git(folder, "rev-parse", "v1.2.3^{commit}^")).toBe(a);
    expect(await git(folder, "rev-parse", "main")).toBe(a);
    expect(await notReleased(folder)).toEqual([]);
    for (const { commit, version } of await pinsOf(folder)) expect([commit, version]).toEqual([a, "v1.2.3"]);
  });

  it.each<[string, Record<string, string>, string, string]>([
    ["another version in package.json", { "package.json": '{"version":"1.2.4"}' }, "1.2.3", "package.json says 1.2.4"],
    ["another version in the lock file", { "package-lock.json": '{"version":"1.0.0"}' }, "1.2.3", "package-lock.json"],
    ["no section in the changelog", { "CHANGELOG.md": "# Changes\n" }, "1.2.3", "CHANGELOG.md has no section"],
    [
      "an unreleased section",
      { "CHANGELOG.md": "## 1.2.3 (unreleased)\n\n- x\n" },
      "1.2.3",
      "CHANGELOG.md has no section",
    ],
    ["something that is no version", {}, "v1.2.3", "is no version"],
    ["a script for a version", {}, "1.2.3; rm -rf", "is no version"],
  ])("is refused for %s", async (_, files, version, why) => {
    expect((await obstacles(await clone(files), version)).join()).toContain(why);
  });

  it("is refused for a tag that is there, and for a checkout with changes", async () => {
    const folder = await clone();
    await tagRelease(folder, "1.2.3");
    await writeFile(join(folder, "new"), "");
    const wrong = (await obstacles(folder, "1.2.3")).join();
    expect(wrong).toContain("v1.2.3 is there already");
    expect(wrong).toContain("has changes");
  });
});

describe("the notes", () => {
  it("are the version's own section", async () => {
    const text = await readFile(join(await clone(), "CHANGELOG.md"), "utf8");
    expect(notesOf(text, "1.2.3")).toBe("- New.");
    expect(notesOf(text, "1.2")).toBeUndefined();
  });
});

describe("the major tag", () => {
  it("moves to a newer release, and not back when an older line gets a fix", () => {
    expect(movesMajor("1.2.3", ["v1.2.2", "v1.0.0", "v2.0.0", "v1", ""])).toBe(true);
    expect(movesMajor("1.1.9", ["v1.2.2"])).toBe(false);
    expect(movesMajor("1.10.0", ["v1.9.0"])).toBe(true);
  });
});
