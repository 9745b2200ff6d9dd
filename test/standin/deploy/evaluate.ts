/**
 * Evaluation of a push: definitions, auth config, schemas and modules are loaded and looked at, nothing is stored
 * (contract 5.2). Errors are those of `evaluate_push` and `start_push`.
 */
import { createHash, randomBytes } from "node:crypto";
import type { IsolatePool } from "../runtime/isolate.ts";
import type { NodeExecutor } from "../runtime/node-executor.ts";
import type { Analysis, Job, JobError, ModuleExports } from "../runtime/protocol.ts";
import { ApiError } from "../types.ts";
import type { Provider } from "../users.ts";
import { int64Base64 } from "../values.ts";
import type {
  AnalyzedModuleJson,
  CheckedComponent,
  ChildComponent,
  DefinitionJson,
  EvaluatedDefinition,
  ExportNode,
} from "./analysis.ts";
import { AUTH_MODULE, evaluateAuthConfig } from "./auth-config.ts";
import { isPlumbing } from "./code.ts";
import { checkedComponent, exportTree } from "./component-tree.ts";
import { checkCrons, readCrons } from "./crons.ts";
import type { PushedDefinition } from "./request.ts";
import { readSchema, type Schema } from "./schema.ts";
import { schemaError } from "./schema-rules.ts";

const PUSHING = "Hit an error while pushing:\n";
const LOADING = "Loading the pushed modules encountered the following\n    error:\n";
const IMPORT_LIMIT_MS = 4000;

export interface Evaluation {
  readonly definitions: readonly PushedDefinition[];
  readonly analysis: Readonly<Record<string, EvaluatedDefinition>>;
  readonly app: CheckedComponent;
  readonly auth: readonly Provider[];
}

export interface EvaluationDeps {
  readonly pool: IsolatePool;
  readonly node: NodeExecutor;
  /** Where external packages of Node modules were installed. */
  readonly folder: string | undefined;
  /** What functions see. */
  readonly env: Readonly<Record<string, string>>;
  /** The release knows variables that a convex.config declares (contract 11). */
  readonly declaredVariables: boolean;
}

/** Adds the prefix of a push to what is not already worded in full. */
export function asPushError(error: unknown): unknown {
  if (
    !(error instanceof ApiError) ||
    error.status >= 500 ||
    error.code === "InvalidConfig" ||
    error.message.startsWith(PUSHING)
  )
    return error;
  return new ApiError(error.status, error.code, PUSHING + error.message);
}

/** Evaluates once for the same code and environment: `start_push` follows `evaluate_push` with the same body. */
export class Evaluator {
  #last: { key: string; result: Promise<Evaluation> } | undefined;

