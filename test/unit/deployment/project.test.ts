import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findProject } from "../../../src/deployment/project.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { directoryWith } from "./support.ts";

const MANIFEST = JSON.stringify({ dependencies: { convex: "^1.48.0" } });
const cli = (at: string, version = "1.48.0", bin: unknown = { convex: "bin/main.js" }): Record<string, string> => ({
  [`${at}node_modules/convex/package.json`]: JSON.stringify({ version, bin }),
  [`${at}node_modules/convex/bin/main.js`]: "",
});
const APP = { "package.json": MANIFEST, "convex/a.ts": "", "package-lock.json": "{}", ...cli("") };

async function refusal(directory: string): Promise<ActionError> {
  const error: unknown = await findProject(directory).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ActionError);
  return error as ActionError;
}

describe("a project", () => {
  it("is found from a directory below its root", async () => {
    await using app = await directoryWith({ ...APP, "convex/deep/b.ts": "" });
    expect(await findProject(join(app.path, "convex/deep"))).toEqual({
      root: app.path,
      functionsDirectory: join(app.path, "convex"),
      functionsPath: "convex",
      cli: { main: join(app.path, "node_modules/convex/bin/main.js"), version: "1.48.0" },
      installCommand: "npm ci",
    });
  });

  it("of a monorepo uses the CLI and the lock file of the top", async () => {
    await using repo = await directoryWith({
      "package.json": "{}",
      "pnpm-lock.yaml": "",
      "packages/backend/package.json": MANIFEST,
      "packages/backend/convex/a.ts": "",
      ...cli("", "1.30.0", "bin/main.js"),
    });
    const project = await findProject(join(repo.path, "packages/backend"));
    expect(project.root).toBe(join(repo.path, "packages/backend"));
    expect(project.cli.version).toBe("1.30.0");
    expect(project.installCommand).toBe("pnpm install --frozen-lockfile");
  });

  it("works through pnpm's links", async () => {
    await using app = await directoryWith({
      "package.json": MANIFEST,
      "convex/a.ts": "",
      ...cli("node_modules/.pnpm/convex@1.48.0/"),
    });
    await symlink(
      join(app.path, "node_modules/.pnpm/convex@1.48.0/node_modules/convex"),
      join(app.path, "node_modules/convex"),
    );
    expect((await findProject(app.path)).cli.version).toBe("1.48.0");
  });

  it("has its functions where convex.json says", async () => {
    await using app = await directoryWith({
      ...APP,
      "convex.json": '{"functions": "./src/backend/"}',
      "src/backend/a.ts": "",
    });
    expect((await findProject(app.path)).functionsPath).toBe("src/backend");
  });

  it("made by create-react-app has them in src/convex", async () => {
    const manifest = JSON.stringify({ dependencies: { convex: "1", "react-scripts": "5" } });
    await using app = await directoryWith({ ...APP, "package.json": manifest, "src/convex/a.ts": "" });
    expect((await findProject(app.path)).functionsPath).toBe("src/convex");
  });
});

describe("what keeps a project from being deployed", () => {
  it("no directory", async () => {
    expect((await refusal("/nowhere/at/all")).code).toBe("working-directory-missing");
  });

  it("no convex in any package.json; those below are named", async () => {
    await using repo = await directoryWith({
      "package.json": "{}",
      "packages/web/package.json": "{}",
      "packages/backend/package.json": MANIFEST,
    });
    const error = await refusal(repo.path);
    expect(error.code).toBe("convex-not-installed");
    expect(error.hint).toBe("Set working-directory: packages/backend.");
  });

  it.each([
    ["yarn.lock", "yarn install --immutable"],
    ["bun.lock", "bun install --frozen-lockfile"],
    ["package-lock.json", "npm ci"],
    ["none.txt", "npm install"],
  ])("not installed, %s", async (file, command) => {
    await using app = await directoryWith({ "package.json": MANIFEST, "convex/a.ts": "", [file]: "" });
    const error = await refusal(app.path);
    expect(error.code).toBe("convex-not-installed");
    expect(error.hint).toContain(`\`${command}\``);
  });

  it("Plug'n'Play", async () => {
    await using app = await directoryWith({ "package.json": MANIFEST, "convex/a.ts": "", ".pnp.cjs": "" });
    expect((await refusal(app.path)).hint).toContain("nodeLinker: node-modules");
  });

  it("no folder with functions", async () => {
    await using app = await directoryWith({ "package.json": MANIFEST, ...cli("") });
    const error = await refusal(app.path);
    expect(error.code).toBe("no-convex-folder");
    await mkdir(join(app.path, "convex"));
    expect((await findProject(app.path)).functionsPath).toBe("convex");
  });

  it("a convex.json or package.json that is no JSON", async () => {
    await using app = await directoryWith({ ...APP, "convex.json": "{ // no\n}" });
    expect((await refusal(app.path)).code).toBe("convex-json-invalid");
    await using other = await directoryWith({ ...APP, "package.json": "{" });
    expect((await refusal(other.path)).code).toBe("package-json-invalid");
  });
});
