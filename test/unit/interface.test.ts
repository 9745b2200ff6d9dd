import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { PAGES, readAction, withTables, withWorkflows } from "../../bin/readme.ts";
import { readBackupInputs } from "../../src/backup/inputs.ts";
import { readDeployInputs } from "../../src/deploy/inputs.ts";
import { CLIENT_VERSION } from "../../src/deployment/connection.ts";
import { readDoctorInputs } from "../../src/doctor/inputs.ts";
import { readFindBackupInputs } from "../../src/find-backup/inputs.ts";
import { readIssueInputs } from "../../src/issue/inputs.ts";
import { readPlatformInputs } from "../../src/platform/inputs.ts";
import { readPreviewInputs } from "../../src/preview/inputs.ts";
import { readProjectInputs } from "../../src/project/inputs.ts";
import { readRestoreInputs } from "../../src/restore/inputs.ts";
import type { ReadInput } from "../../src/runner/inputs.ts";
import { readStartInputs } from "../../src/start/inputs.ts";
import { readUpgradeInputs } from "../../src/upgrade/inputs.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): Promise<string> => readFile(join(root, path), "utf8");

async function sources(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

const CREDENTIALS = {
  CONVEX_SELF_HOSTED_URL: "http://127.0.0.1:3210",
  CONVEX_SELF_HOSTED_ADMIN_KEY: "name|0123456789",
};

/** What the issue action does not do without. */
const REQUIRED: Readonly<Record<string, string>> = { key: "doctor", title: "Doctor" };
/** A destination is the one thing that has no default. */
const withDestination =
  (read: ReadInput): ReadInput =>
  (name) =>
    read(name) || (name === "destination" ? "dir:backups" : "");

/** And so is a source. */
const withSource =
  (read: ReadInput): ReadInput =>
  (name) =>
    read(name) || (name === "source" ? "dir:backups" : "");

/** Folder of action.yml, what reads its inputs, inputs that nothing reads, where outputs are set. */
const ACTIONS: readonly [string, (read: ReadInput) => unknown, readonly string[], string][] = [
  [".", readStartInputs, ["job-status"], "src/start"],
  ["deploy", (read) => readDeployInputs(read, CREDENTIALS), [], "src/deploy"],
  ["preview", readPreviewInputs, [], "src/preview"],
  ["doctor", (read) => readDoctorInputs(read, CREDENTIALS), [], "src/doctor"],
  ["find-backup", (read) => readFindBackupInputs(withSource(read), "/"), [], "src/find-backup"],
  ["project", readProjectInputs, [], "src/project"],
  ["platform", readPlatformInputs, [], "src/platform"],
  ["issue", (read) => readIssueInputs((name) => read(name) || (REQUIRED[name] ?? "")), [], "src/issue"],
  ["backup", (read) => readBackupInputs(withDestination(read), CREDENTIALS), [], "src/backup"],
  ["restore", (read) => readRestoreInputs(withSource(read), CREDENTIALS, "/"), [], "src/restore"],
  ["upgrade", (read) => readUpgradeInputs(withSource(read), "/"), [], "src/upgrade"],
];

describe.each(ACTIONS)("%s/action.yml", (folder, readInputs, unread, code) => {
  it("has exactly the inputs that the code reads", async () => {
    const asked = new Set<string>(unread);
    readInputs((name) => {
      asked.add(name);
      return "";
    });
    expect(Object.keys((await readAction(folder)).inputs).sort()).toEqual([...asked].sort());
  });

  it("has defaults that change nothing: the code falls back to the same", async () => {
    const { inputs } = await readAction(folder);
    const written = readInputs((name) => {
      const value = inputs[name]?.default ?? "";
      return value.includes("${{") ? "" : value;
    });
    expect(written).toEqual(readInputs(() => ""));
  });

  it("has exactly the outputs that the code sets", async () => {
    const text = (await Promise.all((await sources(code)).map((path) => readFile(path, "utf8")))).join("\n");
    const { outputs } = await readAction(folder);
    for (const name of Object.keys(outputs)) expect(text, name).toMatch(new RegExp(`["\\s]${name}"?[",:]`));
    for (const [, name = ""] of text.matchAll(/set(?:Secret)?Output\("([a-z-]+)"/g))
      expect(outputs).toHaveProperty(name);
  });

  it("names bundles that exist", async () => {
    const text = await read(join(folder, "action.yml"));
    for (const [, path] of text.matchAll(/^ {2}(?:main|post): "(.+)"$/gm)) {
      await expect(read(join(folder, path ?? ""))).resolves.not.toBe("");
    }
  });
});

describe("the pages of the actions", () => {
  it.each(PAGES)("%s has the tables of its action.yml (node bin/readme.ts writes them)", async (page, folder) => {
    const text = await read(page);
    expect(withTables(text, await readAction(folder))).toBe(text);
  });

  it("docs/workflows.md has the tables of the reusable workflows", async () => {
    const text = await read("docs/workflows.md");
    expect(await withWorkflows(text)).toBe(text);
  });

  it("names no file that is not there", async () => {
    const readme = await read("README.md");
    for (const [, path] of readme.matchAll(/\]\((?!https?:)([^)#]+)/g))
      await expect(read(path ?? ""), path).resolves.toBeDefined();
  });
});

describe("the slug", () => {
  it("is that of package.json's repository wherever it is named", async () => {
    const { repository } = JSON.parse(await read("package.json")) as { repository: { url: string } };
    const slug = /github\.com\/(.+)\.git$/.exec(repository.url)?.[1] ?? "";
    expect(slug).toMatch(/^[\w-]+\/[\w-]+$/);
    const files = [
      "README.md",
      "docs/recipes.md",
      "docs/troubleshooting.md",
      "docs/deploy.md",
      "docs/doctor.md",
      "docs/workflows.md",
      "docs/backup.md",
    ];
    for (const file of files) {
      for (const [, used] of (await read(file)).matchAll(/uses: +([\w-]+\/action)[@/]/g)) expect(used, file).toBe(slug);
    }
  });
});

describe("error codes", () => {
  it("each have a heading in docs/troubleshooting.md, and every heading a code that can come", async () => {
    const texts = await Promise.all((await sources("src")).map((path) => readFile(path, "utf8")));
    const codes = new Set<string>();
    for (const text of texts) {
      const made =
        /(?:new (?:ActionError|BackendError|PushError|EngineFault)|super)\(\s*"([a-z0-9-]+)"|code: "([a-z0-9-]+)"/g;
      for (const [, first, second] of text.matchAll(made)) codes.add(first ?? second ?? "");
      codes.delete("sign-in-ok"); // A finding, not an error.
    }
    const headings = [...(await read("docs/troubleshooting.md")).matchAll(/^### `([a-z0-9-]+)`$/gm)].map(
      ([, code]) => code ?? "",
    );
    expect([...codes].filter((code) => !headings.includes(code))).toEqual([]);
    const all = texts.join("\n");
    expect(headings.filter((code) => !all.includes(`"${code}"`) && !all.includes(`[${code}]`))).toEqual([]);
    expect(headings.length).toBe(new Set(headings).size);
  });
});

describe("the version", () => {
  it("is told to the backend as package.json has it", async () => {
    expect(CLIENT_VERSION).toBe((JSON.parse(await read("package.json")) as { version: string }).version);
  });
});
