import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { dirname, join, normalize, sep } from "node:path";
import { asRecord } from "../deployment/json.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";

/** A bundled module as the CLI sends it (contract 5.2). */
export interface BundledModule {
  readonly path: string;
  readonly source: string;
}

/** What one part of the code tells, or why it tells nothing. */
export type Told<T> = { readonly value: T } | { readonly problem: string };

/** What modules tell when they are loaded. */
export interface CodeFacts {
  /** In the form of `analysis` in start_push's answer. */
  readonly analysis: Told<unknown>;
  /** In the form of `next_schema` in finish_push's answer; null without a schema file. */
  readonly schema: Told<unknown>;
  /** By identifier: function, arguments and schedule. */
  readonly crons: Told<Readonly<Record<string, unknown>>>;
  readonly authProviders: Told<readonly unknown[]>;
}

/** Read by no functions: the CLI's own names for what is not an API. */
const NO_FUNCTIONS = /^(_deps\/.*|schema\.js|convex\.config\.js|auth\.config\.js|crons\.js)$/;
const MARK = "analysis-of-functions:";

/**
 * Loads the modules and asks each exported function what it is, as the backend does (convex/server's registered
 * functions tell their kind, visibility and arguments; a router tells its routes; a schema and crons export themselves).
 */
const SCRIPT = `
import { readFileSync } from "node:fs";
const { functions: paths, files } = JSON.parse(readFileSync("asked.json", "utf8"));
const load = (path) => import(new URL(path, import.meta.url).href).catch((error) => {
  throw new Error(path + ": " + (error instanceof Error ? error.message : String(error)));
});
const told = async (work) => {
  try {
    return { value: await work() };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
};
const ofFile = (path, missing, read) => told(async () => files.includes(path) ? read((await load(path)).default) : missing);
const analysis = await told(async () => {
  const functions = {};
  for (const path of paths) {
    const module = await load(path);
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
  return { "": { functions } };
});
const facts = {
  analysis,
  schema: await ofFile("schema.js", null, (schema) => JSON.parse(schema.export())),
  crons: await ofFile("crons.js", {}, (crons) => JSON.parse(crons.export())),
  authProviders: await ofFile("auth.config.js", [], (config) => config.providers),
};
process.stdout.write("\\n${MARK}" + JSON.stringify(facts) + "\\n", () => process.exit(0));
`;

/**
 * What code tells without asking the backend, which would store it. The user's code runs in a process of its own that
 * reads nothing but itself, starts nothing, writes nothing, and has no secret in its environment: every variable is a
 * placeholder.
 * @param functions whether functions are asked too, which loads every module
 */
export async function analyse(
  modules: readonly BundledModule[],
  variables: Iterable<string>,
  options: { readonly functions: boolean },
  deps: Deps,
): Promise<CodeFacts> {
  const directory = await realpath(await mkdtemp(join(tempOf(deps), "analysis-")));
  try {
    for (const { path, source } of modules) {
      const file = join(directory, normalize(path));
      if (!file.startsWith(directory + sep)) return nothing(`${path} is no path of a module`);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, source);
    }
    await writeFile(join(directory, "package.json"), '{"type":"module"}');
    await writeFile(join(directory, "analyse.mjs"), SCRIPT);
    const files = modules.map(({ path }) => path);
    const functions = options.functions ? files.filter((path) => !NO_FUNCTIONS.test(path)) : [];
    // In a file: an app of a thousand modules has more paths than an argument may hold.
    await writeFile(join(directory, "asked.json"), JSON.stringify({ functions, files }));
    const result = await deps.exec.run(
      process.execPath,
      ["--permission", `--allow-fs-read=${directory}`, "analyse.mjs"],
      { cwd: directory, env: placeholders(modules, variables), timeoutMs: 30_000 },
    );
    const line = result.stdout.split("\n").findLast((text) => text.startsWith(MARK));
    if (result.exitCode === 0 && line !== undefined) return JSON.parse(line.slice(MARK.length)) as CodeFacts;
    const why = /^(?:\w*Error): (.*)$/m.exec(result.stderr)?.[1] ?? `exit code ${result.exitCode}`;
    return nothing(result.timedOut ? "the modules do not end loading" : why);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function nothing(problem: string): CodeFacts {
  return { analysis: { problem }, schema: { problem }, crons: { problem }, authProviders: { problem } };
}

const hostOf = (name: string): string => `${Buffer.from(name).toString("hex")}.placeholder.invalid`;
/** A value that is taken for a URL, and found again in what the code makes of it. */
const placeholderOf = (name: string): string => `https://${hostOf(name)}`;

function placeholders(modules: readonly BundledModule[], variables: Iterable<string>): Record<string, string> {
  const read = modules.flatMap(({ source }) => [...source.matchAll(/process\.env(?:\.|\[")([A-Za-z_]\w*)/g)]);
  const names = new Set([...variables, ...read.map(([, name = ""]) => name)]);
  return Object.fromEntries([...names].map((name) => [name, placeholderOf(name)]));
}

/**
 * Puts the deployment's values where the code put placeholders.
 * @returns undefined where the code computed something else from one
 */
export function withValues(value: unknown, variables: ReadonlyMap<string, string>): unknown {
  const text = JSON.stringify(value).replace(
    /https:\/\/((?:[0-9a-f]{2})+)\.placeholder\.invalid/g,
    (_, hex: string) => {
      const name = Buffer.from(hex, "hex").toString();
      return JSON.stringify(variables.get(name) ?? `$${name}`).slice(1, -1);
    },
  );
  return text.includes(".placeholder.invalid") ? undefined : (JSON.parse(text) as unknown);
}

/** The modules of a push that holds them all. */
export function modulesOf(app: Readonly<Record<string, unknown>>): BundledModule[] {
  const listed = app["changedModules"] ?? app["functions"];
  const { schema } = app;
  const all = [...(Array.isArray(listed) ? listed : []), ...(schema === null || schema === undefined ? [] : [schema])];
  return all.map(asRecord).map(({ path, source }) => ({ path: String(path), source: String(source) }));
}
