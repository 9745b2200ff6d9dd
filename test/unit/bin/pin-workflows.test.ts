import { cp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { misformed, notReleased, PLACEHOLDER, pin, pinsOf } from "../../../bin/pin-workflows.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { scratch } from "../../support/scratch.ts";

const root = resolve(import.meta.dirname, "../../..");

async function git(folder: string, ...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
  const result = await systemExec.run("git", ["-C", folder, ...identity, ...args]);
  if (result.exitCode !== 0) throw new Error(result.stderr);
  return result.stdout.trim();
}

/** Commit A of a release: workflows and a bundle. */
async function commitA(): Promise<string> {
  const folder = await scratch("release");
  await cp(join(root, ".github"), join(folder, ".github"), { recursive: true });
  await cp(join(root, "dist/doctor"), join(folder, "dist/doctor"), { recursive: true });
  await git(folder, "init", "-q", "-b", "main");
  await git(folder, "config", "core.autocrlf", "false");
  await git(folder, "add", "-A");
  await git(folder, "commit", "-qm", "A");
  await pin(folder, PLACEHOLDER, "unreleased");
  return folder;
}

async function commitB(folder: string): Promise<string> {
  const a = await git(folder, "rev-parse", "HEAD");
  await pin(folder, a, "v1.0.0");
  await git(folder, "commit", "-qam", "B");
  return a;
}

describe("the commit that the workflows name", () => {
  it("is one for all, in the right form, in this repository", async () => {
    const pins = await pinsOf(root);
    expect(pins.length).toBeGreaterThan(5);
    expect(misformed(pins)).toEqual([]);
  });

  it("is called wrong without its comment, as a tag, cut short, or when there are two", () => {
    const one = { file: "a.yml", action: "convex-selfhost/action", commit: "a".repeat(40), version: "v1.0.0" };
    expect(misformed([one])).toEqual([]);
    expect(misformed([{ ...one, version: "" }])).not.toEqual([]);
    expect(misformed([{ ...one, commit: "v1" }])).not.toEqual([]);
    expect(misformed([{ ...one, commit: PLACEHOLDER }])).not.toEqual([]);
    expect(misformed([one, { ...one, commit: "b".repeat(40) }])).not.toEqual([]);
    expect(misformed([])).not.toEqual([]);
  });
});

describe("a release", () => {
  it("is a commit B that has the dist of A and names A everywhere", async () => {
    const folder = await commitA();
    const a = await commitB(folder);
    expect(await notReleased(folder)).toEqual([]);
    expect(new Set((await pinsOf(folder)).map(({ commit }) => commit))).toEqual(new Set([a]));
    expect(await git(folder, "rev-parse", `${a}:dist`)).toBe(await git(folder, "rev-parse", "HEAD:dist"));
  });

  it("is refused when B changes a bundle", async () => {
    const folder = await commitA();
    await commitB(folder);
    await writeFile(join(folder, "dist/doctor/index.js"), "//");
    await git(folder, "commit", "-qa", "--amend", "-m", "B");
    expect(await notReleased(folder)).toEqual(["HEAD changes more than the names: dist/doctor/index.js"]);
  });

  it("is refused when B changes another line of a workflow", async () => {
    const folder = await commitA();
    await commitB(folder);
    const file = join(folder, ".github/workflows/doctor.yml");
    await writeFile(file, (await readFile(file, "utf8")).replace("issues: write", "contents: write"));
    await git(folder, "commit", "-qa", "--amend", "-m", "B");
    expect((await notReleased(folder)).join()).toContain("contents: write");
  });

  it("is refused when another commit lies between, and before any release", async () => {
    const folder = await commitA();
    expect(await notReleased(folder)).toEqual(["the workflows name no release"]);
    await commitB(folder);
    await git(folder, "commit", "-q", "--allow-empty", "-m", "C");
    expect((await notReleased(folder)).join()).toContain("the parent of HEAD");
  });
});
