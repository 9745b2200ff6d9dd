/**
 * This repository's own workflows for releases and for the catalogue, against a local remote, a server that speaks GitHub's
 * API, and a played `gh`. Left out of them here is what CI runs by itself: npm ci, the build and the tests.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { TARGETS } from "../../bin/catalogue/plan.ts";
import { notReleased, pinsOf } from "../../bin/pin-workflows.ts";
import { systemExec } from "../../src/system/exec.ts";
import { CatalogueServer } from "../unit/bin/catalogue-server.ts";
import { type ActRun, act } from "./harness/act.ts";
import { root, tool } from "./harness/tools.ts";
import { world } from "./harness/world.ts";
import type { Call } from "./platforms.ts";
import { expectNoLeaks, test } from "./support.ts";

const TOKEN = "ghs_sentinel0123456789";
const REPOSITORY = "https://github.com/convex-selfhost/action";

async function git(folder: string, ...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=e2e", "-c", "user.email=e2e@example.com"];
  const result = await systemExec.run(tool("git"), ["-C", folder, ...identity, ...args]);
  if (result.exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${result.stderr}`);
  return result.stdout.trim();
}

interface Own {
  readonly project: string;
  /** What stands for the repository on GitHub. */
  readonly remote: string;
  readonly log: string;
  calls(): readonly Call[];
  run(
    workflow: string,
    env?: Readonly<Record<string, string>>,
    inputs?: Readonly<Record<string, string>>,
  ): Promise<ActRun>;
}

/** A clone of this repository as it is now, ready to become 1.2.3. */
async function clone(): Promise<Own> {
  const folder = mkdtempSync(join(world().scratch, "own-"));
  const [project, remote, log] = [join(folder, "project"), join(folder, "remote.git"), join(folder, "calls")];
  for (const path of [".github", "bin", "src", "dist/project"])
    cpSync(join(root, path), join(project, path), { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) {
    const text = readFileSync(join(root, file), "utf8").replace(/^ {2}"version": ".*"/m, '  "version": "1.2.3"');
    writeFileSync(join(project, file), text);
  }
  writeFileSync(join(project, "CHANGELOG.md"), "# Changes\n\n## 1.2.3 (2026-12-01)\n\n- A note of the release.\n");
  for (const name of ["release.yml", "catalogue.yml"]) {
    const path = join(project, ".github/workflows", name);
    const left = readFileSync(path, "utf8").replace(
      /^( +- run: )(npm (?:ci|test|run build -- --check))$/gm,
      '$1echo "$2"',
    );
    // The local runner copies the checkout: to git every file has changed until it has looked again.
    const looked = left.replace("git apply --index", "git update-index -q --refresh\n          git apply --index");
    writeFileSync(path, looked.replace(/^ +(npm ci|npm run build|npx vitest .*)\n/gm, ""));
  }
  mkdirSync(remote);
  await git(remote, "init", "-q", "--bare", "-b", "main");
  await git(project, "init", "-q", "-b", "main");
  await git(project, "remote", "add", "origin", REPOSITORY);
  await git(project, "config", `url.${remote}.insteadOf`, REPOSITORY);
  await git(project, "add", "-A");
  await git(project, "commit", "-qm", "A");
  await git(project, "push", "-q", "origin", "main");
  const calls = (): Call[] =>
    existsSync(log)
      ? readFileSync(log, "utf8")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as Call)
      : [];
  const run: Own["run"] = async (workflow, env = {}, inputs = {}) =>
    await act({
      ...{ project, workflow: join(project, ".github/workflows", workflow), timeoutMs: 280_000 },
      event: { name: "workflow_dispatch", payload: { inputs } },
      args: Object.entries(inputs).flatMap(([name, value]) => ["--input", `${name}=${value}`]),
      secrets: { GITHUB_TOKEN: TOKEN },
      env: { RECORDER_LOG: log, DOUBLE_ARTIFACTS: join(folder, "artifacts"), ...env },
    });
  return { project, remote, log, calls, run };
}

