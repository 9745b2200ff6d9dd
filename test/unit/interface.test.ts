import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { readAction, withTables } from "../../bin/readme.ts";
import { CLIENT_VERSION } from "../../src/deployment/client.ts";
import { readStartInputs } from "../../src/start/inputs.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): Promise<string> => readFile(join(root, path), "utf8");

async function sources(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

describe("action.yml", () => {
  it("has exactly the inputs that the code reads", async () => {
    const asked = new Set<string>(["job-status"]);
    readStartInputs((name) => {
      asked.add(name);
      return "";
    });
    expect(Object.keys((await readAction()).inputs).sort()).toEqual([...asked].sort());
  });

  it("has defaults that change nothing: the code falls back to the same", async () => {
    const { inputs } = await readAction();
    const written = readStartInputs((name) => {
      const value = inputs[name]?.default ?? "";
      return value.includes("${{") ? "" : value;
    });
    expect(written).toEqual(readStartInputs(() => ""));
  });

  it("has exactly the outputs that the code sets", async () => {
    const code = (await Promise.all((await sources("src/start")).map((path) => readFile(path, "utf8")))).join("\n");
    const { outputs } = await readAction();
    for (const name of Object.keys(outputs)) expect(code, name).toMatch(new RegExp(`["\\s]${name}"?[",:]`));
  });

  it("names bundles that exist", async () => {
    const text = await read("action.yml");
    for (const [, path] of text.matchAll(/^ {2}(?:main|post): "(.+)"$/gm)) {
      await expect(read(path ?? "")).resolves.not.toBe("");
    }
  });
});

describe("README.md", () => {
  it("has the tables of action.yml (node bin/readme.ts writes them)", async () => {
    const readme = await read("README.md");
    expect(withTables(readme, await readAction())).toBe(readme);
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
    const files = ["README.md", "docs/recipes.md", "docs/troubleshooting.md"];
    for (const file of files) {
      for (const [, used] of (await read(file)).matchAll(/uses: +((?!actions\/)[\w-]+\/[\w-]+)[@/]/g))
        expect(used, file).toBe(slug);
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
