/** What stands for somebody else's action or command line in the tests takes no more than the real one. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Command lines that templates install: what stands in front of the version that they name. */
const INSTALLED: readonly (readonly [tool: string, template: string, version: RegExp])[] = [
  ["flyctl", "convex-fly.yml", /setup-flyctl@[^\n]+\n +with:\n +version: (\S+)/g],
  ["railway", "convex-railway.yml", /@railway\/cli@(\S+)/g],
];

describe("command lines of others", () => {
  it.each(INSTALLED)("%s: the facts are of the version that %s installs", (tool, template, form) => {
    const { version, source } = JSON.parse(read(`test/recorder/${tool}.json`)) as { version: string; source: string };
    const installed = [...read(`workflows-templates/${template}`).matchAll(form)].map(([, found]) => found);
    expect(installed).toEqual([version]);
    expect(source).toMatch(new RegExp(`[ v]${version.replaceAll(".", "\\.")}, `));
  });
});

/** What the action.yml of a pinned commit says of its inputs. */
interface Facts {
  readonly commit: string;
  readonly version: string;
  /** Where that was read. */
  readonly source: string;
  /** Input → required and without a default. */
  readonly inputs: Readonly<Record<string, boolean>>;
}

const FACTS = JSON.parse(read("test/doubles/facts.json")) as Readonly<Record<string, Facts>>;

interface Use {
  readonly file: string;
  readonly slug: string;
  readonly commit: string;
  readonly version: string;
  readonly given: readonly string[];
}

type Step = { readonly uses?: string; readonly with?: Readonly<Record<string, unknown>> };

function usesIn(file: string): Use[] {
  const text = read(file);
  const { jobs = {} } = parse(text) as { jobs?: Record<string, { steps?: Step[] }> };
  return Object.values(jobs)
    .flatMap(({ steps = [] }) => steps)
    .flatMap(({ uses = "", with: given = {} }) => {
      const [slug = "", commit = ""] = uses.split("@");
      if (uses === "" || slug.startsWith("convex-selfhost/")) return [];
      const version = new RegExp(`${slug}@${commit} # (\\S+)`).exec(text)?.[1] ?? "";
      return [{ file, slug, commit, version, given: Object.keys(given) }];
    });
}

const USES = [".github/workflows", "workflows-templates"]
  .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
  .filter((file) => file.endsWith(".yml"))
  .flatMap(usesIn);

describe("actions of others", () => {
  it("are found", () => {
    expect(USES.length).toBeGreaterThan(30);
  });

  it("are used in the version that the facts are of", () => {
    for (const { file, slug, commit, version } of USES)
      expect(FACTS[slug], `${file}: ${slug}`).toMatchObject({ commit, version });
  });

  it("get no input that they do not have, and all that they demand", () => {
    for (const { file, slug, given } of USES) {
      const inputs = FACTS[slug]?.inputs ?? {};
      expect(
        given.filter((name) => !(name in inputs)),
        `${file}: ${slug}`,
      ).toEqual([]);
      const demanded = Object.keys(inputs).filter((name) => inputs[name] === true);
      expect(
        demanded.filter((name) => !given.includes(name)),
        `${file}: ${slug}`,
      ).toEqual([]);
    }
  });

  it("have facts with a source, and none that nothing uses", () => {
    for (const [slug, { commit, source }] of Object.entries(FACTS)) {
      const [owner, name, ...folder] = slug.split("/");
      const file = [...folder, "action.yml"].join("/");
      expect(source).toBe(`https://github.com/${owner}/${name}/blob/${commit}/${file}`);
      expect(USES.map((use) => use.slug)).toContain(slug);
    }
  });

  it.each(Object.keys(FACTS))("%s: its double takes no other inputs", (slug) => {
    const path = `test/doubles/${slug}/accepts.json`;
    // Those of our own CI and release are not carried out here, so they have none.
    if (!existsSync(join(root, path))) return;
    const { action, inputs } = JSON.parse(read(path)) as { action: string; inputs: Record<string, string> };
    expect(action).toBe(slug);
    expect(Object.keys(inputs).filter((name) => !(name in (FACTS[slug]?.inputs ?? {})))).toEqual([]);
    for (const [name, form] of Object.entries(inputs)) {
      const optional = new RegExp(`^(?:${form})$`, "s").test("");
      if (FACTS[slug]?.inputs[name] === true) expect(optional, name).toBe(false);
    }
  });
});
