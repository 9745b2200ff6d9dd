// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are sources, not templates
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CodeScan, missingVariables, scanFunctions } from "../../../src/deployment/env-reads.ts";
import { codeOf } from "../../../src/deployment/source-text.ts";
import { directoryWith } from "./support.ts";

async function scan(files: Record<string, string>): Promise<CodeScan> {
  await using app = await directoryWith({ "convex/_generated/api.d.ts": "process.env.GENERATED", ...files });
  return await scanFunctions({
    root: app.path,
    functionsDirectory: join(app.path, "convex"),
    functionsPath: "convex",
    cli: { main: "", version: "1.48.0" },
    installCommand: "npm ci",
  });
}

const places = (reads: CodeScan["reads"]): string[] => reads.map(({ name, file, line }) => `${name} ${file}:${line}`);

describe("the code of a text", () => {
  it.each([
    ["a // b\nc", "a     \nc"],
    ["a /* b\nc */ d", "a     \n     d"],
    ['\'b\' "c\\"d"', "' ' \"    \""],
    ["x = /a'b/; y = 'z'", "x = /   /; y = ' '"],
    ["a / b / c 'd'", "a / b / c ' '"],
    ["`a ${b(`c ${d}`)} e`", "`  ${b(`  ${d}`)}  `"],
    ["`a ${{ b: 1 }.b} c` + d", "`  ${{ b: 1 }.b}  ` + d"],
    ["<p>don't</p>;\nprocess", "<p>don't</p>;\nprocess"],
    ["<b>a</b>{process.env.A}</p>", "<b>a</b>{process.env.A}</p>"],
    ["a => /'/.test(a) ? '' : 'x'", "a => / /.test(a) ? '' : ' '"],
    ["return /[/']/.test(a)", "return /    /.test(a)"],
  ])("%j", (source, code) => {
    expect(codeOf(source)).toBe(code);
  });
});

it("keeps every index and every line, whatever the text", () => {
  const piece = fc.oneof(
    fc.constantFrom("'", '"', "`", "${", "}", "{", "/", "*", "//", "/*", "*/", "\\", "\n", "\r\n", "a", " "),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const source = pieces.join("");
      const code = codeOf(source);
      expect(code.length).toBe(source.length);
      expect([...code.matchAll(/\n/g)].map(({ index }) => index)).toEqual(
        [...source.matchAll(/\n/g)].map(({ index }) => index),
      );
    }),
    { numRuns: 2000 },
  );
});

describe("reads", () => {
  it("are found in every form, with file and line", async () => {
    const { reads } = await scan({
      "convex/a.ts": [
        "const a = process.env.DOTTED;",
        "const b = process.env[\"QUOTED\"] + process.env['SINGLE'];",
        "const { ONE, TWO: two, THREE = 'x' } = process.env;",
        "const c = process.env.ASSERTED!;",
        "const d = process.env?.OPTIONAL;",
        "const e = `x ${process.env.IN_TEMPLATE}`;",
        "const f = process",
        "  .env",
        "  .BROKEN;",
        "const g: string = process.env.WITH_DEFAULT ?? 'x';",
        "const { TYPED }: { TYPED?: string } = process.env;",
      ].join("\n"),
      "convex/deep/b.tsx": "export const x = <p>{process.env.JSX}</p>;",
    });
    expect(places(reads)).toEqual([
      "DOTTED convex/a.ts:1",
      "QUOTED convex/a.ts:2",
      "SINGLE convex/a.ts:2",
      "ONE convex/a.ts:3",
      "TWO convex/a.ts:3",
      "THREE convex/a.ts:3",
      "ASSERTED convex/a.ts:4",
      "OPTIONAL convex/a.ts:5",
      "IN_TEMPLATE convex/a.ts:6",
      "BROKEN convex/a.ts:7",
      "WITH_DEFAULT convex/a.ts:10",
      "TYPED convex/a.ts:11",
      "JSX convex/deep/b.tsx:1",
    ]);
    expect(reads.filter(({ hasDefault }) => hasDefault).map(({ name }) => name)).toEqual(["THREE", "WITH_DEFAULT"]);
  });

  it("in comments, strings, tests and generated code do not count", async () => {
    const { reads } = await scan({
      "convex/a.ts":
        "// process.env.A\n/* process.env.B */\nconst x = 'process.env.C';\nconst y = `process.env.D`;\nconst z = /process.env.E/;\nmyprocess.env.F;\nprocess.env.G = '1';",
      "convex/a.test.ts": "process.env.H",
      "convex/__tests__/b.ts": "process.env.I",
      "convex/types.d.ts": "process.env.J",
      "convex/notes.md": "process.env.K",
    });
    expect(places(reads)).toEqual([]);
  });
});

