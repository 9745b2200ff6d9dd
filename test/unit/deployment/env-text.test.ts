import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLI_MANAGED, parseVariables } from "../../../src/deployment/env-text.ts";
import { ActionError } from "../../../src/runner/errors.ts";

const home = dirname(createRequire(import.meta.url).resolve("convex/package.json"));

/** The parser inside the installed CLI, cut out of its bundle. */
function parserOfTheCli(): (text: string) => Record<string, string> {
  const bundle = readFileSync(join(home, "dist/cli.bundle.cjs"), "utf8");
  const match = /var LINE = .*;\n\s*function (parse\w*)\(src\) \{[\s\S]*?\n {4}\}\n/.exec(bundle);
  if (match === null) throw new Error("the CLI's bundle has no dotenv parser where it is looked for");
  return new Function(`${match[0]}; return ${match[1]};`)() as (text: string) => Record<string, string>;
}
const cli = parserOfTheCli();

const values = (text: string): Record<string, string> => Object.fromEntries(parseVariables(text, "env").variables);

function refusal(text: string): string {
  try {
    parseVariables(text, "env-file .env.test");
  } catch (error) {
    expect(error).toBeInstanceOf(ActionError);
    expect((error as ActionError).code).toBe("env-unreadable");
    return (error as ActionError).message;
  }
  return expect.unreachable();
}

const PEM = `KEY="-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkq
hkiG9w0BAQEFAASC
-----END PRIVATE KEY-----"
`;

describe("the dialect of `convex env set --from-file` (contract 4.3)", () => {
  it.each([
    ['GREETING="two\nlines"', { GREETING: "two\nlines" }],
    ["# comment\n\n  A=1\nexport B=2", { A: "1", B: "2" }],
    ["A='one # two'\nB=three # four", { A: "one # two", B: "three" }],
    ["A=\"a\\nb\"\nB='a\\nb'\nC=a\\nb", { A: "a\nb", B: "a\\nb", C: "a\\nb" }],
    ["A=$B\nB=$$A", { A: "$B", B: "$$A" }],
    ["A=1\r\nB='x\r\ny'\r\n", { A: "1", B: "x\ny" }],
    ["\uFEFFA=1", { A: "1" }],
    ["A=\nB=2", { A: "", B: "2" }],
    ["A: yaml", { A: "yaml" }],
    ['A="C:\\"\nB=`x"\'y`', { A: "C:\\", B: "x\"'y" }],
    ['A="say \\"hi\\""', { A: 'say \\"hi\\"' }],
    [PEM, { KEY: PEM.slice(5, -2) }],
    ["", {}],
    ["  \n# nothing\n", {}],
  ])("%j", (text, expected) => {
    expect(values(text)).toEqual(expected);
    expect(cli(text)).toEqual(expected);
  });

  const piece = fc.oneof(
    fc.constantFrom(
      "A",
      "B_2",
      "export ",
      "=",
      ": ",
      '"',
      "'",
      "`",
      "\\",
      "\\n",
      "#",
      " # c",
      "\n",
      "\r\n",
      " ",
      "$X",
      "-",
      "\uFEFF",
      "A=1\n",
      'B="x"\n',
    ),
    fc.string({ maxLength: 5 }),
  );
  it("gives what the CLI itself would set, or refuses", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const text = pieces.join("");
        let mine: Record<string, string>;
        try {
          mine = values(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ActionError);
          return;
        }
        expect(mine).toEqual({ ...cli(text) });
      }),
      { numRuns: 5000 },
    );
  });

  it("takes most of what the CLI takes: nothing is refused without a defect", () => {
    const line = fc.tuple(
      fc.constantFrom("A", "B", "LONG_NAME_1"),
      fc.constantFrom("=", " = ", "= "),
      fc.constantFrom("x", "a b c", "'q # r'", '"two\nlines"', "`t`", "", "with=equals", '{"json": true}'),
      fc.constantFrom("\n", "\r\n", "\n\n", "\n# comment's \"quotes\n"),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 10 }), (lines) => {
        const text = lines.map((parts) => parts.join("")).join("");
        expect(values(text)).toEqual({ ...cli(text) });
      }),
    );
  });
});

describe("what dotenv would pass over", () => {
  it("is named by line and variable, never by text", () => {
    expect(refusal('A=1\nB="never closed secret\nC=2\n')).toBe(
      'env-file .env.test: B in line 2 begins with a " that is never closed.',
    );
    expect(refusal("A='x'\n\n# c\nhush hush\n")).toBe(
      "env-file .env.test: line 4 (after A) is no NAME=value, so it would be passed over.",
    );
    expect(refusal("MY NAME=hush")).toContain("line 1 is no NAME=value");
    expect(refusal('A="x" hush')).toContain("text behind its closing quote");
    expect(refusal('A="multi\nline"\nhush')).toContain("line 3 (after A)");
    for (const text of ['B="never hush\nC=2', "A=1\nhush", "MY NAME=hush", 'A="x" hush']) {
      expect(refusal(text)).not.toContain("hush");
    }
  });

  it("names the variable in front of a PEM without quotes", () => {
    const message = refusal(PEM.replaceAll('"', ""));
    expect(message).toContain("line 2 (after KEY)");
    expect(message).not.toContain("MIIE");
  });
});

describe("notices", () => {
  const notices = (text: string): readonly string[] => parseVariables(text, "env").notices;

  it("tell what is set twice, cut off, or not for functions", () => {
    expect(notices("A=1\nB=2\nA=3")).toEqual(["env sets A more than once; the last one counts."]);
    expect(notices("A=pa#ss")).toEqual([
      "env line 1: the value of A ends before the #. Quote the value if the # belongs to it.",
    ]);
    expect(notices("A='pa#ss' # fine\nB=x # fine")).toEqual([]);
    const managed = parseVariables("CONVEX_DEPLOY_KEY=x\nVITE_CONVEX_URL=y\nA=1", "env");
    expect([...managed.variables]).toEqual([["A", "1"]]);
    expect(managed.notices[0]).toContain("CONVEX_DEPLOY_KEY, VITE_CONVEX_URL left out");
  });

  it("leave out the names that the CLI leaves out", () => {
    const source = readFileSync(join(home, "src/cli/lib/envvars.ts"), "utf8");
    const named = [...source.matchAll(/^ {2}"(\w*CONVEX_(?:SITE_)?URL)" as const,$/gm)].map((match) => match[1] ?? "");
    expect(named).toHaveLength(12);
    expect([...CLI_MANAGED].filter((name) => name.endsWith("_URL") && !name.includes("SELF_HOSTED")).sort()).toEqual(
      named.sort(),
    );
  });

  it("take names that every object has for what they are", () => {
    expect([...parseVariables("constructor=a\ntoString=b\ntoString=c", "env").variables]).toEqual([
      ["constructor", "a"],
      ["toString", "c"],
    ]);
    expect(() => parseVariables("__proto__=x", "env")).toThrow(expect.objectContaining({ code: "env-unreadable" }));
  });
});
