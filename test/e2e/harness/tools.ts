import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "..", "..", "..");

/** Where .ci/run keeps a tool of a version. */
function cacheOf(tool: string, version: string): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(cache, "convex-selfhost-action", `${tool}-${version}`);
}

function versionOf(tool: string): string {
  const line = readFileSync(join(root, ".ci", "tools.env"), "utf8").match(new RegExp(`^${tool}=(.+)$`, "m"));
  if (line?.[1] === undefined) throw new Error(`.ci/tools.env does not name ${tool}`);
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
  const cached = join(cacheOf("act", versionOf("ACT")), "act");
  const found = executable(cached) ? cached : onPath("act");
  if (found === undefined) throw new Error("act is missing; .ci/run installs it");
  return found;
}

/** Caddy with its Docker plugin. */
export function caddy(): string {
  const name = "caddy-docker-proxy";
  const cached = join(cacheOf(name, versionOf("CADDY_DOCKER_PROXY")), name);
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
