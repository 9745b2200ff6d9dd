import { chmod, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { findProject } from "../../../src/deployment/project.ts";
import { cliEnvironment, PushError, type PushRequest, push } from "../../../src/deployment/push.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import type { ExecOptions } from "../../../src/system/exec.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { collectLog, directoryWith, fakeDeps } from "./support.ts";

const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));
const SCHEMA = `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ messages: defineTable({ body: v.string() }) });
`;
const MESSAGES = `import { mutationGeneric as mutation } from "convex/server";
export const send = mutation({ handler: async (ctx, { body }: { body: string }) => { await ctx.db.insert("messages", { body }); } });
`;
const BASE = {
  "packages/backend/package.json": JSON.stringify({ type: "module", dependencies: { convex: "1.48.0" } }),
  "packages/backend/convex/schema.ts": SCHEMA,
  "packages/backend/convex/messages.ts": MESSAGES,
  "packages/backend/convex/tsconfig.json": JSON.stringify({
    compilerOptions: {
      target: "ESNext",
      module: "ESNext",
      moduleResolution: "Bundler",
      strict: true,
      skipLibCheck: true,
      noEmit: true,
      types: [],
    },
    include: ["./**/*"],
  }),
};

let standin: Standin;
beforeAll(async () => {
  standin = await startStandin();
});
afterAll(() => standin.stop());

async function project(files: Record<string, string> = {}): Promise<AsyncDisposable & { path: string; root: string }> {
  const directory = await directoryWith({ ...BASE, ...files });
  // The CLI looks for tsc in the node_modules beside it alone.
  await symlink(MODULES, join(directory.path, "packages/backend/node_modules"));
  return { ...directory, root: join(directory.path, "packages/backend") };
}

async function deploy(
  app: { path: string; root: string },
  more: Partial<PushRequest> = {},
  deps: Deps = fakeDeps({ clock: systemClock }),
): Promise<Awaited<ReturnType<typeof push>>> {
  return await push(deps, {
    project: await findProject(app.root),
    url: standin.url,
    adminKey: standin.adminKey,
    typecheck: "disable",
    codegen: "disable",
    repositoryRoot: app.path,
    ...more,
  });
}

async function failed(work: Promise<unknown>): Promise<PushError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PushError);
  return error as PushError;
}

