/**
 * Which folder stands for which `owner/name@ref` when workflows run here: our own actions, by the tag that callers name
 * and by the commit that the reusable workflows name, and doubles for the actions of others.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PLACEHOLDER } from "../../../bin/pin-workflows.ts";
import { root } from "./tools.ts";

const SLUG = "convex-selfhost/action";
const doubles = join(root, "test/doubles");

/** `owner/name` of every double. */
export function doubled(): string[] {
  const owners = readdirSync(doubles, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return owners.flatMap(({ name: owner }) => readdirSync(join(doubles, owner)).map((name) => `${owner}/${name}`));
}

/** Every double as an action that a runner can carry out: what it accepts, and the one program that checks it. */
export function buildDoubles(folder: string): void {
  for (const slug of doubled()) {
    cpSync(join(doubles, slug), join(folder, slug), { recursive: true });
    const actions = readdirSync(join(doubles, slug), { recursive: true, encoding: "utf8" });
    for (const file of actions.filter((path) => path.endsWith("action.yml")))
      cpSync(join(doubles, "double.js"), join(folder, slug, file, "..", "double.js"));
  }
}

/** Refs by which the workflows of a folder name each action. */
function refsIn(folder: string): Set<string> {
  const refs = new Set<string>();
  if (!existsSync(folder)) return refs;
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".yml"))) {
    const text = readFileSync(join(folder, file), "utf8");
    for (const [, slug, ref] of text.matchAll(/uses: *"?([\w.-]+\/[\w.-]+)[\w./-]*@([\w.-]+)/g))
      refs.add(`${slug}@${ref}`);
  }
  return refs;
}

/** Arguments of act. `action` is our actions as a user gets them, `project` the caller's repository. */
export function localRepositories(action: string, project: string): string[] {
  const folder = join(action, "..", "doubles");
  mkdirSync(folder, { recursive: true });
  const known = new Set(doubled());
  const used = [join(action, ".github/workflows"), join(project, ".github/workflows")].flatMap((at) => [...refsIn(at)]);
  const own = [`${SLUG}@v1`, `${SLUG}@${PLACEHOLDER}`].map((name) => `${name}=${action}`);
  const others = used.flatMap((name) => {
    const [slug = ""] = name.split("@");
    return known.has(slug) ? [`${name}=${join(folder, slug)}`] : [];
  });
  return [...new Set([...own, ...others])].flatMap((mapping) => ["--local-repository", mapping]);
}
