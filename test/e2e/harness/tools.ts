import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "..", "..", "..");

/** Where .ci/run keeps a tool of a version. */
function cacheOf(tool: string, version: string): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(cache, "convex-selfhost-action", `${tool}-${version}`);
}

/** @param pattern with the version in parentheses */
function versionIn(file: string, pattern: RegExp): string {
  const line = pattern.exec(readFileSync(join(root, file), "utf8"));
  if (line?.[1] === undefined) throw new Error(`${file} has nothing like ${pattern}`);
  return line[1];
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function onPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return [...folders, "/usr/sbin", "/sbin"].map((folder) => join(folder, name)).find(executable);
}

export function act(): string {
  const cached = join(cacheOf("act", versionIn(".ci/tools.env", /^ACT=(.+)$/m)), "act");
  const found = executable(cached) ? cached : onPath("act");
  if (found === undefined) throw new Error("act is missing; .ci/run installs it");
  return found;
}

/** Caddy with its Docker plugin. */
export function caddy(): string {
  const name = "caddy-docker-proxy";
  const version = versionIn("test/e2e/caddy/go.mod", /\/caddy-docker-proxy\/v2 v(.+)$/m);
  const cached = join(cacheOf(name, version), name);
  const found = executable(cached) ? cached : onPath(name);
  if (found === undefined) throw new Error(`${name} is missing; .ci/run installs it`);
  return found;
}

/** The path of a system tool. */
export function tool(name: string): string {
  const found = onPath(name);
  if (found === undefined) throw new Error(`${name} is missing; .ci/run installs it`);
  return found;
}