describe("the real CLI against the stand-in", () => {
  it("deploys with the defaults, its lines printed as foreign text", async () => {
    await using app = await project({
      "packages/backend/.env.local": "CONVEX_DEPLOYMENT=dev:elsewhere-1\nCONVEX_DEPLOY_KEY=prod:elsewhere|x\n",
    });
    const lines = collectLog();
    const env = {
      ...process.env,
      CONVEX_DEPLOY_KEY: "prod:other|key",
      CONVEX_DEPLOYMENT: "dev:other",
      GITHUB_ACTIONS: "true",
    };
    const result = await deploy(
      app,
      { typecheck: "try", codegen: "enable" },
      fakeDeps({ log: lines.log, clock: systemClock, env }),
    );
    expect(result).toMatchObject({ attempts: 1, cliVersion: "1.48.0" });
    expect(lines.all).toContain(`foreign: ✔ Deployed Convex functions to ${standin.url}`);
    expect(lines.all.join("\n")).not.toContain(standin.adminKey);
    const client = new DeploymentClient({ ...fakeDeps(), url: standin.url, adminKey: standin.adminKey });
    expect(await client.systemQuery("_system/cli/modules:apiSpec", {})).toMatchObject([
      { identifier: "messages.js:send" },
    ]);
  });

  it("fails with the place of a type error", async () => {
    await using app = await project({
      "packages/backend/convex/bad.ts": 'export const fine = 1;\nexport const x: number = "s";\n',
    });
    const error = await failed(deploy(app, { typecheck: "enable" }));
    expect([error.code, error.phase]).toEqual(["typecheck-failed", "typecheck"]);
    expect(error.annotations).toEqual([
      {
        file: "packages/backend/convex/bad.ts",
        line: 2,
        column: 14,
        title: "TS2322",
        message: "Type 'string' is not assignable to type 'number'.",
      },
    ]);
  });

  it("fails with the place of a syntax error", async () => {
    await using app = await project({ "packages/backend/convex/bad.ts": "export const x = ;\n" });
    const error = await failed(deploy(app));
    expect([error.code, error.phase]).toEqual(["bundle-failed", "bundle"]);
    expect(error.annotations[0]).toMatchObject({ file: "packages/backend/convex/bad.ts", line: 1, column: 18 });
  });

  it("fails with table and id, and prints no document", async () => {
    await using app = await project();
    await deploy(app);
    const deps = fakeDeps();
    await deps.http.request(`${standin.url}/api/mutation`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: "messages:send", args: { body: "very private words" } }),
    });
    await writeFile(
      join(app.root, "convex/schema.ts"),
      SCHEMA.replace("body: v.string()", "body: v.string(), at: v.number()"),
    );
    const lines = collectLog();
    const error = await failed(deploy(app, {}, fakeDeps({ log: lines.log, clock: systemClock })));
    expect([error.code, error.phase]).toEqual(["schema-violated", "schema"]);
    expect(error.annotations[0]).toMatchObject({ file: "packages/backend/convex/schema.ts", line: 3 });
    const everything = [error.text, ...lines.all, JSON.stringify(error.annotations)].join("\n");
    expect(everything).toContain('in table "messages"');
    expect(everything).not.toContain("very private words");
    const shown = collectLog();
    await failed(deploy(app, { showDocuments: true }, fakeDeps({ log: shown.log, clock: systemClock })));
    expect(shown.all.join("\n")).toContain("very private words");
  });

  it("fails with the variable that auth.config lacks", async () => {
    await using app = await project({
      "packages/backend/convex/auth.config.ts":
        'export default {\n  providers: [{ domain: process.env.AUTH_DOMAIN!, applicationID: "convex" }],\n};\n',
    });
    const error = await failed(deploy(app));
    expect([error.code, error.phase]).toEqual(["auth-variable-missing", "evaluate"]);
    expect(error.annotations[0]).toMatchObject({ file: "packages/backend/convex/auth.config.ts", line: 2 });
  });

  it("fails with the module that throws when it is loaded", async () => {
    await using app = await project({
      "packages/backend/convex/bad.ts":
        'if (!process.env.NEEDED) throw new Error("NEEDED is not set");\nexport const x = 1;\n',
    });
    const error = await failed(deploy(app));
    expect([error.code, error.phase]).toEqual(["modules-invalid", "evaluate"]);
    expect(error.message).toContain("NEEDED is not set");
    expect(error.annotations[0]).toMatchObject({ file: "packages/backend/convex/bad.ts", line: 1 });
  });

  it("is not started on a backend that does not know what it asks for", async () => {
    await using first = await startStandin({ like: "first" });
    await using app = await project();
    const started = performance.now();
    const error = await failed(deploy(app, { url: first.url, adminKey: first.adminKey }));
    expect([error.code, error.phase]).toEqual(["cli-too-new", "setup"]);
    expect(error.message).toContain("convex 1.48.0 asks for evaluate_push");
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  it("fails with a key of another secret, which does not show", async () => {
    await using app = await project();
    const adminKey = standin.adminKey.replace(/.{4}$/, "0000");
    const lines = collectLog();
    const error = await failed(deploy(app, { adminKey }, fakeDeps({ log: lines.log, clock: systemClock })));
    expect(error.code).toBe("admin-key-rejected");
    expect([error.text, ...lines.all].join("\n")).not.toContain(adminKey.slice(20));
  });
});

/** A program in place of the CLI, which does what a test needs. */
async function withCli(script: string, version = "1.48.0"): Promise<AsyncDisposable & { path: string; root: string }> {
  const directory = await directoryWith({
    ...BASE,
    "node_modules/convex/package.json": JSON.stringify({ version, bin: { convex: "main.mjs" } }),
    "node_modules/convex/main.mjs": script,
  });
  return { ...directory, root: join(directory.path, "packages/backend") };
}

const RACE =
  'console.error("- Deploying to http://x...\\n\\nPushing code to your Convex deployment...\\n✖ Error fetching POST  http://x/api/deploy2/start_push 409 Conflict: ExistingModuleHashConflict: Hit an error while pushing:\\nExisting module hash does not match.");';

