/** Every threat of docs/threat-model.md has a test that is there, under the title that the page gives. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");

const ROWS = readFileSync(join(root, "docs/threat-model.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| Threat "))
  .map((line) => line.slice(1, -1).split(" | "))
  .map(([threat = "", control = "", proof = ""]) => ({ threat: threat.trim(), control: control.trim(), proof }));

/** `unit/runner/mask` → its text: of a file below test/, whatever its kind, or of all files of a folder. */
function textOf(name: string): string | undefined {
  const path = join(root, "test", name);
  if (existsSync(path) && statSync(path).isDirectory())
    return readdirSync(path)
      .map((file) => readFileSync(join(path, file), "utf8"))
      .join("\n");
  const kinds = ["", ".nginx", ".tools", ".s3", ".long"].map((kind) => `${path}${kind}.test.ts`);
  const file = [...kinds, `${path}.ts`].find((each) => existsSync(each));
  return file === undefined ? undefined : readFileSync(file, "utf8");
}

/** `` `unit/x` "words", "others" · `e2e/y` `` → each place with its words. */
function proofsIn(cell: string): { readonly place: string; readonly words: readonly string[] }[] {
  return [...cell.matchAll(/`((?:unit|dist|e2e)\/[\w./-]+)`([^`]*)/g)].map(([, place = "", rest = ""]) => ({
    place,
    words: [...rest.matchAll(/"([^"]+)"/g)].map(([, words = ""]) => words),
  }));
}

describe("the threat model", () => {
  it("is read", () => {
    expect(ROWS.length).toBeGreaterThan(40);
  });

  it.each(ROWS)("$threat", ({ control, proof }) => {
    expect(control).not.toBe("");
    const proofs = proofsIn(proof);
    expect(proofs).not.toEqual([]);
    for (const { place, words } of proofs) {
      const text = textOf(place);
      expect(text, `${place} is no test`).toBeDefined();
      for (const each of words) {
        // Words that the page leaves out stand as "…".
        const form = each.split(" … ").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        expect(text, `${place}: ${each}`).toMatch(new RegExp(form.join("[^\\n]*")));
      }
    }
  });
});
