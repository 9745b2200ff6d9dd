import { open, stat } from "node:fs/promises";
import { join } from "node:path";

/** What installs the dependencies of a repository. */
export interface PackageManager {
  readonly name: "npm" | "pnpm" | "yarn" | "bun";
  /** Installs exactly what the lock file says; without one, what package.json allows. */
  readonly installCommand: string;
  /** Absolute; absent where there is no lock file. */
  readonly lockFile?: string;
}

const LOCK_FILES: readonly (readonly [string, PackageManager["name"], string])[] = [
  ["pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile"],
  ["yarn.lock", "yarn", "yarn install --immutable"],
  ["bun.lock", "bun", "bun install --frozen-lockfile"],
  ["bun.lockb", "bun", "bun install --frozen-lockfile"],
  ["package-lock.json", "npm", "npm ci"],
  ["npm-shrinkwrap.json", "npm", "npm ci"],
];

/** The first KiB of a lock file: its head tells the format. */
export async function headOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    return buffer.subarray(0, bytesRead).toString("utf8");
  } finally {
    await file.close();
  }
}

/** The lock file that is found first decides. Yarn 1 does not know the option of its successors. */
export async function findPackageManager(directories: readonly string[]): Promise<PackageManager> {
  for (const directory of directories) {
    for (const [file, name, command] of LOCK_FILES) {
      const lockFile = join(directory, file);
      const found = await stat(lockFile).catch(() => undefined);
      if (found?.isFile() !== true) continue;
      const classic = name === "yarn" && (await headOf(lockFile)).includes("# yarn lockfile v1");
      return { name, lockFile, installCommand: classic ? "yarn install --frozen-lockfile" : command };
    }
  }
  return { name: "npm", installCommand: "npm install" };
}
