/** finish_push: what was started is served from now on, and the answer says what that changed (contract 5.2). */
import { ApiError, internalError, type ReadTransaction, type Scheduler, type WriteTransaction } from "../types.ts";
import type { Provider } from "../users.ts";
import {
  type CheckedComponent,
  type DeclaredVariable,
  type EvaluatedDefinition,
  instances,
  type StartPush,
} from "./analysis.ts";
import { authDiffText } from "./auth-config.ts";
import type { Package } from "./code.ts";
import { schedulerSpecs } from "./crons.ts";
import {
  type DeployedDefinition,
  definitions,
  instancesOf,
  providers,
  removeDefinition,
  saveDefinition,
  saveInstance,
  saveProviders,
} from "./deployed.ts";
import { hashesOf } from "./request.ts";
import { type IndexDiff, NO_INDEX_DIFF } from "./schema.ts";
import { activateSchema, requireReady } from "./schema-state.ts";

/** Of an app that was never pushed. */
const UNSPECIFIED = "Unspecified version";

export interface Finish {
  readonly push: StartPush;
  /** Packages by definition path. */
  readonly code: ReadonlyMap<string, Package>;
  readonly scheduler: Scheduler;
  /** What users have set now. */
  readonly variables: Readonly<Record<string, string>>;
}

interface ComponentDiff {
  readonly diffType: { readonly type: "create" | "modify" | "unmount" | "remount" };
  readonly moduleDiff: { readonly added: readonly string[]; readonly removed: readonly string[] };
  readonly udfConfigDiff: { readonly previous_version: string; readonly next_version: string } | null;
  readonly cronDiff: {
    readonly added: readonly string[];
    readonly updated: readonly string[];
    readonly deleted: readonly string[];
  };
  readonly indexDiff: IndexDiff;
  readonly schemaDiff: { readonly previous_schema: string | null; readonly next_schema: string | null } | null;
}

export interface FinishAnswer {
  readonly authDiff: { readonly added: readonly string[]; readonly removed: readonly string[] };
  readonly definitionDiffs: Readonly<Record<string, object>>;
  readonly componentDiffs: Readonly<Record<string, ComponentDiff>>;
}

/** Throws the errors of contract 5.2; the environment is looked at first. */
export function finish(tx: WriteTransaction, of: Finish): FinishAnswer {
  const { push, variables } = of;
  if (!sameStrings(variables, push.environmentVariables)) {
    throw new ApiError(400, "RaceDetected", "Environment variables have changed during push");
  }
  checkDeclared(push.analysis[""]?.definition.envVars ?? [], variables);
  for (const [component, id] of Object.entries(push.schemaChange.schemaIds)) requireReady(tx, component, id);
  const before = definitions(tx);
  const authDiff = applyAuth(tx, push.appAuth);
  const mounted = instances(push.app).map(
    (instance) => [instance.componentPath, mount(tx, of, instance, before)] as const,
  );
  const unmounted = unmount(tx, of, before);
  const definitionPaths = [...before.map((one) => one.path), ...Object.keys(push.analysis)];
  for (const one of before) if (push.analysis[one.path] === undefined) removeDefinition(tx, one.path);
  for (const [path, evaluated] of Object.entries(push.analysis)) saveDefinition(tx, deployedFrom(path, evaluated, of));
  return {
    authDiff,
    definitionDiffs: sorted(definitionPaths.map((path) => [path, {}] as const)),
    componentDiffs: sorted([...mounted, ...unmounted]),
  };
}

