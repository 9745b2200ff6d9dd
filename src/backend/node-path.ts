import { existsSync } from "node:fs";
import { posix, win32 } from "node:path";
import type { Deps } from "../system/deps.ts";

/** Versions that backends run Node actions with; others are refused or fail at deploy (contract 10, 12). */
const FIT = [20, 22, 24];

export interface NodePath {
  /** The backend's PATH. */
  readonly path: string;
  /** Said once when Node actions will not work. */
  readonly warning?: string;
}

/** The action's own Node. */
export interface OwnNode {
  readonly executable: string;
  readonly version: string;
}

const OWN: OwnNode = { executable: process.execPath, version: process.versions.node };

/** PATH, whose name is spelled `Path` on Windows. */
export function pathOf(env: Deps["env"]): string {
  const name = Object.keys(env).find((key) => key.toUpperCase() === "PATH");
  return (name === undefined ? undefined : env[name]) ?? "";
}

function isFit(version: string): boolean {
  return FIT.includes(Number(/^v?(\d+)\./.exec(version)?.[1]));
}

/**
 * A PATH on which the backend finds a `node` that it can run Node actions with (contract 12): the job's own where it
 * fits, since that is what the user tests with, else the action's.
 */
export async function nodePath(
  deps: Pick<Deps, "env" | "exec" | "platform">,
  exists: (file: string) => boolean = existsSync,
  own: OwnNode = OWN,
): Promise<NodePath> {
  const windows = deps.platform === "win32";
  const { delimiter, join, dirname, basename } = windows ? win32 : posix;
  const path = pathOf(deps.env);
  const name = windows ? "node.exe" : "node";
  const node = path
    .split(delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, name))
    .find(exists);
  const version = node === undefined ? undefined : await versionOf(node, deps);
  if (version !== undefined && isFit(version)) return { path };
  if (isFit(own.version) && basename(own.executable) === name) {
    return { path: [dirname(own.executable), path].filter((part) => part !== "").join(delimiter) };
  }
  const found = version === undefined ? "No node is" : `node ${version} is the one`;
  return {
    path,
    warning: `${found} on PATH, and the backend runs Node actions with ${FIT.join(", ")} only: functions with "use node" will fail with an unrelated-looking error. Put actions/setup-node before this step.`,
  };
}

async function versionOf(node: string, deps: Pick<Deps, "exec">): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await deps.exec.run(node, ["--version"], { timeoutMs: 5000 });
    return exitCode === 0 ? stdout.trim() : undefined;
  } catch {
    return undefined;
  }
}
