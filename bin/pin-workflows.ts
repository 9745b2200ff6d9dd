/**
 * The reusable workflows name our own actions by full commit. A release is two commits: A has actions and dist, and B,
 * its child, differs from A only in that the workflows name A; the tags are on B. On every other commit there is no A
 * to name, and the workflows name a commit that cannot exist: who uses them from a branch is told so by GitHub at once,
 * instead of getting the actions of another state.
 *
 *     node bin/pin-workflows.ts --check             fails unless every workflow names the same commit, in the right form
 *     node bin/pin-workflows.ts <commit> <version>  names that commit
 *     node bin/pin-workflows.ts --release           fails unless HEAD is a B: it differs from the commit that it names
 *                                                   only by that name
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { systemExec } from "../src/system/exec.ts";

export const SLUG = "convex-selfhost/action";
/** A commit that cannot exist. */
export const PLACEHOLDER = "0".repeat(40);
const UNRELEASED = "unreleased";
const FOLDER = ".github/workflows";
const LINE = new RegExp(`^(\\s*(?:- )?uses: )(${SLUG}[\\w/.-]*)@(\\S+)(?: # (.+))?$`, "gm");

export interface Pin {
  readonly file: string;
  readonly action: string;
  readonly commit: string;
  /** The comment behind it. */
  readonly version: string;
}

/** Every `uses:` of our own actions in the workflows of the repository at `root`. */
export async function pinsOf(root: string): Promise<Pin[]> {
  const files = (await readdir(join(root, FOLDER))).filter((name) => name.endsWith(".yml")).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(root, FOLDER, file), "utf8")));
  return texts.flatMap((text, index) =>
    [...text.matchAll(LINE)].map(([, , action = "", commit = "", version = ""]) => ({
      file: files[index] ?? "",
      action,
      commit,
      version,
    })),
  );
}

/** What is wrong with the form; empty: nothing. */
export function misformed(pins: readonly Pin[]): string[] {
  const wrong = pins.flatMap(({ file, action, commit, version }) => {
    const where = `${file}: ${action}@${commit}`;
    if (commit === PLACEHOLDER) return version === UNRELEASED ? [] : [`${where} needs the comment "# ${UNRELEASED}"`];
    if (!/^[0-9a-f]{40}$/.test(commit)) return [`${where} is no full commit`];
    return /^v\d+\.\d+\.\d+$/.test(version) ? [] : [`${where} needs its version as a comment`];
  });
  const names = new Set(pins.map(({ commit, version }) => `${commit} ${version}`));
  if (names.size > 1) wrong.push(`the workflows name more than one commit: ${[...names].join(", ")}`);
  if (pins.length === 0) wrong.push("no workflow names an action of ours");
  return wrong;
}

/** Makes every workflow name `commit`. */
export async function pin(root: string, commit: string, version: string): Promise<void> {
  for (const file of new Set((await pinsOf(root)).map((one) => one.file))) {
    const path = join(root, FOLDER, file);
    const text = await readFile(path, "utf8");
    await writeFile(
      path,
      text.replaceAll(LINE, (_, head: string, action: string) => `${head}${action}@${commit} # ${version}`),
    );
  }
}

async function git(root: string, ...args: string[]): Promise<string> {
  const result = await systemExec.run("git", ["-C", root, ...args]);
  if (result.exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${result.stderr.trim()}`);
  return result.stdout.trim();
}

/** What makes HEAD no release; empty: it is the child of the commit that it names and differs from it by that name alone. */
export async function notReleased(root: string): Promise<string[]> {
  const pins = await pinsOf(root);
  const wrong = misformed(pins);
  const [first] = pins;
  if (wrong.length > 0 || first === undefined) return wrong;
  if (first.commit === PLACEHOLDER) return ["the workflows name no release"];
  const parent = await git(root, "rev-parse", "HEAD^");
  if (parent !== first.commit) return [`the workflows name ${first.commit}, and the parent of HEAD is ${parent}`];
  const changed = (await git(root, "diff", "--name-only", "HEAD^", "HEAD")).split("\n").filter((path) => path !== "");
  const pinned = new Set(pins.map(({ file }) => `${FOLDER}/${file}`));
  const others = changed.filter((path) => !pinned.has(path));
  if (others.length > 0) return [`HEAD changes more than the names: ${others.join(", ")}`];
  const lines = (await git(root, "diff", "--unified=0", "HEAD^", "HEAD")).split("\n");
  const foreign = lines.filter((line) => /^[+-](?![+-])/.test(line) && !line.slice(1).match(LINE));
  return foreign.map((line) => `HEAD changes more than the names: ${line}`);
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, "..");
  const [first = "--check", version = ""] = process.argv.slice(2);
  if (/^[0-9a-f]{40}$/.test(first)) await pin(root, first, version);
  const wrong = first === "--release" ? await notReleased(root) : misformed(await pinsOf(root));
  process.stdout.write(wrong.length === 0 ? "the workflows name what they should\n" : `${wrong.join("\n")}\n`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
