import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { asRecord } from "../deployment/json.ts";
import type { Deps } from "../system/deps.ts";

/** A bundled module as the CLI sends it (contract 5.2). */
export interface BundledModule {
  readonly path: string;
  readonly source: string;
}

/** Read by no functions: the CLI's own names for what is not an API. */
const NO_FUNCTIONS = /^(_deps\/.*|schema\.js|convex\.config\.js|auth\.config\.js|crons\.js)$/;
const PLACEHOLDER = "https://placeholder.invalid";
const MARK = "analysis-of-functions:";

/**
 * Loads the modules and asks each exported function what it is, as the backend does (convex/server's registered
 * functions tell their kind, visibility and arguments; a router tells its routes).
 */
const SCRIPT = `
const functions = {};
for (const path of JSON.parse(process.argv[2])) {
  const module = await import(new URL(path, import.meta.url).href).catch((error) => {
    throw new Error(path + ": " + (error instanceof Error ? error.message : String(error)));
  });
  const found = { functions: [], httpRoutes: null };
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === "function" && (value.isQuery || value.isMutation || value.isAction)) {
      found.functions.push({
        name,
        udfType: value.isQuery ? "Query" : value.isMutation ? "Mutation" : "Action",
        visibility: { kind: value.isInternal ? "internal" : "public" },
        args: value.exportArgs(),
      });
    }
  }
  if (path === "http.js") {
    found.httpRoutes = module.default.getRoutes().map(([path, method]) => ({ route: { path, method } }));
  }
  functions[path] = found;
}
process.stdout.write("\\n${MARK}" + JSON.stringify({ "": { functions } }) + "\\n", () => process.exit(0));
`;

/**
 * What start_push would answer as `analysis`, without asking the backend, which would store the push. The user's code
 * runs in a process of its own that reads nothing but itself, starts nothing, writes nothing, and has no secret in its
 * environment: every variable is a placeholder.
 * @returns the analysis, or why there is none
 */
export async function analyse(
  modules: readonly BundledModule[],
  variables: Iterable<string>,
  deps: Deps,
): Promise<{ readonly analysis: unknown } | { readonly problem: string }> {
  const directory = await realpath(await mkdtemp(join(deps.env["RUNNER_TEMP"] ?? tmpdir(), "analysis-")));
  try {
    for (const { path, source } of modules) {
      const file = join(directory, normalize(path));
      if (!file.startsWith(directory)) return { problem: `${path} is no path of a module` };
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, source);
    }
    await writeFile(join(directory, "package.json"), '{"type":"module"}');
    await writeFile(join(directory, "analyse.mjs"), SCRIPT);
    const paths = modules.map(({ path }) => path).filter((path) => !NO_FUNCTIONS.test(path));
    const result = await deps.exec.run(
      process.execPath,
      ["--permission", `--allow-fs-read=${directory}`, "analyse.mjs", JSON.stringify(paths)],
      { cwd: directory, env: Object.fromEntries([...variables].map((name) => [name, PLACEHOLDER])), timeoutMs: 30_000 },
    );
    const line = result.stdout.split("\n").findLast((text) => text.startsWith(MARK));
    if (result.exitCode === 0 && line !== undefined)
      return { analysis: JSON.parse(line.slice(MARK.length)) as unknown };
    const why = /^(?:\w*Error): (.*)$/m.exec(result.stderr)?.[1] ?? `exit code ${result.exitCode}`;
    return { problem: result.timedOut ? "they do not end loading" : why };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The modules of a push that holds them all. */
export function modulesOf(app: Readonly<Record<string, unknown>>): BundledModule[] {
  const listed = app["changedModules"] ?? app["functions"];
  return (Array.isArray(listed) ? listed : []).map(asRecord).map(({ path, source }) => ({
    path: String(path),
    source: String(source),
  }));
}
