/** What is bundled and what is called comes from where it should. See docs/threat-model.md. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Package {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly link?: boolean;
}

const lock = JSON.parse(read("package-lock.json")) as { readonly packages: Readonly<Record<string, Package>> };
const manifest = JSON.parse(read("package.json")) as Readonly<Record<string, Readonly<Record<string, string>>>>;
const installed = Object.entries(lock.packages).filter(([path]) => path !== "");

function sources(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

describe("packages", () => {
  it("are named by exact version", () => {
    for (const kind of ["dependencies", "devDependencies", "optionalDependencies"])
      for (const [name, version] of Object.entries(manifest[kind] ?? {}))
        expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it("come from the npm registry, with a checksum each", () => {
    for (const [path, { resolved, integrity, link }] of installed) {
      expect(link, path).toBeUndefined();
      expect(integrity, path).toMatch(/^sha512-/);
      if (resolved !== undefined) expect(resolved, path).toMatch(/^https:\/\/registry\.npmjs\.org\//);
    }
  });

  it("run nothing when they are installed, but for those that are named", () => {
    const scripts = installed
      .filter(([, { hasInstallScript }]) => hasInstallScript === true)
      .map(([path]) => path.replace(/^.*node_modules\//, ""));
    expect(new Set(scripts)).toEqual(
      new Set([...Object.keys(manifest["allowScripts"] ?? {}), "fsevents"].filter((name) => scripts.includes(name))),
    );
  });

  it("are never taken from a scope or a name of our own, which somebody else could register", () => {
    for (const [path] of installed) expect(path).not.toMatch(/convex-selfhost/);
    expect(manifest["private"]).toBe(true);
  });
});

describe("processes", () => {
  it("are started in two places of the sources, and never through a shell", () => {
    const starting = sources("src").filter((path) => /from "(node:)?child_process"/.test(readFileSync(path, "utf8")));
    expect(starting.map((path) => path.slice(root.length + 1)).sort()).toEqual(ALLOWED);
    for (const path of sources("src"))
      expect(readFileSync(path, "utf8"), path).not.toMatch(/\bshell: *(true|")|\bexecSync\b|from "node:vm"/);
  });
});

/** Where processes are started: everything else goes through the first. */
const ALLOWED = ["src/backend/binary.ts", "src/system/exec.ts"];

describe("workflows", () => {
  const files = [".github/workflows", "workflows-templates"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".yml"))
      .map((name) => `${folder}/${name}`),
  );

  it.each(files)("%s runs by no event that gives a stranger's code our secrets", (path) => {
    expect(read(path)).not.toMatch(/^\s*(pull_request_target|workflow_run|issue_comment):/m);
  });

  it.each(files)("%s names actions of others by full commit and version", (path) => {
    for (const [line, slug] of read(path).matchAll(/^.*\buses: *["']?([\w.-]+\/[\w./-]+)@.*$/gm))
      if (slug?.startsWith("convex-selfhost/action") !== true) expect(line).toMatch(/@[0-9a-f]{40} # v?\d+(\.\d+)+$/);
  });

  it.each(files)("%s lets no pipe swallow a failure: the runner's own choice of shell has no pipefail", (path) => {
    const { jobs } = parse(read(path)) as { jobs: Record<string, { steps?: { run?: string; shell?: string }[] }> };
    for (const { run = "", shell } of Object.values(jobs).flatMap(({ steps = [] }) => steps))
      if (/[^|]\|[^|]/.test(run)) expect(shell, run).toBe("bash");
  });

  it.each(files)("%s hands all secrets to nobody by toJSON", (path) => {
    expect(read(path)).not.toMatch(/toJSON\(secrets\)|secrets\[/);
  });
});
