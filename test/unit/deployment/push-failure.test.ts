import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { classifyPush } from "../../../src/deployment/push-failure.ts";
import type { PushContext } from "../../../src/deployment/push-verdict.ts";

interface Run {
  title: string;
  exitCode: number;
  stderr: string;
}
interface Answer {
  status: number;
  code: string;
  message: string;
  sources: Record<string, string>;
}
const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/deploy/${name}.json`, import.meta.url), "utf8"));
const runs = (fixture("failed-runs") as { runs: Record<string, Run> }).runs;
const answers = (fixture("refused-pushes") as { answers: Record<string, Answer> }).answers;

const AUTH =
  "export default {\n  // AUTH_DOMAIN is set by the deploy\n  providers: [{ domain: process.env.AUTH_DOMAIN! }],\n};\n";
const SCHEMA = "export default defineSchema({\n  users: defineTable({}),\n  messages: defineTable({}),\n});\n";

function context(files: Record<string, string>, more: Partial<PushContext> = {}): PushContext {
  return {
    sources: { prefix: "packages/backend", functionsPath: "convex", read: (file) => files[file] },
    cliVersion: "1.48.0",
    installCommand: "npm ci",
    nodeModules: [],
    showDocuments: false,
    ...more,
  };
}

const FILES: Record<string, string> = {
  "convex/auth.config.ts": AUTH,
  "convex/schema.ts": SCHEMA,
  "convex/bad.ts": "one();\ntwo();\n",
  "convex/bad-name.ts": "",
  "convex/http.ts": "route();\n",
  "convex/crons.ts": "",
  "convex/convex.config.ts": "",
  "convex/widget/bad.ts": "1\n2\n3\n",
  "convex/widget/schema.ts": "counters: 1",
};

const at = (file: string, line?: number, column?: number): object => ({
  file: `packages/backend/convex/${file}`,
  ...(line === undefined ? {} : { line }),
  ...(column === undefined ? {} : { column }),
});

/** Recording → code, phase, `again` where the whole deploy is repeated, place of the first annotation. */
const EXPECTED: Record<string, [code: string, phase: string, again?: "again" | "", place?: object]> = {
  "auth-env-missing": ["auth-variable-missing", "evaluate", "", at("auth.config.ts", 3)],
  "auth-invalid": ["auth-config-invalid", "evaluate", "", at("auth.config.ts")],
  "bad-config": ["convex-config-invalid", "evaluate", "", at("convex.config.ts")],
  "bad-cron": ["cron-invalid", "evaluate", "", at("crons.ts")],
  "bad-key": ["admin-key-rejected", "evaluate"],
  "bad-path": ["modules-invalid", "evaluate", "", at("bad-name.ts")],
  "bad-schema": ["schema-invalid", "evaluate", "", at("schema.ts", 3)],
  "cli-backend-gone": ["backend-unreachable", "finish", "again"],
  "cli-component-bad-schema": ["schema-invalid", "evaluate"],
  "cli-component-throws": ["modules-invalid", "evaluate", "", at("widget/bad.ts", 2)],
  "cli-component-violation": ["schema-violated", "schema", "", at("widget/schema.ts", 1)],
  "cli-cron-bad-expression": ["cron-invalid", "evaluate", "", at("crons.ts")],
  "cli-finish-500": ["backend-failed", "finish", "again"],
  "cli-force-color": ["cron-invalid", "evaluate", "", at("crons.ts")],
  "cli-large-index-deletion": ["deploy-unconfirmed", "evaluate"],
  "cli-no-node": ["backend-failed", "evaluate"],
  "cli-node-external-no-node": ["backend-failed", "evaluate"],
  "cli-node-external-offline": ["external-packages-failed", "evaluate"],
  "cli-race-both": ["deploy-raced", "finish", "again"],
  "cli-race-completed": ["deploy-raced", "schema"],
  "cli-race-env-deleted": ["deploy-raced", "finish", "again"],
  "cli-race-env": ["deploy-raced", "finish", "again"],
  "cli-race-finish": ["deploy-raced", "finish"],
  "cli-race-module-removed": ["deploy-raced", "evaluate", "again"],
  "cli-race-modules-start": ["deploy-raced", "start", "again"],
  "cli-race-modules": ["deploy-raced", "evaluate", "again"],
  "cli-race-wait": ["deploy-raced", "schema"],
  "cli-storage-lost-all-changed": ["backend-failed", "evaluate"],
  "cli-storage-lost-changed": ["backend-failed", "evaluate"],
  "cli-storage-lost": ["backend-failed", "evaluate"],
  "cli-violation-after-wait": ["schema-violated", "finish", "", at("schema.ts", 3)],
  "cmd-bad-key": ["admin-key-rejected", "setup"],
  "cmd-fails": ["deploy-failed", "setup"],
  "cmd-read-only-key": ["admin-key-forbidden", "evaluate"],
  "cmd-system-key": ["admin-key-forbidden", "setup"],
  "duplicate-route": ["modules-invalid", "evaluate", "", at("http.ts", 1)],
  "module-env-access": ["modules-invalid", "evaluate", "", at("bad.ts", 1)],
  "node-builtin": ["bundle-node-api", "bundle", "", at("bad.ts", 1, 16)],
  "query-in-node": ["modules-invalid", "evaluate", "", at("bad.ts")],
  "read-only-key": ["admin-key-forbidden", "evaluate"],
  "reserved-table": ["schema-invalid", "evaluate", "", at("schema.ts")],
  "schema-no-default": ["schema-invalid", "evaluate", "", at("schema.ts")],
  "schema-throws": ["schema-invalid", "evaluate", "", at("schema.ts", 1)],
  "schema-violation": ["schema-violated", "schema", "", at("schema.ts", 3)],
  "syntax-error": ["bundle-failed", "bundle", "", at("bad.ts", 1, 18)],
  "system-key": ["admin-key-forbidden", "evaluate"],
  "typecheck-fails": ["typecheck-failed", "typecheck", "", at("bad.ts", 1, 14)],
  "local: no convex directory": ["no-convex-folder", "bundle"],
  "local: convex.json not JSON": ["convex-json-invalid", "setup"],
  "local: convex.json with another functions directory that does not exist": ["no-convex-folder", "bundle"],
  "local: convex.json nodeVersion 16": ["convex-config-invalid", "evaluate"],
  "local: convex not in package.json": ["convex-not-installed", "evaluate"],
  "local: import of a package that is not installed": ["bundle-unresolved", "bundle", "", at("m.ts", 3, 15)],
  "local: only URL set": ["cli-too-old", "setup"],
  "local: CONVEX_DEPLOYMENT also set": ["deploy-failed", "setup"],
  "local: key of another instance name": ["admin-key-rejected", "evaluate"],
  "local: key empty-ish": ["admin-key-rejected", "evaluate"],
  "variables: key with a newline in the middle": ["admin-key-malformed", "evaluate"],
  "variables: URL in quotes": ["url-invalid", "evaluate"],
  "variables: URL without scheme": ["url-invalid", "evaluate"],
  "variables: URL https to the http port": ["backend-unreachable", "evaluate"],
  "variables: URL with an unknown host": ["backend-unreachable", "evaluate"],
  "variables: URL of the site port": ["backend-route-missing", "evaluate"],
  "variables: a proxy that answers 502": ["backend-answer-unreadable", "evaluate"],
  "variables: a proxy that answers 413": ["backend-answer-unreadable", "evaluate"],
  "variables: a redirect (301) to the backend": ["backend-answer-unreadable", "evaluate"],
  "variables: a web server that answers 200 with HTML": ["backend-answer-unreadable", "evaluate"],
};

/** The same failure of each CLI version; the oldest name no phases. */
const BY_VERSION: Record<string, string> = {
  moduleThrows: "modules-invalid",
  badKey: "admin-key-rejected",
  envRace: "deploy-raced",
  violation: "schema-violated",
};

function codeFor(name: string): string | undefined {
  if (name.startsWith("variables: key")) return EXPECTED[name]?.[0] ?? "admin-key-rejected";
  if (name.startsWith("convex ")) return BY_VERSION[name.slice(name.indexOf(": ") + 2)];
  return EXPECTED[name]?.[0];
}

describe("recorded failures of the real CLI (contract 5.3, 5.4)", () => {
  it.each(Object.keys(runs))("%s", (name) => {
    const run = runs[name];
    if (run === undefined) return expect.unreachable();
    const failure = classifyPush(run.stderr, run.exitCode, context(FILES));
    expect(failure.code).toBe(codeFor(name));
    expect(failure.message).not.toMatch(/\n|\u001b|Hit an error while/);
    expect(failure.message).not.toContain("|01");
    expect(failure.hint).toMatch(/\.$/);
    const expected = EXPECTED[name];
    if (expected === undefined) return;
    expect([failure.phase, failure.retry]).toEqual([expected[1], expected[2] === "again"]);
    const [first] = failure.annotations;
    const { title: _title, message: _message, ...place } = first ?? { title: "", message: "" };
    expect(place).toEqual(expected[3] ?? {});
  });
});

describe("further answers of evaluate_push (contract 5.2)", () => {
  it.each(Object.keys(answers))("%s", (name) => {
    const answer = answers[name];
    if (answer === undefined) return expect.unreachable();
    const files = Object.fromEntries(Object.entries(answer.sources).map(([file, text]) => [`convex/${file}`, text]));
    const failure = classifyPush(refused(answer.code, answer.message), 1, context(files));
    const code = /evaluating your schema/.test(answer.message)
      ? "schema-invalid"
      : ["e_dup_component", "e_comp_name", "e_config_throws", "e_http_prefix"].includes(name)
        ? "convex-config-invalid"
        : "modules-invalid";
    expect(failure.code).toBe(code);
    // Whatever file the message names is one of the sources that were pushed.
    const [annotation] = failure.annotations;
    if (annotation !== undefined) {
      expect(Object.keys(files).map((file) => `packages/backend/${file}`)).toContain(annotation.file);
    }
    expect([annotation?.line, name]).toEqual([LINES[name], name]);
  });
});

/** Where a line is known: that of the table, or that of the stack (which is one less for the last line of a file). */
const LINES: Record<string, number> = {
  e_idx_reserved: 4,
  e_idx_dup: 4,
  e_idx_samefields: 4,
  e_idx_empty: 4,
  e_idx_many: 4,
  e_idx_name: 4,
  e_vec_dim: 4,
  e_schema_import: 3,
  e_http_path: 2,
  e_config_throws: 1,
  e_http_prefix: 1,
  e_node_throw: 4,
};

function refused(code: string, message: string, endpoint = "evaluate_push", status = "400 Bad Request"): string {
  return `- Deploying to http://x...\n\n✖ Error: Unable to start push to http://x\n✖ Error fetching POST  http://x/api/deploy2/${endpoint} ${status}: ${code}: ${message}\n`;
}

