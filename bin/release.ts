/**
 * A release, in the two steps of .github/workflows/release.yml. It needs Node and git, and no package of others: nothing
 * but this repository's own code runs where the token that may write is.
 *
 *     node bin/release.ts check <version>   fails unless the checkout may become that release; prints its notes
 *     node bin/release.ts tag <version>     makes commit B on top of HEAD and the tag v<version> on it
 *     node bin/release.ts major <version>   moves v<major> to it, unless a newer release of that major has it
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { systemExec } from "../src/system/exec.ts";
import { notReleased, pin } from "./pin-workflows.ts";

const VERSION = /^(\d+)\.(\d+)\.(\d+)$/;

async function git(root: string, ...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=github-actions[bot]"];
  identity.push("-c", "user.email=41898282+github-actions[bot]@users.noreply.github.com");
  const result = await systemExec.run("git", ["-C", root, ...identity, ...args]);
  if (result.exitCode !== 0) throw new Error(`git ${args[0]}: ${result.stderr.trim()}`);
  return result.stdout.trim();
}

async function versionIn(root: string, file: string): Promise<string> {
  return (JSON.parse(await readFile(join(root, file), "utf8")) as { version: string }).version;
}

/** The section of CHANGELOG.md for a version; undefined when there is none, or it says "unreleased". */
export function notesOf(changelog: string, version: string): string | undefined {
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => text.startsWith(`${version} `));
  if (section === undefined || !/^\S+ \(\d{4}-\d{2}-\d{2}\)\n/.test(section)) return undefined;
  return section.slice(section.indexOf("\n") + 1).trim();
}

const tagsOf = async (root: string): Promise<string[]> => (await git(root, "tag", "--list", "v*")).split("\n");

/** What speaks against making HEAD the release; empty: nothing. */
export async function obstacles(root: string, version: string): Promise<string[]> {
  if (!VERSION.test(version)) return [`${version} is no version: major.minor.patch`];
  const wrong: string[] = [];
  for (const file of ["package.json", "package-lock.json"]) {
    const found = await versionIn(root, file);
    if (found !== version) wrong.push(`${file} says ${found}, not ${version}`);
  }
  const changelog = await readFile(join(root, "CHANGELOG.md"), "utf8");
  if (notesOf(changelog, version) === undefined)
    wrong.push(`CHANGELOG.md has no section "## ${version} (<date>)" with notes`);
  if ((await tagsOf(root)).includes(`v${version}`)) wrong.push(`the tag v${version} is there already`);
  if ((await git(root, "status", "--porcelain")) !== "") wrong.push("the checkout has changes");
  return wrong;
}

/** Commit B and its tag, in this clone only. HEAD is A. */
export async function tagRelease(root: string, version: string): Promise<void> {
  const a = await git(root, "rev-parse", "HEAD");
  await git(root, "checkout", "--quiet", "--detach");
  await pin(root, a, `v${version}`);
  await git(root, "commit", "--quiet", "--all", "-m", `Release ${version}: the workflows name the actions of ${a}`);
  const wrong = await notReleased(root);
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  await git(root, "tag", "--annotate", `v${version}`, "-m", `v${version}`);
}

/** Whether v<major> should move to that version: not back, when an older line gets a fix. */
export function movesMajor(version: string, tags: readonly string[]): boolean {
  const numbers = (text: string): number[] => (VERSION.exec(text) ?? []).slice(1).map(Number);
  const [major, minor = 0, patch = 0] = numbers(version);
  return !tags
    .map((tag) => numbers(tag.replace(/^v/, "")))
    .some(([a, b = 0, c = 0]) => a === major && (b > minor || (b === minor && c > patch)));
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, "..");
  const [step = "", version = ""] = process.argv.slice(2);
  if (step === "check") {
    const wrong = await obstacles(root, version);
    const notes = notesOf(await readFile(join(root, "CHANGELOG.md"), "utf8"), version);
    process.stdout.write(wrong.length === 0 ? `${notes}\n` : `${wrong.join("\n")}\n`);
    process.exitCode = wrong.length === 0 ? 0 : 1;
  } else if (step === "tag") {
    await tagRelease(root, version);
  } else if (step === "major") {
    const major = `v${version.split(".")[0]}`;
    if (movesMajor(version, await tagsOf(root))) await git(root, "tag", "--force", major, `v${version}^{commit}`);
    process.stdout.write(`${major}\n`);
  } else {
    throw new Error("check, tag or major");
  }
}