function sameStrings(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** Later releases refuse an app whose required variables are not set (contract 5.2). */
function checkDeclared(declared: readonly DeclaredVariable[], current: Readonly<Record<string, string>>): void {
  const missing = declared
    .filter(([name, { optional }]) => optional !== true && current[name] === undefined)
    .map(([name]) => name);
  if (missing.length === 0) return;
  const text = `Required environment variables are not set: ${missing.join(", ")}. Set them and push again.`;
  throw new ApiError(400, "MissingEnvironmentVariables", text);
}

function sorted<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Takes over the providers; JSON texts of what came and went. */
export function applyAuth(tx: WriteTransaction, next: readonly Provider[]): FinishAnswer["authDiff"] {
  const before = providers(tx);
  const texts = (list: readonly Provider[]) =>
    [...list].sort((a, b) => Number("type" in a) - Number("type" in b)).map(authDiffText);
  const [old, now] = [texts(before), texts(next)];
  saveProviders(tx, next);
  return { added: now.filter((text) => !old.includes(text)), removed: old.filter((text) => !now.includes(text)) };
}

function mount(
  tx: WriteTransaction,
  of: Finish,
  instance: CheckedComponent,
  before: readonly DeployedDefinition[],
): ComponentDiff {
  const { push, code, scheduler } = of;
  const { componentPath, definitionPath } = instance;
  const evaluated = push.analysis[definitionPath];
  const content = code.get(definitionPath);
  if (evaluated === undefined || content === undefined) throw internalError();
  const previous = previousState(tx, componentPath, before);
  const next = evaluated.udfConfig.serverVersion;
  const schema = activateSchema(tx, componentPath, push.schemaChange.schemaIds[componentPath] ?? null);
  if (componentPath !== "") {
    saveInstance(tx, { path: componentPath, definitionPath, state: "active", serverVersion: next }, previous.id);
  }
  const modules = content.modules.map((module) => module.path);
  return {
    diffType: { type: previous.type },
    moduleDiff: {
      added: shownModules(modules.filter((path) => !previous.modules.includes(path))),
      removed: shownModules(previous.modules.filter((path) => !modules.includes(path))),
    },
    udfConfigDiff:
      previous.version === next ? null : { previous_version: previous.version ?? UNSPECIFIED, next_version: next },
    cronDiff: scheduler.setCrons(tx, componentPath, schedulerSpecs(evaluated.functions)),
    indexDiff: schema.indexDiff,
    schemaDiff: schema.previous === schema.next ? null : { previous_schema: schema.previous, next_schema: schema.next },
  };
}

/** Instances that the app no longer has: their data stay. */
function unmount(tx: WriteTransaction, of: Finish, before: readonly DeployedDefinition[]): [string, ComponentDiff][] {
  const mounted = new Set(instances(of.push.app).map((one) => one.componentPath));
  const gone = instancesOf(tx).filter((one) => one.state === "active" && !mounted.has(one.path));
  return gone.map(({ id, ...instance }) => {
    const modules = before.find((each) => each.path === instance.definitionPath)?.hashes.map((each) => each.path) ?? [];
    saveInstance(tx, { ...instance, state: "unmounted" }, id);
    of.scheduler.setCrons(tx, instance.path, []);
    return [
      instance.path,
      {
        diffType: { type: "unmount" },
        moduleDiff: { added: [], removed: shownModules(modules) },
        udfConfigDiff: null,
        cronDiff: { added: [], updated: [], deleted: [] },
        indexDiff: NO_INDEX_DIFF,
        schemaDiff: null,
      },
    ];
  });
}

interface Previous {
  readonly type: "create" | "modify" | "remount";
  readonly id: string | undefined;
  readonly version: string | null;
  readonly modules: readonly string[];
}

function previousState(tx: ReadTransaction, component: string, before: readonly DeployedDefinition[]): Previous {
  const modulesOf = (one: DeployedDefinition | undefined) => one?.hashes.map((each) => each.path) ?? [];
  if (component === "") {
    const root = before.find((one) => one.path === "");
    const type = root === undefined || root.legacy ? "create" : "modify";
    return { type, id: undefined, version: root?.serverVersion ?? null, modules: modulesOf(root) };
  }
  const known = instancesOf(tx).find((one) => one.path === component);
  if (known === undefined) return { type: "create", id: undefined, version: null, modules: [] };
  if (known.state === "unmounted") return { type: "remount", id: known.id, version: known.serverVersion, modules: [] };
  return {
    type: "modify",
    id: known.id,
    version: known.serverVersion,
    modules: modulesOf(before.find((one) => one.path === known.definitionPath)),
  };
}

function shownModules(paths: readonly string[]): string[] {
  return paths.filter((path) => !path.startsWith("_deps/")).sort();
}

function deployedFrom(path: string, evaluated: EvaluatedDefinition, { push, code }: Finish): DeployedDefinition {
  const content = code.get(path);
  const storageKey = push.componentDefinitionPackages[path]?.storageKey;
  if (content === undefined || storageKey === undefined) throw internalError();
  const { functions, definition, udfConfig } = evaluated;
  const externals = path === "" ? push.externalDepsId : null;
  const hashes = hashesOf(content.modules);
  return {
    path,
    storageKey,
    serverVersion: udfConfig.serverVersion,
    hashes,
    functions,
    definition,
    legacy: false,
    externals,
  };
}