describe("what no recording shows", () => {
  it("a backend that does not know what the CLI asks for", () => {
    const output =
      "- Deploying to http://x...\n\nRetrying request (attempt 6/6)...\n✖ Error: Unable to start push to http://x\n✖ Error fetching POST  http://x/api/deploy2/evaluate_push 404 Not Found: http://x/api/deploy2/evaluate_push\n";
    const failure = classifyPush(output, 1, context({}));
    expect(failure.code).toBe("cli-too-new");
    expect(failure.message).toContain("convex 1.48.0 asks for evaluate_push");
    expect(failure.hint).toContain("1.29.1");
  });

  it("a backend that expects another body", () => {
    const output = refused(
      "BadJsonBody",
      "Failed to deserialize the JSON body into the target type: missing field `functions`",
    );
    expect(classifyPush(output, 1, context({}))).toMatchObject({
      code: "cli-too-new",
      hint: expect.stringContaining("1.31.6"),
    });
  });

  it("a second writer in between (503) is tried again", () => {
    const text = "Hit an error while pushing:\nData read or written in this mutation changed while it was being run.";
    const output = refused("OptimisticConcurrencyControlFailure", text, "start_push", "503 Service Unavailable");
    expect(classifyPush(output, 1, context({}))).toMatchObject({ code: "deploy-raced", retry: true });
    const busy = refused("TooManyRequests", "Slow down.", "start_push", "429 Too Many Requests");
    expect(classifyPush(busy, 1, context({}))).toMatchObject({ code: "backend-busy", retry: true });
  });

  it("a variable that convex.config.ts requires", () => {
    const newer =
      "✖ Environment variables A, B are declared as required in convex.config.ts but their values were not set.\n";
    expect(classifyPush(newer, 1, context({}))).toMatchObject({
      code: "env-required",
      message: expect.stringContaining("A, B"),
    });
  });

  it("names Node actions when the backend gives no reason", () => {
    const output = refused(
      "InternalServerError",
      "Your request couldn't be completed. Try again later.",
      "evaluate_push",
      "500 Internal Server Error",
    );
    const failure = classifyPush(output, 1, context({}, { nodeModules: ["convex/mail.ts"] }));
    expect(failure.message).toContain("convex/mail.ts");
    expect(failure.hint).toContain("node");
    expect(classifyPush(output, 1, context({})).hint).toContain("Src Pkg storage key not found");
  });

  it.each([
    ["DeploymentNotConfiguredForNodeActions", "node-version-unsupported", "20, 22 or 24"],
    ["NodeVersionNotSupported", "node-version-unsupported", "20, 22 or 24"],
    ["SomethingNewer", "deploy-refused", "SomethingNewer"],
  ])("a refusal with the code %s", (code, ours, hint) => {
    const failure = classifyPush(refused(code, "No.", "evaluate_push"), 1, context({}));
    expect(failure).toMatchObject({ code: ours, hint: expect.stringContaining(hint) });
  });

  it("a CLI that was killed", () => {
    expect(classifyPush("- Deploying to http://x...\n", 137, context({}))).toMatchObject({ code: "deploy-killed" });
  });

  it("several type errors, one of them over two lines, the other not pretty", () => {
    const output =
      "Running TypeScript...\n✖ TypeScript typecheck via `tsc` failed.\n\nconvex/a.ts:3:5 - error TS2345: Argument of type 'A'\n  is not assignable to 'B'.\n\n3 x;\n\nconvex/b.ts(7,9): error TS1005: ';' expected.\n";
    expect(classifyPush(output, 1, context({})).annotations).toEqual([
      { ...at("a.ts", 3, 5), title: "TS2345", message: "Argument of type 'A'\n  is not assignable to 'B'." },
      { ...at("b.ts", 7, 9), title: "TS1005", message: "';' expected." },
    ]);
  });

  it("a type error that reached the CLI in pieces, each of which it prints on a line of its own", () => {
    const output =
      "✖ TypeScript typecheck via `tsc` failed.\n- Collecting TypeScript errors\n\n\nconvex/bad.ts\n\n:\n\n2\n\n:\n14 -\nerror\n TS2322:\nType 'string' is not assignable to type 'number'.\n\n2\n export const x: number\n\nFound 1 error in convex/bad.ts:2\n";
    expect(classifyPush(output, 1, context({})).annotations).toEqual([
      { ...at("bad.ts", 2, 14), title: "TS2322", message: "Type 'string' is not assignable to type 'number'." },
    ]);
  });

  it.each([
    [
      "Found no convex/tsconfig.json to use to typecheck Convex functions, so skipping typecheck.",
      "convex/tsconfig.json",
    ],
    ["No `tsc` binary found, so skipping typecheck.", "tsc in the project's own node_modules"],
  ])("a type check that was demanded and cannot be done: %s", (line, missing) => {
    const output = `Running TypeScript...\n${line}\nTo ignore failing typecheck, use \`--typecheck=disable\`.\n`;
    expect(classifyPush(output, 1, context({}))).toMatchObject({
      code: "typecheck-impossible",
      message: `The type check cannot be done: ${missing} is missing.`,
    });
  });

  it("a component that was not built", () => {
    const output =
      '✘ [ERROR] Could not resolve "@acme/widget/convex.config.js"\n\n    convex/convex.config.ts:2:19:\n      2 │ import widget\n';
    expect(classifyPush(output, 1, context({}))).toMatchObject({
      code: "bundle-unresolved",
      hint: expect.stringContaining("built first"),
    });
  });
});

describe("documents", () => {
  const run = runs["schema-violation"] ?? { stderr: "", exitCode: 0, title: "" };

  it("do not show", () => {
    const failure = classifyPush(run.stderr, run.exitCode, context(FILES));
    expect(JSON.stringify(failure)).not.toContain('author: \\"a2');
    expect(failure.message).toContain("j572c9mnrgh6chrpbzcrk7qhe18js9nf");
    expect(failure.annotations[0]?.message).toContain("Validator: v.object(");
  });

  it("show when asked for", () => {
    const failure = classifyPush(run.stderr, run.exitCode, context(FILES, { showDocuments: true }));
    expect(failure.annotations[0]?.message).toContain('author: "a2"');
  });
});