describe("how the CLI is run", () => {
  it("repeats a deploy that another one got in the way of, three times at most", async () => {
    await using app = await withCli(
      `import { existsSync, writeFileSync } from "node:fs"; if (!existsSync("once")) { writeFileSync("once", ""); ${RACE} process.exit(1); }`,
    );
    const lines = collectLog();
    expect(await deploy(app, {}, fakeDeps({ log: lines.log }))).toMatchObject({ attempts: 2 });
    expect(lines.all.some((line) => line.startsWith("info: Another deploy") && line.includes("(2 of 3)"))).toBe(true);
    await using always = await withCli(`${RACE} process.exit(1);`);
    const error = await failed(deploy(always, {}, fakeDeps()));
    expect(error.code).toBe("deploy-raced");
  });

  it("does not replace the schema of another deploy that came later", async () => {
    await using app = await withCli(
      'console.error("- Deploying to http://x...\\n\\nPushing code to your Convex deployment...\\n✖ Schema was overwritten by another push."); process.exit(1);',
    );
    const lines = collectLog();
    const error = await failed(deploy(app, {}, fakeDeps({ log: lines.log })));
    expect(error.code).toBe("deploy-raced");
    expect(lines.all.filter((line) => line.includes("Deploying again"))).toEqual([]);
  });

  it("believes the exit code, not the text", async () => {
    await using liar = await withCli('console.error("✔ Deployed Convex functions to x"); process.exit(1);');
    expect((await failed(deploy(liar))).code).toBe("deploy-failed");
    await using quiet = await withCli('console.error("✖ Error: Unable to start push");');
    expect(await deploy(quiet)).toMatchObject({ attempts: 1 });
  });

  it("ends a deploy that takes too long", async () => {
    await using app = await withCli('console.error("Pushing code..."); setInterval(() => {}, 1000);');
    const error: unknown = await deploy(app, { timeoutMs: 2500 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ActionError);
    expect((error as ActionError).code).toBe("deploy-timeout");
    expect((error as ActionError).message).toContain("Pushing code...");
  });

  it("keeps the key out of the arguments, but for a CLI that knows no variables", async () => {
    const seen: { args: readonly string[]; options: ExecOptions | undefined }[] = [];
    const lines = collectLog();
    const deps = fakeDeps({
      log: lines.log,
      exec: {
        run: async (_command, args, options) => {
          seen.push({ args, options });
          return { exitCode: 0, stdout: "", stderr: "", timedOut: false };
        },
      },
    });
    await using app = await withCli("");
    await deploy(app, { typecheck: "enable", codegen: "enable" }, deps);
    expect(seen[0]?.args.slice(1)).toEqual(["deploy", "--typecheck", "enable", "--codegen", "enable"]);
    expect(seen[0]?.options?.cwd).toBe(app.root);
    expect(lines.all).toEqual([]);
    await using old = await withCli("", "1.19.1");
    await deploy(old, {}, deps);
    expect(seen[1]?.args.slice(-4)).toEqual(["--url", standin.url, "--admin-key", standin.adminKey]);
    expect(lines.all[0]).toMatch(/^warning: convex 1\.19\.1 knows no variables/);
    await using first = await withCli("", "1.19.2");
    await deploy(first, {}, deps);
    expect(seen[2]?.args).not.toContain("--admin-key");
  });

  it("uses the job's node, or its own where there is none", async () => {
    await using app = await withCli('console.log(process.env.WHICH ?? "own");');
    const bin = join(app.path, "bin");
    await using tools = await directoryWith({ node: `#!/bin/sh\nWHICH=job exec ${process.execPath} "$@"\n` });
    await chmod(join(tools.path, "node"), 0o755);
    const lines = collectLog();
    await deploy(app, {}, fakeDeps({ log: lines.log, env: { PATH: `${bin}:${tools.path}` } }));
    await rm(join(tools.path, "node"));
    await deploy(app, {}, fakeDeps({ log: lines.log, env: { PATH: tools.path } }));
    expect(lines.all).toEqual(["foreign: job", "foreign: own"]);
  });

  it("gives it the job's environment without what belongs to this action or points elsewhere", () => {
    const env = cliEnvironment(
      {
        PATH: "/bin",
        GITHUB_ACTIONS: "true",
        GITHUB_SHA: "abc",
        INPUT_JWT_PRIVATE_KEY: "x",
        "INPUT_INSTANCE-SECRET": "x",
        STATE_backend: "x",
        ACTIONS_RUNTIME_TOKEN: "x",
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: "x",
        CONVEX_DEPLOY_KEY: "x",
        CONVEX_DEPLOYMENT: "x",
        CONVEX_DEPLOYMENT_TOKEN: "x",
        CONVEX_SELF_HOSTED_URL: "x",
        FORCE_COLOR: "1",
        VERCEL: "1",
        MY_TOKEN: "kept",
      },
      "http://u",
      "n|k",
    );
    expect(env).toEqual({
      PATH: "/bin",
      GITHUB_ACTIONS: "true",
      GITHUB_SHA: "abc",
      MY_TOKEN: "kept",
      CONVEX_DEPLOY_KEY: "",
      CONVEX_DEPLOYMENT: "",
      CONVEX_DEPLOYMENT_TOKEN: "",
      CONVEX_SELF_HOSTED_URL: "http://u",
      CONVEX_SELF_HOSTED_ADMIN_KEY: "n|k",
      CI: "1",
      NO_COLOR: "1",
    });
  });
});