describe("the workflow for releases", () => {
  test("makes commit B, attests it, and publishes both tags and the notes", async () => {
    const own = await clone();
    const run = await own.run("release.yml", {}, { version: "1.2.3" });
    expect(run.exitCode, run.log).toBe(0);
    const a = await git(own.project, "rev-parse", "main");
    expect(await git(own.remote, "rev-parse", "v1.2.3^{commit}^")).toBe(a);
    expect(await git(own.remote, "rev-parse", "v1^{commit}")).toBe(
      await git(own.remote, "rev-parse", "v1.2.3^{commit}"),
    );
    expect(await git(own.remote, "rev-parse", "main")).toBe(a);
    const released = join(own.remote, "..", "released");
    await git(own.remote, "worktree", "add", "--detach", released, "v1.2.3");
    expect(await notReleased(released)).toEqual([]);
    for (const { commit, version } of await pinsOf(released)) expect([commit, version]).toEqual([a, "v1.2.3"]);
    expect(run.log).toMatch(/double of actions\/attest: .*dist\/\*\/\*\.js/);
    expect(own.calls().map(({ command }) => command)).toEqual(["gh auth setup-git", "gh release create"]);
    const [, create] = own.calls();
    expect(create).toMatchObject({
      options: { "--title": "v1.2.3", "--verify-tag": true },
      files: { "notes.md": "- A note of the release.\n" },
    });
    expectNoLeaks(run, "prove", { TOKEN });
  });

  test("publishes nothing for a version that the files do not have", async () => {
    const own = await clone();
    const run = await own.run("release.yml", {}, { version: "1.2.4" });
    expect(run.exitCode).not.toBe(0);
    expect(run.log).toContain("package.json says 1.2.3, not 1.2.4");
    expect(own.calls()).toEqual([]);
    expect(await git(own.remote, "tag")).toBe("");
  });
});

describe("the workflow for the catalogue", () => {
  const commit = `abcdef0${"0".repeat(33)}`;
  const sum = (digit: string): string => `sha256:${digit.repeat(64)}`;
  const assets = Object.fromEntries(TARGETS.map((target) => [`convex-local-backend-${target}.zip`, sum("a")]));
  const refresh = async (own: Own, releases: Record<string, Record<string, string>>): Promise<ActRun> => {
    const published = { releases, commits: { abcdef0: commit }, images: { [commit]: sum("b") } };
    const server = await new CatalogueServer(published).listen();
    try {
      return await own.run("catalogue.yml", { GITHUB_API_URL: server.url, REGISTRY_URL: server.url });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  };

  test("proposes a new release as a pull request that changes the catalogue alone", async () => {
    const own = await clone();
    const run = await refresh(own, { "precompiled-2026-12-01-abcdef0": assets });
    expect(run.exitCode, run.log).toBe(0);
    const main = await git(own.remote, "rev-parse", "main");
    expect(await git(own.remote, "rev-parse", "catalogue^")).toBe(main);
    expect(await git(own.remote, "diff", "--name-only", "main", "catalogue")).toBe("src/backend/pins.json");
    expect(await git(own.remote, "show", "catalogue:src/backend/pins.json")).toContain(commit);
    expect(own.calls().map(({ command }) => command)).toEqual(["gh auth setup-git", "gh pr list", "gh pr create"]);
    expect(own.calls().at(-1)?.files["changes.md"]).toContain("2026-12-01-abcdef0");
    expectNoLeaks(run, "refresh", { TOKEN });
  });

  test("proposes nothing when nothing is new, and stops when a digest has changed", async () => {
    const own = await clone();
    const same = await refresh(own, {});
    expect(same.exitCode, same.log).toBe(0);
    const changed = await refresh(own, { "precompiled-2026-10-06-a3538c6": assets });
    expect(changed.exitCode).not.toBe(0);
    expect(changed.log).toMatch(/asset for .* has changed/);
    expect(own.calls()).toEqual([]);
    expect(await git(own.remote, "branch", "--list", "catalogue")).toBe("");
  });
});
