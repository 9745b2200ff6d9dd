/** The body of `evaluate_push` and `start_push`, and its modules made whole (contract 5.2). */
import { ApiError } from "../types.ts";
import { type Module, type ModuleHash, makePackage, moduleHash, type Package } from "./code.ts";

interface AppDefinitionBody {
  readonly definition?: Module | null;
  readonly dependencies?: readonly string[];
  readonly schema?: Module | null;
  /** CLI up to 1.31.6; later ones send the next two. */
  readonly functions?: readonly Module[];
  readonly changedModules?: readonly Module[];
  readonly unchangedModuleHashes?: readonly {
    readonly path: string;
    readonly environment: string;
    readonly sha256: string;
  }[];
  readonly udfServerVersion: string;
}

interface ComponentDefinitionBody {
  readonly definitionPath: string;
  readonly definition: Module;
  readonly dependencies?: readonly string[];
  readonly schema?: Module | null;
  readonly functions: readonly Module[];
  readonly udfServerVersion: string;
}

export interface PushBody {
  readonly adminKey: string;
  readonly dryRun?: boolean;
  readonly functions: string;
  readonly appDefinition: AppDefinitionBody;
  readonly componentDefinitions?: readonly ComponentDefinitionBody[];
  readonly nodeDependencies?: readonly { readonly name: string; readonly version: string }[];
  readonly nodeVersion?: string | null;
}

/** One definition with all its code. */
export interface PushedDefinition {
  /** "" is the app. */
  readonly path: string;
  readonly dependencies: readonly string[];
  readonly hasSchema: boolean;
  readonly hasDefinition: boolean;
  readonly serverVersion: string;
  readonly code: Package;
}

const MAX_MODULES = 4096;
const NODE_VERSIONS = ["18", "20", "22", "24"];

/** `deployed` is the root's package and its hashes, for what the CLI did not send. */
export function readPush(
  body: PushBody,
  deployed: { hashes: readonly ModuleHash[]; modules: readonly Module[] },
): PushedDefinition[] {
  if (typeof body.nodeVersion === "string" && !NODE_VERSIONS.includes(body.nodeVersion)) {
    throw new ApiError(400, "InvalidConfig", `Invalid node version: ${body.nodeVersion}`);
  }
  const { appDefinition: app } = body;
  const sent = app.functions ?? [
    ...(app.changedModules ?? []),
    ...unchanged(app.unchangedModuleHashes ?? [], deployed),
  ];
  const root = pushedDefinition("", app, sent, body.functions);
  const components = (body.componentDefinitions ?? []).map((one) =>
    pushedDefinition(one.definitionPath, one, one.functions, body.functions),
  );
  return [root, ...components];
}

function unchanged(
  hashes: readonly { readonly path: string; readonly sha256: string }[],
  deployed: { hashes: readonly ModuleHash[]; modules: readonly Module[] },
): Module[] {
  return hashes.map(({ path, sha256 }) => {
    const known = deployed.hashes.find((one) => one.path === path);
    if (known === undefined) throw conflict("MissingExistingModule", "Could not find existing unchanged module.");
    if (known.hash !== sha256) throw conflict("ExistingModuleHashConflict", "Existing module hash does not match.");
    const module = deployed.modules.find((one) => one.path === path);
    if (module === undefined) throw conflict("MissingExistingModule", "Could not find existing unchanged module.");
    return module;
  });
}

function conflict(code: string, message: string): ApiError {
  return new ApiError(409, code, message);
}

function pushedDefinition(
  path: string,
  body: AppDefinitionBody | ComponentDefinitionBody,
  functions: readonly Module[],
  folder: string,
): PushedDefinition {
  checkVersion(body.udfServerVersion);
  const { definition, schema } = body;
  const modules = [...(definition ? [definition] : []), ...(schema ? [schema] : []), ...functions].map(plainModule);
  for (const module of modules) checkModulePath(module.path);
  if (new Set(modules.map((module) => module.path)).size < modules.length) {
    throw new ApiError(400, "CanonicalizationConflict", "Multiple modules canonicalize to the same name.");
  }
  if (modules.length > MAX_MODULES) {
    const docs = "https://docs.convex.dev/using/writing-convex-functions#using-libraries";
    const problem = `Too many function files (${modules.length} > maximum ${MAX_MODULES}) in "${folder}". See our docs (${docs}) for more details.`;
    throw new ApiError(400, "InvalidModules", problem);
  }
  return {
    path,
    dependencies: body.dependencies ?? [],
    hasSchema: Boolean(schema),
    hasDefinition: Boolean(definition),
    serverVersion: body.udfServerVersion,
    code: makePackage(modules.sort((a, b) => (a.path < b.path ? -1 : 1))),
  };
}

function plainModule({ path, source, sourceMap, environment }: Module): Module {
  return { path, source, ...(sourceMap === undefined || sourceMap === null ? {} : { sourceMap }), environment };
}

/** Texts of contract 5.2; without the prefix of a push. */
function checkModulePath(path: string): void {
  const bad = path.split("/").find((part) => !/^[a-zA-Z0-9_.]+$/.test(part));
  if (bad === undefined) return;
  const rule = `Path component ${bad} can only contain alphanumeric characters, underscores, or periods.`;
  throw new ApiError(400, "InvalidConfig", `${path} is not a valid path to a Convex module. ${rule}`);
}

function checkVersion(version: string): void {
  const odd = /^\d*([^\d.])/.exec(version)?.[1];
  if (odd === undefined) return;
  throw new ApiError(400, "InvalidConfig", `unexpected character '${odd}' while parsing major version number`);
}

export function hashesOf(modules: readonly Module[]): ModuleHash[] {
  return modules.map((module) => ({ path: module.path, hash: moduleHash(module), environment: module.environment }));
}
