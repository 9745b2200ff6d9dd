import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { findToolchain } from "../../../src/project/toolchain.ts";
import { scratch } from "../../support/scratch.ts";

async function repository(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await scratch("toolchain");
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

describe("the toolchain", () => {
  it.each([
    ["package-lock.json", "{}", "npm", "npm ci", "npm test"],
    ["pnpm-lock.yaml", "lockfileVersion: '9.0'\n", "pnpm", "pnpm install --frozen-lockfile", "pnpm test"],
    ["yarn.lock", "__metadata:\n  version: 8\n", "yarn", "yarn install --immutable", "yarn test"],
    ["yarn.lock", "# yarn lockfile v1\n", "yarn", "yarn install --frozen-lockfile", "yarn test"],
    ["bun.lock", "{}", "bun", "bun install --frozen-lockfile", "bun run test"],
  ])("of a repository with %s (%j) is %s", async (file, text, packageManager, installCommand, testCommand) => {
    const folder = await repository({ "package.json": "{}", [file]: text });
    expect(await findToolchain(folder, ".")).toMatchObject({
      packageManager,
      installCommand,
      testCommand,
      lockFile: file,
    });
  });

  it("of a package in a monorepo is that of the repository, and nothing above it", async () => {
    const outer = await repository({
      "yarn.lock": "",
      "repo/pnpm-lock.yaml": "lockfileVersion: '6.0'\n",
      "repo/packages/web/package.json": "{}",
    });
    expect(await findToolchain(join(outer, "repo"), "packages/web")).toMatchObject({
      ...{ packageManager: "pnpm", lockFile: "pnpm-lock.yaml", pnpmVersion: "8" },
    });
    const bare = await repository({ "yarn.lock": "", "repo/package.json": "{}" });
    expect(await findToolchain(join(bare, "repo"), ".")).toMatchObject({
      packageManager: "npm",
      installCommand: "npm install",
    });
  });

  it("leaves the version of pnpm to package.json where that names it, in front or above", async () => {
    const files = { "pnpm-lock.yaml": "lockfileVersion: '9.0'\n", "package.json": '{"packageManager":"pnpm@9.1.0"}' };
    expect((await findToolchain(await repository(files), ".")).pnpmVersion).toBe("");
    const nested = await repository({ ...files, "packages/web/package.json": "{}" });
    expect((await findToolchain(nested, "packages/web")).pnpmVersion).toBe("");
    expect((await findToolchain(await repository({ "pnpm-lock.yaml": "" }), ".")).pnpmVersion).toBe("10");
  });

  it("names the file that says the version of Node, else a version", async () => {
    const asdf = await repository({ ".tool-versions": "python 3.12\nnodejs 22.1.0\n", "web/.nvmrc": "22" });
    expect(await findToolchain(asdf, "web")).toMatchObject({ nodeVersionFile: "web/.nvmrc", nodeVersion: "" });
    expect(await findToolchain(asdf, ".")).toMatchObject({ nodeVersionFile: ".tool-versions", nodeVersion: "" });
    const python = await repository({ ".tool-versions": "python 3.12\n" });
    expect(await findToolchain(python, ".")).toMatchObject({ nodeVersionFile: "", nodeVersion: "24" });
  });

  it("takes yarn from corepack where package.json names one", async () => {
    const folder = await repository({
      "yarn.lock": "__metadata:\n",
      "package.json": '{"packageManager":"yarn@4.5.0"}',
    });
    expect((await findToolchain(folder, ".")).corepack).toBe(true);
  });

  it("refuses a folder that is not there", async () => {
    await expect(findToolchain(await repository({}), "packages/web")).rejects.toMatchObject({
      code: "working-directory-missing",
    });
  });
});
