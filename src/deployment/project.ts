import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { ActionError, messageOf } from "../runner/errors.ts";
import { asRecord } from "./json.ts";
import { findPackageManager } from "./package-manager.ts";

/** The project that is deployed, as the `convex` CLI would see it from its root. */
export interface Project {
  /** Directory of the package.json that names `convex`; the CLI has to run there (contract 5.1). */
  readonly root: string;
  readonly functionsDirectory: string;
  /** The same relative to the root, with forward slashes (`convex`). */
  readonly functionsPath: string;
  readonly cli: { readonly main: string; readonly version: string };
  /** What installs the dependencies of this repository from its lock file. */
  readonly installCommand: string;
}

/**
 * Finds the project at `workingDirectory` or above it.
 * @throws ActionError convex-not-installed, no-convex-folder, convex-json-invalid, working-directory-missing
 */
export async function findProject(workingDirectory: string): Promise<Project> {
  const start = resolve(workingDirectory);
  if (!(await isDirectory(start))) {
    throw new ActionError(
      "working-directory-missing",
      `working-directory: ${start} is no directory.`,
      "Name one that the checkout has; a step with actions/checkout must come before this one.",
    );
  }
  const directories = upwards(start);
  const root = await findRoot(directories);
  if (root === undefined) throw await noProject(start);
  const { installCommand } = await findPackageManager(upwards(root));
  const [functionsPath, cli] = await Promise.all([readFunctionsPath(root), findCli(root, installCommand)]);
  const functionsDirectory = join(root, functionsPath);
  if (!(await isDirectory(functionsDirectory))) {
    throw new ActionError(
      "no-convex-folder",
      `${root} has no folder ${functionsPath}/, where the functions are looked for.`,
      "Set working-directory to the package with the convex folder, name the folder as `functions` in convex.json, or set deploy: false.",
    );
  }
  return { root, functionsDirectory, functionsPath, cli, installCommand };
}

function upwards(start: string): string[] {
  const directories = [start];
  for (let at = start; dirname(at) !== at; at = dirname(at)) directories.push(dirname(at));
  return directories;
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function readManifest(directory: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const path = join(directory, "package.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return asRecord(JSON.parse(text.replace(/^\uFEFF/, "")));
  } catch (error) {
    throw new ActionError(
      "package-json-invalid",
      `${path} is not JSON: ${messageOf(error)}.`,
      "Correct the file; the convex CLI reads it too.",
      { cause: error },
    );
  }
}

function dependenciesOf(manifest: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  // The three that the CLI looks at (contract 5.1; `ensureHasConvexDependency` in the CLI).
  return {
    ...asRecord(manifest["peerDependencies"]),
    ...asRecord(manifest["dependencies"]),
    ...asRecord(manifest["devDependencies"]),
  };
}

async function namesConvex(directory: string): Promise<boolean> {
  const manifest = await readManifest(directory);
  return manifest !== undefined && "convex" in dependenciesOf(manifest);
}

async function findRoot(directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) if (await namesConvex(directory)) return directory;
  return undefined;
}

async function noProject(start: string): Promise<ActionError> {
  const below = await packagesBelow(start);
  return new ActionError(
    "convex-not-installed",
    `No package.json in ${start} or above names convex among its dependencies.`,
    below.length === 0
      ? "Add it with `npm install convex`, set working-directory to the package that has it, or set deploy: false."
      : `Set working-directory: ${below.map((path) => relative(start, path).replaceAll("\\", "/")).join(" or ")}.`,
  );
}

/** Packages that name convex, down to two levels: `packages/backend` in a monorepo. */
async function packagesBelow(start: string): Promise<string[]> {
  const list = async (directory: string): Promise<string[]> => {
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    const wanted = entries.filter((entry) => entry.isDirectory() && !/^(\.|node_modules$)/.test(entry.name));
    return wanted.map((entry) => join(directory, entry.name)).slice(0, 100);
  };
  const first = await list(start);
  const all = [...first, ...(await Promise.all(first.map(list))).flat()];
  const found = await Promise.all(all.map((directory) => namesConvex(directory).catch(() => false)));
  return all.filter((_, index) => found[index]).slice(0, 3);
}

/** The installed CLI, also where a workspace hoisted it; symbolic links (pnpm) are followed by Node itself. */
async function findCli(root: string, installCommand: string): Promise<Project["cli"]> {
  for (const directory of upwards(root)) {
    const home = join(directory, "node_modules", "convex");
    const manifest = await readManifest(home);
    if (manifest === undefined) continue;
    const bin = manifest["bin"];
    const main = join(home, typeof bin === "string" ? bin : String(asRecord(bin)["convex"] ?? "bin/main.js"));
    if (await isFile(main)) return { main, version: String(manifest["version"]) };
  }
  const plugAndPlay = (
    await Promise.all(upwards(root).map((directory) => isFile(join(directory, ".pnp.cjs"))))
  ).includes(true);
  throw new ActionError(
    "convex-not-installed",
    `${root} names convex among its dependencies, but no node_modules/convex is there or above.`,
    plugAndPlay
      ? "Yarn's Plug'n'Play has no node_modules: set `nodeLinker: node-modules` in .yarnrc.yml."
      : `Run \`${installCommand}\` in a step before this one.`,
  );
}

/** `functions` of convex.json; without that file `convex`, or `src/convex` for create-react-app, as the CLI does. */
async function readFunctionsPath(root: string): Promise<string> {
  const path = join(root, "convex.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) {
    const dependencies = dependenciesOf((await readManifest(root)) ?? {});
    return "react-scripts" in dependencies ? "src/convex" : "convex";
  }
  let functions: unknown;
  try {
    functions = asRecord(JSON.parse(text))["functions"];
  } catch (error) {
    throw new ActionError(
      "convex-json-invalid",
      `${path} is not JSON: ${messageOf(error)}.`,
      "Correct the file; comments and a comma behind the last entry are not allowed in it.",
      { cause: error },
    );
  }
  const given = typeof functions === "string" ? functions : "convex/";
  return given.replaceAll("\\", "/").replace(/^\.\//, "").replace(/\/+$/, "");
}