  evaluate(definitions: readonly PushedDefinition[], deps: EvaluationDeps): Promise<Evaluation> {
    const hash = createHash("sha256").update(JSON.stringify(deps.env));
    for (const one of definitions)
      hash.update(JSON.stringify([one.path, one.dependencies, one.hasSchema, one.serverVersion, one.code.isolate.id]));
    const key = hash.digest("hex");
    if (this.#last?.key === key) return this.#last.result;
    const result = evaluate(definitions, deps);
    this.#last = { key, result };
    result.catch(() => {
      if (this.#last?.key === key) this.#last = undefined;
    });
    return result;
  }
}

async function evaluate(definitions: readonly PushedDefinition[], deps: EvaluationDeps): Promise<Evaluation> {
  const exported = await evaluateDefinitions(definitions, deps);
  const [root] = definitions;
  if (root === undefined) throw new Error("a push without an app");
  const hasAuth = root.code.modules.some((module) => module.path === AUTH_MODULE);
  const auth = hasAuth
    ? await evaluateAuthConfig(deps.pool, root.code.isolate, deps.env, "The pushed auth config is invalid: ")
    : [];
  const analysis: Record<string, EvaluatedDefinition> = {};
  for (const one of definitions) {
    const definition = exported.get(one.path);
    if (definition === undefined) throw new Error(`no definition of ${one.path}`);
    const schema = one.hasSchema ? await evaluateSchema(one, deps) : null;
    const functions = await analyzeModules(one, deps);
    checkCrons(functions);
    const exports = one.path === "" ? definition.exports : exportTree(functions);
    analysis[one.path] = {
      definition: { ...definition, exports },
      schema,
      functions,
      udfConfig: udfConfig(one.serverVersion),
    };
  }
  return { definitions, analysis, app: checkedComponent("", "", analysis, deps.declaredVariables), auth };
}

function udfConfig(serverVersion: string): EvaluatedDefinition["udfConfig"] {
  return {
    importPhaseRngSeed: { $bytes: randomBytes(32).toString("base64") },
    importPhaseUnixTimestamp: { $integer: int64Base64(BigInt(Date.now()) * 1_000_000n) },
    serverVersion,
  };
}

async function run(
  job: Job,
  one: PushedDefinition,
  deps: Pick<EvaluationDeps, "pool">,
): Promise<{ value: unknown } | { error: JobError }> {
  const result = await deps.pool.exclusive((isolate) => isolate.run(job, [one.code.isolate], {}, IMPORT_LIMIT_MS));
  return result.ok ? { value: result.value } : { error: result.error };
}

// ---------------------------------------------------------------- definitions

/** Children first, since a parent needs their names. */
async function evaluateDefinitions(
  definitions: readonly PushedDefinition[],
  deps: EvaluationDeps,
): Promise<Map<string, DefinitionJson>> {
  const done = new Map<string, DefinitionJson>();
  const names: Record<string, string> = {};
  const visit = async (path: string): Promise<void> => {
    const one = definitions.find((each) => each.path === path);
    if (one === undefined || done.has(path)) return;
    for (const dependency of one.dependencies) await visit(dependency);
    const definition = await evaluateDefinition(one, { ...names }, deps);
    if (definition.definitionType.type === "childComponent") names[path] = definition.definitionType.name;
    done.set(path, definition);
  };
  for (const one of definitions) await visit(one.path);
  return done;
}

const EMPTY_EXPORTS: ExportNode = { type: "branch", branch: [] };

async function evaluateDefinition(
  one: PushedDefinition,
  children: Record<string, string>,
  deps: EvaluationDeps,
): Promise<DefinitionJson> {
  const { path } = one;
  if (!one.hasDefinition)
    return { path, definitionType: { type: "app" }, childComponents: [], httpMounts: {}, exports: EMPTY_EXPORTS };
  const graph = { packageId: one.code.isolate.id, env: deps.env };
  const outcome = await run(
    { do: "evaluate", as: "definition", module: "convex.config.js", graph, children },
    one,
    deps,
  );
  if ("error" in outcome) throw new ApiError(400, "Error", outcome.error.plain ?? outcome.error.text);
  const exported = outcome.value as { json: string } | { problem: string };
  if (!("json" in exported))
    throw invalidDefinition(path, exported.problem === "missing" ? "missing default export" : "wrong type");
  const raw = JSON.parse(exported.json) as Partial<DefinitionJson>;
  const childComponents = (raw.childComponents ?? []).map(({ name, path: childPath, args, env }): ChildComponent => {
    checkIdentifier(name);
    const child = { type: "SerializedComponentInstantiation", name, path: childPath, args: args ?? [] } as const;
    return deps.declaredVariables ? { ...child, env: env ?? null } : child;
  });
  const twice = childComponents.find((child, i) => childComponents.findIndex((other) => other.name === child.name) < i);
  if (twice !== undefined) {
    const what = `Component ComponentDefinitionPath { path: "${path}" } has multiple child components with the same name`;
    throw new ApiError(400, "TypecheckError", `${what}: ComponentName(Identifier("${twice.name}"))`);
  }
  const type = raw.definitionType ?? { type: "app" };
  if (type.type === "childComponent") checkIdentifier(type.name);
  const definition = {
    path,
    definitionType: type,
    childComponents,
    httpMounts: raw.httpMounts ?? {},
    exports: EMPTY_EXPORTS,
  };
  return deps.declaredVariables && raw.envVars !== undefined ? { ...definition, envVars: raw.envVars } : definition;
}

function invalidDefinition(path: string, problem: string): ApiError {
  const where = path === "" ? "your app" : `component "${path}"`;
  const maker = path === "" ? "defineApp" : "defineComponent";
  const advice = `Please make sure that you’re exporting the return value of \`${maker}()\` (\`import { ${maker} } from 'convex/server'\`).`;
  const text = `The default export of \`convex.config.ts\` in ${where} has an invalid value (${problem}). ${advice}`;
  return new ApiError(400, "InvalidDefinition", text);
}

function identifierProblem(name: string): string | undefined {
  const odd = /[^a-zA-Z0-9_]/.exec(name)?.[0];
  return odd === undefined
    ? undefined
    : `Identifier ${name} has invalid character '${odd}': Identifiers can only contain alphanumeric characters or underscores`;
}

function checkIdentifier(name: string): void {
  const problem = identifierProblem(name);
  if (problem !== undefined) throw new ApiError(400, "InvalidDefinition", problem);
}

// ---------------------------------------------------------------- schema

export async function evaluateSchema(one: PushedDefinition, deps: Pick<EvaluationDeps, "pool">): Promise<Schema> {
  const graph = { packageId: one.code.isolate.id, env: {} };
  const outcome = await run({ do: "evaluate", as: "schema", module: "schema.js", graph }, one, deps);
  if ("error" in outcome) throw schemaError("Error", outcome.error.plain ?? outcome.error.text);
  const exported = outcome.value as { json: string } | { problem: string };
  if ("json" in exported) return readSchema(exported.json);
  const more = "To learn more, see the schema documentation at https://docs.convex.dev/database/schemas.";
  if (exported.problem === "missing")
    throw schemaError("MissingSchemaExportError", `Schema file missing default export. ${more}`);
  throw schemaError("InvalidSchemaExport", `Default export from schema file isn't a Convex schema. ${more}`);
}

// ---------------------------------------------------------------- modules

async function analyzeModules(
  one: PushedDefinition,
  deps: EvaluationDeps,
): Promise<Record<string, AnalyzedModuleJson>> {
  const shown = one.code.modules.filter((module) => !isPlumbing(module.path));
  const isolate = shown
    .filter((module) => module.environment === "isolate" && module.path !== AUTH_MODULE)
    .map((module) => module.path);
  const node = shown.filter((module) => module.environment === "node");
  const found = new Map<string, ModuleExports>();
  for (const module of await analyzeIsolate(one, isolate, deps)) found.set(module.path, module);
  if (node.length > 0)
    for (const module of await deps.node.analyze({ code: one.code, folder: deps.folder }, deps.env))
      found.set(module.path, checkedNode(module));
  const functions: Record<string, AnalyzedModuleJson> = {};
  for (const { path } of shown) {
    const module = found.get(path);
    const cronSpecs = module?.crons == null ? null : readCrons(module.crons);
    functions[path] = {
      functions: module?.functions ?? [],
      httpRoutes: module?.httpRoutes ?? null,
      cronSpecs,
      sourceMapped: null,
    };
  }
  return functions;
}

async function analyzeIsolate(
  one: PushedDefinition,
  paths: readonly string[],
  deps: EvaluationDeps,
): Promise<readonly ModuleExports[]> {
  const graph = { packageId: one.code.isolate.id, env: one.path === "" ? deps.env : {} };
  const outcome = await run({ do: "analyze", graph, modules: paths }, one, deps);
  if ("error" in outcome) throw loadError(`${outcome.error.plain ?? outcome.error.text}\n`);
  const analysis = outcome.value as Analysis;
  if ("failed" in analysis) {
    const { failed, error, phase } = analysis;
    if (phase === "validators") throw new ApiError(400, "Error", error.text);
    throw loadError(`Failed to analyze ${failed}: ${error.plain === undefined ? error.text : `${error.plain}\n`}`);
  }
  for (const module of analysis.modules) {
    if (module.problem !== undefined) throw loadError(`${module.problem}\n`);
    checkFunctionNames(module);
  }
  return analysis.modules;
}

function checkedNode(module: ModuleExports): ModuleExports {
  checkFunctionNames(module);
  const other = module.functions.find((fn) => fn.udfType !== "Action");
  if (other === undefined) return module;
  const rule =
    "Only actions can be defined in Node.js. See https://docs.convex.dev/functions/actions for more details.";
  throw loadError(`\`${other.name}\` defined in \`${module.path}\` is a ${other.udfType} function. ${rule}\n`);
}

function checkFunctionNames(module: ModuleExports): void {
  for (const { name } of module.functions) {
    const problem = identifierProblem(name);
    if (problem !== undefined)
      throw new ApiError(400, "InvalidFunctionName", `Invalid function name used in \`${module.path}\`: ${problem}`);
  }
}

export function loadError(text: string): ApiError {
  return new ApiError(400, "InvalidModules", LOADING + text);
}
