/** What an app can get wrong, and what of it reaches the user: code, annotation, hint. */
import { describe, expect } from "vitest";
import { makeProject } from "./harness/act.ts";
import { expectFailure, runtimes, start, test } from "./support.ts";

const binary = (vars: Record<string, string> = {}): Record<string, string> => ({
  ...runtimes.binary(),
  AUTH: "convex-auth",
  ...vars,
});

describe("a deploy", () => {
  test("with a type error is annotated at its file and line", async ({ before }) => {
    const files = {
      "convex/broken.ts":
        'import { query } from "./_generated/server";\nconst n: number = "x";\nexport const q = query({ handler: () => n });\n',
    };
    const run = await start(binary({ TYPECHECK: "enable" }), { files });
    const errors = run.annotations.filter(({ level }) => level === "error");
    expect(errors, run.log).toContainEqual(expect.objectContaining({ file: "convex/broken.ts", line: "2" }));
    await expectFailure(run, "typecheck-failed", before);
  });

  test("with a module that throws when it is loaded is annotated at its file", async ({ before }) => {
    const files = { "convex/broken.ts": 'export const early = true;\nthrow new Error("too early");\n' };
    const run = await start(binary(), { files });
    expect(run.annotations, run.log).toContainEqual(expect.objectContaining({ file: "convex/broken.ts" }));
    await expectFailure(run, "modules-invalid", before);
  });

  test("with a syntax error says where", async ({ before }) => {
    const files = { "convex/broken.ts": "export const = 1;\n" };
    const run = await start(binary(), { files });
    expect(run.annotations, run.log).toContainEqual(expect.objectContaining({ file: "convex/broken.ts", line: "1" }));
    await expectFailure(run, "bundle-failed", before);
  });

  test("whose auth config reads a variable that nothing sets names it before anything is started", async ({
    before,
  }) => {
    const files = {
      "convex/auth.config.ts":
        "export default { providers: [{ domain: process.env.AUTH_DOMAIN, applicationID: process.env.AUTH_APP }] };\n",
    };
    const run = await start(binary(), { files });
    expect(run.error, run.log).toMatch(/AUTH_DOMAIN.*AUTH_APP|AUTH_APP.*AUTH_DOMAIN/s);
    expect(run.results("convex", "Post")).toEqual(["success"]);
    await expectFailure(run, "auth-variable-missing", before);
  });

  test("to a backend that is too old for the CLI says which fits, without the CLI's retries", async ({ before }) => {
    const run = await start(binary({ BACKEND_ENV: "STANDIN_LIKE=first" }));
    expect(run.ms).toBeLessThan(30_000);
    await expectFailure(run, "cli-too-new", before);
  });

  test("of a folder without functions says what is looked for", async ({ before }) => {
    // Any folder without convex/ will do.
    const packageJson = { "package.json": '{"dependencies": {"convex": "1.48.0"}}' };
    const run = await start(binary(), { project: await makeProject("test/e2e/workflows", packageJson) });
    await expectFailure(run, "no-convex-folder", before);
  });

  test("without the convex package says how to install it", async ({ before }) => {
    const run = await start(binary({ NODE_MODULES: "/nowhere" }));
    await expectFailure(run, "convex-not-installed", before);
  });
});

describe("seeding", () => {
  test("data that the schema refuses names the table and hides the documents", async ({ before }) => {
    const files = { "seed/rooms.jsonl": '{"name": "Room 1"}\n{"name": 4711, "note": "private text"}\n' };
    const run = await start(binary({ IMPORT: "rooms=seed/rooms.jsonl" }), { files });
    expect(run.error, run.log).toContain("rooms");
    expect(run.log).not.toContain("private text");
    await expectFailure(run, "import-failed", before);
  });

  test("a table file arrives", async ({ before }) => {
    const files = { "seed/rooms.jsonl": '{"name": "Room A"}\n{"name": "Room B"}\n' };
    const run = await start(binary({ IMPORT: "rooms=seed/rooms.jsonl", RUN: "rooms:list {}" }), { files });
    expect(run.exitCode, run.log).toBe(0);
    expect(await before.leftovers()).toEqual([]);
  });

  test("with a function that is not there says so", async ({ before }) => {
    const run = await start(binary({ RUN: "seed:nothing {}" }));
    await expectFailure(run, "run-failed", before);
  });

  test("with arguments that the function refuses says so", async ({ before }) => {
    const run = await start(binary({ RUN: 'seed:basic {"rooms": "three"}' }));
    await expectFailure(run, "run-failed", before);
  });
});
