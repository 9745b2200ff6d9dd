/** What is deployed, in documents of system tables: definitions with their code, instances, auth providers. */

import type { ExternalPackage } from "../runtime/node-executor.ts";
import type {
  AnalyzedFunction,
  AnalyzedModule,
  Document,
  Fields,
  ReadTransaction,
  WriteTransaction,
} from "../types.ts";
import type { Provider } from "../users.ts";
import type { AnalyzedModuleJson, DefinitionJson } from "./analysis.ts";
import type { ModuleHash } from "./code.ts";

const DEFINITIONS = "_component_definitions";
const COMPONENTS = "_components";
const AUTH = "_auth";
const EXTERNALS = "_external_packages";

/** Of one definition; "" is the app. */
export interface DeployedDefinition {
  readonly path: string;
  readonly storageKey: string;
  readonly serverVersion: string;
  readonly hashes: readonly ModuleHash[];
  readonly functions: Readonly<Record<string, AnalyzedModuleJson>>;
  readonly definition: DefinitionJson;
  /** Deployed by `push_config`: there are no component documents yet (contract 5.4). */
  readonly legacy: boolean;
  /** Of its external packages. */
  readonly externals: string | null;
}

export interface Instance {
  readonly id: string;
  readonly path: string;
  readonly definitionPath: string;
  readonly state: "active" | "unmounted";
  /** CLI version of the last push; null before any. */
  readonly serverVersion: string | null;
}

/** Documents never change, so what was parsed from one stays right. */
const parsed = new WeakMap<Document, DeployedDefinition>();

export function definitions(tx: ReadTransaction): DeployedDefinition[] {
  return tx.scan("", DEFINITIONS).map(parseDefinition);
}

export function definition(tx: ReadTransaction, path: string): DeployedDefinition | undefined {
  const found = tx.scan("", DEFINITIONS).find((doc) => doc["path"] === path);
  return found === undefined ? undefined : parseDefinition(found);
}

function parseDefinition(doc: Document): DeployedDefinition {
  const known = parsed.get(doc);
  if (known !== undefined) return known;
  const content = JSON.parse(String(doc["content"])) as DeployedDefinition;
  parsed.set(doc, content);
  return content;
}

export function saveDefinition(tx: WriteTransaction, content: DeployedDefinition): void {
  const before = tx.scan("", DEFINITIONS).find((doc) => doc["path"] === content.path);
  const fields = { path: content.path, content: JSON.stringify(content) };
  if (before === undefined) tx.insert("", DEFINITIONS, fields);
  else if (before["content"] !== fields.content) tx.replace("", before._id, fields);
}

export function removeDefinition(tx: WriteTransaction, path: string): void {
  const before = tx.scan("", DEFINITIONS).find((doc) => doc["path"] === path);
  if (before !== undefined) tx.delete("", before._id);
}

/** All instances but the root. */
export function instancesOf(tx: ReadTransaction): Instance[] {
  return tx.scan("", COMPONENTS).map((doc) => ({
    id: doc._id,
    path: String(doc["path"]),
    definitionPath: typeof doc["definitionPath"] === "string" ? doc["definitionPath"] : "",
    state: doc["state"] === "active" ? "active" : "unmounted",
    serverVersion: typeof doc["serverVersion"] === "string" ? doc["serverVersion"] : null,
  }));
}

export function saveInstance(tx: WriteTransaction, fields: Omit<Instance, "id">, id: string | undefined): void {
  const content: Fields = { ...fields, name: fields.path.split("/").at(-1) ?? null, args: {} };
  if (id === undefined) tx.insert("", COMPONENTS, content);
  else tx.replace("", id, content);
}

/** The definition behind a component path; undefined when nothing is mounted there. */
export function definitionAt(tx: ReadTransaction, component: string): DeployedDefinition | undefined {
  if (component === "") return definition(tx, "");
  const instance = instancesOf(tx).find((one) => one.path === component && one.state === "active");
  return instance === undefined ? undefined : definition(tx, instance.definitionPath);
}

/** Whether a component path is known at all, unmounted ones too. */
export function componentExists(tx: ReadTransaction, component: string): boolean {
  return component === "" || instancesOf(tx).some((one) => one.path === component);
}

const modulesOf = new WeakMap<DeployedDefinition, readonly AnalyzedModule[]>();

/** For the function service: modules sorted by path. */
export function analyzedModules(deployed: DeployedDefinition): readonly AnalyzedModule[] {
  const known = modulesOf.get(deployed);
  if (known !== undefined) return known;
  const environment = new Map(deployed.hashes.map((one) => [one.path, one.environment]));
  const modules = Object.entries(deployed.functions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([path, module]): AnalyzedModule => ({
        path,
        environment: environment.get(path) ?? "isolate",
        functions: module.functions.map(analyzedFunction),
        httpRoutes: module.httpRoutes?.map(({ route }) => route) ?? null,
      }),
    );
  modulesOf.set(deployed, modules);
  return modules;
}

function analyzedFunction(fn: AnalyzedModuleJson["functions"][number]): AnalyzedFunction {
  return {
    name: fn.name,
    kind: fn.udfType,
    visibility: fn.visibility?.kind ?? "public",
    args: fn.args === null ? { type: "any" } : JSON.parse(fn.args),
    returns: fn.returns === null ? null : JSON.parse(fn.returns),
  };
}

/** Id of a list of external packages, null for none (contract 5.2, `externalDepsId`). */
export function externalPackagesId(tx: WriteTransaction, list: readonly ExternalPackage[]): string | null {
  if (list.length === 0) return null;
  const dependencies = JSON.stringify(list);
  const known = tx.scan("", EXTERNALS).find((doc) => doc["dependencies"] === dependencies);
  return known?._id ?? tx.insert("", EXTERNALS, { dependencies });
}

export function externalPackages(tx: ReadTransaction, id: string | null): ExternalPackage[] {
  const found = id === null ? null : tx.get("", id);
  return found === null ? [] : (JSON.parse(String(found["dependencies"])) as ExternalPackage[]);
}

/** Providers of the deployed auth config, as evaluated. */
export function providers(tx: ReadTransaction): Provider[] {
  return tx.scan("", AUTH).map((doc) => JSON.parse(String(doc["provider"])) as Provider);
}

export function saveProviders(tx: WriteTransaction, list: readonly Provider[]): void {
  for (const doc of tx.scan("", AUTH)) tx.delete("", doc._id);
  for (const provider of list) tx.insert("", AUTH, { provider: JSON.stringify(provider) });
}
