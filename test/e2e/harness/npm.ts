/**
 * `npm ci` of a workflow, without a network: everything comes from the cache that this project's own `npm ci` filled.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The environment in which npm asks nobody. */
export function npmOffline(): Record<string, string> {
  const quiet = { npm_config_audit: "false", npm_config_fund: "false", npm_config_update_notifier: "false" };
  return { ...quiet, npm_config_offline: "true", npm_config_cache: process.env["E2E_NPM_CACHE"] ?? "" };
}

interface Lock {
  packages: Record<string, { version?: string; resolved?: string }>;
}

/** Names each package's archive in the lock file: npm then finds it by its checksum instead of asking for its metadata. */
export function lockToCache(project: string): void {
  const file = join(project, "package-lock.json");
  if (!existsSync(file)) return;
  const lock = JSON.parse(readFileSync(file, "utf8")) as Lock;
  for (const [path, entry] of Object.entries(lock.packages)) {
    const name = path.split("node_modules/").at(-1) ?? "";
    if (name === "" || entry.version === undefined) continue;
    entry.resolved = `https://registry.npmjs.org/${name}/-/${name.split("/").at(-1)}-${entry.version}.tgz`;
  }
  writeFileSync(file, JSON.stringify(lock, undefined, 2));
}