describe("the auth config", () => {
  it("is read with what it imports by relative paths", async () => {
    const { authReads, reads, usesOwnSite } = await scan({
      "convex/auth.config.ts":
        'import { domain } from "./lib/env";\nimport type { T } from "./types";\nexport default { providers: [{ domain, applicationID: process.env.CLIENT_ID! }] };',
      "convex/lib/env.ts": 'export * from "../more.js";\nexport const domain = process.env.AUTH_DOMAIN;',
      "convex/more.ts": "export const more = process.env.MORE;",
      "convex/types.ts": "export const t = process.env.TYPES_ONLY;",
    });
    expect(places(authReads)).toEqual([
      "CLIENT_ID convex/auth.config.ts:3",
      "AUTH_DOMAIN convex/lib/env.ts:2",
      "MORE convex/more.ts:1",
    ]);
    expect(places(reads)).toEqual(["TYPES_ONLY convex/types.ts:1"]);
    expect(usesOwnSite).toBe(false);
  });

  it.each([
    ["the own site as OIDC issuer", "{ domain: process.env.CONVEX_SITE_URL, applicationID: 'convex' }", true],
    ["the own site in a variable", "{ domain, applicationID: (process.env.CONVEX_SITE_URL, 'convex') }", true],
    [
      "the own site as issuer of a custom JWT, whose keys are elsewhere",
      "{ type: 'customJwt', issuer: process.env.CONVEX_SITE_URL, jwks: 'data:,', algorithm: 'RS256' }",
      false,
    ],
    ["another issuer", "{ domain: process.env.CLERK, applicationID: 'convex' }", false],
  ])("knows %s", async (_label, provider, expected) => {
    const { usesOwnSite } = await scan({ "convex/auth.config.ts": `export default { providers: [${provider}] };` });
    expect(usesOwnSite).toBe(expected);
  });
});

describe("further facts", () => {
  it("are Node modules, components and required variables", async () => {
    const { nodeModules, hasComponents, required } = await scan({
      "convex/mail.ts": '// sends\n"use node";\nimport fs from "node:fs";',
      "convex/plain.ts": 'const x = "use node";',
      "convex/convex.config.ts":
        'const app = defineApp({\n  env: {\n    KEY: v.string(),\n    // OTHER: v.string(),\n    MAYBE: v.optional(v.string()),\n    MODE: v.union(v.literal("a"), v.literal("b")),\n  },\n});\napp.use(widget);',
    });
    expect(nodeModules).toEqual(["convex/mail.ts"]);
    expect(hasComponents).toBe(true);
    expect(places(required)).toEqual(["KEY convex/convex.config.ts:3", "MODE convex/convex.config.ts:6"]);
  });
});

describe("missing variables", () => {
  const read = (name: string, file = "convex/a.ts", hasDefault = false) => ({ name, file, line: 3, hasDefault });
  const base: CodeScan = {
    reads: [],
    authReads: [],
    required: [],
    nodeModules: [],
    hasComponents: false,
    usesOwnSite: false,
  };

  it("are named all at once; those of auth.config are an error", () => {
    const { notice, error } = missingVariables(
      {
        ...base,
        reads: [
          read("B"),
          read("A"),
          read("B", "convex/z.ts"),
          read("SET"),
          read("CONVEX_SITE_URL"),
          read("D", "convex/a.ts", true),
        ],
        authReads: [read("AUTH_DOMAIN", "convex/auth.config.ts"), read("CONVEX_SITE_URL")],
        required: [read("KEY", "convex/convex.config.ts")],
      },
      new Set(["SET"]),
    );
    expect(notice).toBe(
      "convex.config.ts requires KEY (convex/convex.config.ts:3) and nothing sets them: releases since 2026-05-06 refuse the deploy. The functions read A (convex/a.ts:3), B (convex/a.ts:3) and nothing sets them: they are undefined there.",
    );
    expect(error?.code).toBe("auth-variable-missing");
    expect(error?.message).toContain("AUTH_DOMAIN (convex/auth.config.ts:3)");
    expect(error?.message).not.toContain("CONVEX_SITE_URL");
  });

  it("are none where all is set", () => {
    expect(missingVariables({ ...base, reads: [read("A")], authReads: [read("B")] }, new Set(["A", "B"]))).toEqual({});
  });
});
