import { readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { asRecord } from "../deployment/json.ts";
import { findPackageManager, headOf, type PackageManager } from "../deployment/package-manager.ts";
import { ActionError } from "../runner/errors.ts";

/** What a workflow needs to know to prepare a project; paths are relative to the workspace, with forward slashes. */
export interface Toolchain {
  readonly packageManager: PackageManager["name"];
  readonly installCommand: string;
  /** Runs the script `test` of package.json. */
  readonly testCommand: string;
  /** Empty where there is none. */
  readonly lockFile: string;
  /** `.nvmrc` and its kin; empty where there is none. */
  readonly nodeVersionFile: string;
  /** Only where no file says it. */
  readonly nodeVersion: string;
  /** For pnpm/action-setup; empty where package.json names the package manager itself, which it then obeys. */
  readonly pnpmVersion: string;
  /** package.json names a package manager, so corepack can provide it. */
  readonly corepack: boolean;
}

/** Node actions of a release binary run with Node 20, 22 or 24 (contract 10). */
const DEFAULT_NODE = "24";
const NODE_VERSION_FILES = [".nvmrc", ".node-version", ".tool-versions"];

/** `lockfileVersion` → the newest major of pnpm that writes it. */
const PNPM_OF_LOCK_FILE: Readonly<Record<string, string>> = { "5.3": "6", "5.4": "7", "6.0": "8", "9.0": "10" };

/** From `from` up to `workspace`; what lies above is not the repository's. */
function upwards(from: string, workspace: string): string[] {
  const directories = [from];
  for (let at = from; at !== workspace && dirname(at) !== at; at = dirname(at)) directories.push(dirname(at));
  return directories;
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function nodeVersionFile(directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    for (const name of NODE_VERSION_FILES) {
      const path = join(directory, name);
      const text = await readFile(path, "utf8").catch(() => undefined);
      if (text !== undefined && (name !== ".tool-versions" || /^nodejs\s/m.test(text))) return path;
    }
  }
  return undefined;
}

/** The nearest package.json that says which package manager it wants. */
async function namedPackageManager(directories: readonly string[]): Promise<boolean> {
  for (const directory of directories) {
    const text = await readFile(join(directory, "package.json"), "utf8").catch(() => "{}");
    try {
      if (typeof asRecord(JSON.parse(text))["packageManager"] === "string") return true;
    } catch {
      // The install says it better, with the place in the file.
    }
  }
  return false;
}

async function pnpmOf(lockFile: string): Promise<string> {
  const [, version = ""] = /^lockfileVersion:\s*'?"?(\d+\.\d+)/m.exec(await headOf(lockFile)) ?? [];
  return PNPM_OF_LOCK_FILE[version] ?? "10";
}

/**
 * Finds out how the repository at `workspace` is installed, from the files that it has.
 * @throws ActionError `working-directory-missing`
 */
export async function findToolchain(workspace: string, workingDirectory: string): Promise<Toolchain> {
  const top = resolve(workspace);
  const start = resolve(top, workingDirectory);
  if (!(await isDirectory(start))) {
    throw new ActionError(
      "working-directory-missing",
      `working-directory: ${start} is no directory.`,
      "Name one that the checkout has; a step with actions/checkout must come before this one.",
    );
  }
  const directories = upwards(start, top);
  const [manager, versionFile, named] = await Promise.all([
    findPackageManager(directories),
    nodeVersionFile(directories),
    namedPackageManager(directories),
  ]);
  const shown = (path: string | undefined): string =>
    path === undefined ? "" : relative(top, path).replaceAll("\\", "/");
  const { name, lockFile, installCommand } = manager;
  return {
    packageManager: name,
    installCommand,
    testCommand: name === "bun" ? "bun run test" : `${name} test`,
    lockFile: shown(lockFile),
    nodeVersionFile: shown(versionFile),
    nodeVersion: versionFile === undefined ? DEFAULT_NODE : "",
    pnpmVersion: name === "pnpm" && lockFile !== undefined && !named ? await pnpmOf(lockFile) : "",
    corepack: name === "yarn" && named,
  };
}
