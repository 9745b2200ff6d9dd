/** Releases that templates and docs/upgrade.md name can be started as they stand there, by the runtime beside them. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { resolveBinary } from "../../src/backend/binary-catalogue.ts";
import { resolveImage } from "../../src/backend/catalogue.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Comments count: what they give as an example is copied. */
const TEMPLATES = readdirSync(join(root, "workflows-templates"))
  .filter((name) => name.endsWith(".yml"))
  .map((name) => [name, read(`workflows-templates/${name}`)] as const);
/** Each block has a runtime of its own; the text between them is about the default. */
const UPGRADE = read("docs/upgrade.md")
  .split("```")
  .map((text) => ["docs/upgrade.md", text] as const);

const NAMED = [...TEMPLATES, ...UPGRADE].flatMap(([place, text]) => {
  const runtime = /^ *runtime: (\w+)/m.exec(text)?.[1] ?? "docker";
  const releases = new Set(text.match(/\b\d{4}-\d\d-\d\d-[0-9a-f]{7}\b/g));
  return [...releases].map((version) => ({ place, version, runtime }));
});

it("are found, for both runtimes", () => {
  expect(NAMED.filter(({ place }) => place === "docs/upgrade.md").length).toBeGreaterThan(2);
  expect(new Set(NAMED.map(({ runtime }) => runtime))).toEqual(new Set(["docker", "binary"]));
});

it.each(NAMED)("$version of $place has a digest for $runtime", ({ version, runtime }) => {
  const { warnings } =
    runtime === "binary"
      ? resolveBinary({ version, platform: "linux", arch: "x64" })
      : resolveImage({ version, requireDigest: true });
  expect(warnings).toEqual([]);
});
