import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

const PAGES = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter((page) =>
  page.endsWith(".md"),
);

interface Block {
  /** `docs/recipes.md:12`, the line of its fence. */
  readonly at: string;
  readonly text: string;
}

function blocksOf(page: string): Block[] {
  const text = read(page);
  return [...text.matchAll(/^( *)```yaml\n([\s\S]*?)^ *```$/gm)].map((match) => ({
    at: `${page}:${text.slice(0, match.index).split("\n").length}`,
    text: match[2] ?? "",
  }));
}

const BLOCKS = PAGES.flatMap(blocksOf);

type Step = Readonly<Record<string, unknown>>;

/** Every mapping with `uses`, wherever it lies in the block. */
function stepsOf(value: unknown): Step[] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.values(value).flatMap(stepsOf);
  return "uses" in value ? [value as Step, ...inner] : inner;
}

/** Inputs and outputs of the action that `convex-selfhost/action[/<folder>]@v1` names. */
function interfaceOf(uses: string): { readonly inputs: string[]; readonly outputs: string[] } | undefined {
  const match = /^convex-selfhost\/action(?:\/([a-z-]+))?@v1$/.exec(uses);
  if (match === null) return undefined;
  const action: unknown = parse(read(join(match[1] ?? ".", "action.yml")));
  const { inputs, outputs } = action as Record<"inputs" | "outputs", Record<string, unknown> | undefined>;
  return { inputs: Object.keys(inputs ?? {}), outputs: Object.keys(outputs ?? {}) };
}

describe("the YAML of the docs", () => {
  it("is found", () => {
    expect(BLOCKS.filter(({ at }) => at.startsWith("docs/recipes.md")).length).toBeGreaterThan(15);
  });

  it.each(BLOCKS)("$at parses, without a name given twice", ({ text }) => {
    for (const document of parseAllDocuments(text)) {
      expect(document.errors).toEqual([]);
      expect(document.toJS()).toBeTypeOf("object");
    }
  });

  it.each(BLOCKS)("$at gives our actions only inputs that they have, as strings, numbers or booleans", ({ text }) => {
    for (const step of stepsOf(parse(text))) {
      const inputs = interfaceOf(String(step["uses"]))?.inputs;
      const given = (step["with"] ?? {}) as Record<string, unknown>;
      if (inputs === undefined) continue;
      expect(Object.keys(given).filter((name) => !inputs.includes(name))).toEqual([]);
      for (const [name, value] of Object.entries(given))
        expect(["string", "number", "boolean"], name).toContain(typeof value);
    }
  });

  it.each(BLOCKS)("$at uses only outputs that our actions have", ({ text }) => {
    const byId = new Map(stepsOf(parse(text)).map((step) => [step["id"], interfaceOf(String(step["uses"]))?.outputs]));
    for (const [, id, name] of text.matchAll(/steps\.([\w-]+)\.outputs\.([\w-]+)/g)) {
      if (byId.get(id) !== undefined) expect(byId.get(id)).toContain(name);
    }
  });
});

describe("actions of others", () => {
  // A tag can be moved; the commit cannot. The comment is what people and update tools read.
  it.each(BLOCKS.filter(({ at }) => /^(README|docs\/(recipes|troubleshooting))/.test(at)))(
    "are named by commit and version in $at",
    ({ text }) => {
      for (const [line, slug] of text.matchAll(/^.*\buses: *["']?([\w.-]+\/[\w./-]+)@.*$/gm)) {
        if (slug?.startsWith("convex-selfhost/action") !== true)
          expect(line).toMatch(/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
      }
    },
  );
});

describe("links between pages", () => {
  const slugOf = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
  const anchorsOf = (page: string): string[] =>
    [...read(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => slugOf(heading ?? ""));

  it.each(PAGES)("%s leads to pages and headings that are there", (page) => {
    for (const [, link] of read(page).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path = "", anchor] = (link ?? "").split("#");
      const target = path === "" ? page : join(dirname(page), path);
      expect(() => read(target), link).not.toThrow();
      if (anchor !== undefined) expect(anchorsOf(target), link).toContain(anchor);
    }
  });
});
