/** start_push, wait_for_schema and finish_push (contract 5.2). */
import { createHash } from "node:crypto";
import { newId } from "../ids.ts";
import type { IsolatePool } from "../runtime/isolate.ts";
import type { NodeExecutor } from "../runtime/node-executor.ts";
import {
  ApiError,
  internalError,
  type ReadTransaction,
  type Scheduler,
  type Store,
  type WriteTransaction,
} from "../types.ts";
import type { Provider } from "../users.ts";
import { int64Base64 } from "../values.ts";
import {
  type CheckedComponent,
  type DeclaredVariable,
  type EvaluatedDefinition,
  instances,
  type PackageJson,
  type SchemaChange,
  type StartPush,
} from "./analysis.ts";
import { appAuthJson, authDiffText } from "./auth-config.ts";
import type { Module, Package, Packages } from "./code.ts";
import { schedulerSpecs } from "./crons.ts";
import {
  type DeployedDefinition,
  definition,
  definitions,
  instancesOf,
  providers,
  removeDefinition,
  saveDefinition,
  saveInstance,
  saveProviders,
} from "./deployed.ts";
import { asPushError, type Evaluation, Evaluator, evaluateSchema } from "./evaluate.ts";
import { hashesOf, type PushBody, readPush } from "./request.ts";
import { type IndexDiff, NO_INDEX_DIFF } from "./schema.ts";
import {
  activateSchema,
  documentIdOf,
  type Prepared,
  prepareSchema,
  previewSchema,
  requireReady,
  schemaIdOf,
  schemaStatus,
} from "./schema-state.ts";

const COMPONENT_TABLE = 544;
const SCHEMA_TABLE = 532;
const POLL_MS = 20;
/** Root of an app that has no definition yet. */
const UNSPECIFIED = "Unspecified version";

export interface PushDeps {
  readonly store: Store;
  readonly packages: Packages;
  readonly pool: IsolatePool;
  readonly node: NodeExecutor;
  readonly scheduler: Scheduler;
  /** What functions see, and what users have set. */
  readonly variables: (tx: ReadTransaction) => Map<string, string>;
  readonly ownVariables: (tx: ReadTransaction) => Map<string, string>;
  /** The release knows variables that a convex.config declares (contract 11). */
  readonly declaredVariables: boolean;
}

export interface LegacyPush {
  readonly adminKey: string;
  readonly modules: readonly Module[];
  readonly udfServerVersion: string;
  readonly nodeDependencies: readonly { readonly name: string; readonly version: string }[];
  readonly schemaId: string | undefined;
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

export type WaitAnswer =
  | { readonly type: "complete" | "raceDetected" }
  | {
      readonly type: "failed";
      readonly error: string;
      readonly componentPath: string;
      readonly tableName: string | null;
    }
  | {
      readonly type: "inProgress";
      readonly components: Readonly<
        Record<string, { schemaValidationComplete: boolean; indexesComplete: number; indexesTotal: number }>
      >;
    };

export class Push {
  readonly #deps: PushDeps;
  readonly #evaluator = new Evaluator();

  constructor(deps: PushDeps) {
    this.#deps = deps;
  }

  /** Throws what the push is refused for. */
  async evaluate(body: PushBody): Promise<{ schemaChange: SchemaChange }> {
    const evaluation = await this.#evaluate(body);
    const tx = this.#deps.store.beginRead();
    return { schemaChange: schemaChange(tx, evaluation, (component, schema) => previewSchema(tx, component, schema)) };
  }

  async start(body: PushBody): Promise<StartPush> {
    const { store, packages, ownVariables } = this.#deps;
    const evaluation = await this.#evaluate(body);
    const externalDepsId = await this.#installExternals(body);
    const componentDefinitionPackages: Record<string, PackageJson> = {};
    for (const one of evaluation.definitions) {
      const storageKey = await packages.put(one.code);
      componentDefinitionPackages[one.path] = packageJson(
        one.code,
        storageKey,
        one.path === "" ? externalDepsId : null,
      );
    }
    return store.write((tx) => ({
      environmentVariables: Object.fromEntries(ownVariables(tx)),
      externalDepsId,
      componentDefinitionPackages,
      appAuth: evaluation.auth.map(appAuthJson) as Provider[],
      analysis: evaluation.analysis,
      app: evaluation.app,
      schemaChange: schemaChange(tx, evaluation, (component, schema) => prepareSchema(tx, component, schema)),
    }));
  }

  async #evaluate(body: PushBody): Promise<Evaluation> {
    const { store, packages, variables, pool, node, declaredVariables } = this.#deps;
    const tx = store.beginRead();
    const root = definition(tx, "");
    const modules = root === undefined ? [] : needsDeployed(body) ? (await packages.get(root.storageKey)).modules : [];
    try {
      const pushed = readPush(body, { hashes: root?.hashes ?? [], modules });
      await node.install(body.nodeDependencies ?? []);
      return await this.#evaluator.evaluate(pushed, {
        pool,
        node,
        env: Object.fromEntries(variables(tx)),
        declaredVariables,
      });
    } catch (error) {
      throw asPushError(error);
    }
  }

  async #installExternals(body: Pick<PushBody, "nodeDependencies">): Promise<string | null> {
    try {
      return await this.#deps.node.install(body.nodeDependencies ?? []);
    } catch (error) {
      throw asPushError(error);
    }
  }

  /** `prepare_schema` of CLIs up to 1.27. */
  async prepareLegacy(bundle: Module, dryRun: boolean): Promise<{ prepared: Prepared; schemaId: string }> {
    const { store, pool } = this.#deps;
    try {
      const body = {
        adminKey: "",
        functions: "convex/",
        appDefinition: { schema: bundle, functions: [], udfServerVersion: "0.0.0" },
      };
      const [one] = readPush(body, { hashes: [], modules: [] });
      if (one === undefined) throw internalError();
      const schema = await evaluateSchema(one, { pool });
      if (dryRun) return { prepared: store.read((tx) => previewSchema(tx, "", schema)), schemaId: newId(SCHEMA_TABLE) };
      return await store.write((tx) => {
        const prepared = prepareSchema(tx, "", schema);
        return { prepared, schemaId: documentIdOf(tx, "", prepared.schemaId ?? "") ?? "" };
      });
    } catch (error) {
      throw asPushError(error);
    }
  }

  /** `push_config` of CLIs up to 1.27: everything at once, without components. */
  async pushLegacy(body: LegacyPush): Promise<void> {
    const { store, packages, scheduler } = this.#deps;
    const { adminKey, modules: functions, udfServerVersion, nodeDependencies, schemaId } = body;
    const evaluation = await this.#evaluate({
      adminKey,
      functions: "convex/",
      appDefinition: { functions, udfServerVersion },
      nodeDependencies,
    });
    const [root] = evaluation.definitions;
    const evaluated = evaluation.analysis[""];
    if (root === undefined || evaluated === undefined) throw internalError();
    const storageKey = await packages.put(root.code);
    const externals = await this.#installExternals({ nodeDependencies });
    await store.write((tx) => {
      const id = schemaId === undefined ? null : schemaIdOf(tx, "", schemaId);
      requireReady(tx, "", id);
      activateSchema(tx, "", id);
      applyAuth(tx, evaluation.auth);
      scheduler.setCrons(tx, "", schedulerSpecs(evaluated.functions));
      const legacy = definition(tx, "")?.legacy ?? true;
      const { functions: analyzed, definition: json } = evaluated;
      saveDefinition(tx, {
        path: "",
        storageKey,
        serverVersion: udfServerVersion,
        hashes: hashesOf(root.code.modules),
        functions: analyzed,
        definition: json,
        legacy,
        externals,
      });
    });
  }

  /** Answers as soon as it is decided, at the latest after `timeoutMs`. */
  async wait(change: SchemaChange, timeoutMs: number): Promise<WaitAnswer> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const answer = await this.#deps.store.write((tx) => waitAnswer(tx, change));
      if (answer.type !== "inProgress" || Date.now() >= deadline) return answer;
      await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, Math.max(1, deadline - Date.now()))));
    }
  }

  async finish(push: StartPush, dryRun: boolean): Promise<FinishAnswer> {
    if (dryRun) return { authDiff: { added: [], removed: [] }, definitionDiffs: {}, componentDiffs: {} };
    const { store, packages, scheduler, ownVariables } = this.#deps;
    const code = new Map<string, Package>();
    for (const [path, { storageKey }] of Object.entries(push.componentDefinitionPackages))
      code.set(path, await packages.get(storageKey));
    try {
      return await store.write((tx) => {
        const current = Object.fromEntries(ownVariables(tx));
        if (!sameStrings(current, push.environmentVariables)) {
          throw new ApiError(400, "RaceDetected", "Environment variables have changed during push");
        }
        checkDeclared(push.analysis[""]?.definition.envVars ?? [], current);
        for (const [component, id] of Object.entries(push.schemaChange.schemaIds)) requireReady(tx, component, id);
        return apply(tx, push, code, scheduler);
      });
    } catch (error) {
      throw asPushError(error);
    }
  }
}

/** Only what was not sent must be there; a lost package is a 500 then (contract 5.2, storage lost). */
function needsDeployed(body: PushBody): boolean {
  return (body.appDefinition.unchangedModuleHashes ?? []).length > 0;
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

// ---------------------------------------------------------------- start_push

function packageJson(code: Package, storageKey: string, externalPackageId: string | null): PackageJson {
  const size = code.modules.reduce((sum, module) => sum + module.source.length + (module.sourceMap?.length ?? 0), 0);
  const digest = createHash("sha256").update(code.isolate.id).digest("base64");
  return {
    externalPackageId,
    nodeVersion: null,
    packageSize: {
      unzippedSizeBytes: { $integer: int64Base64(BigInt(size)) },
      zippedSizeBytes: { $integer: int64Base64(BigInt(Math.ceil(size / 4))) },
    },
    sha256: { $bytes: digest },
    storageKey,
  };
}

function schemaChange(
  tx: ReadTransaction,
  evaluation: Evaluation,
  prepare: (component: string, schema: EvaluatedDefinition["schema"]) => Prepared,
): SchemaChange {
  const allocatedComponentIds: Record<string, string> = {};
  const schemaIds: Record<string, string | null> = {};
  const indexDiffs: Record<string, IndexDiff> = {};
  const known = new Set(instancesOf(tx).map((one) => one.path));
  const root = definition(tx, "");
  if (root !== undefined && !root.legacy) known.add("");
  for (const { componentPath, definitionPath } of instances(evaluation.app)) {
    if (!known.has(componentPath)) allocatedComponentIds[componentPath] = newId(COMPONENT_TABLE);
    const { schemaId, indexDiff } = prepare(componentPath, evaluation.analysis[definitionPath]?.schema ?? null);
    schemaIds[componentPath] = schemaId;
    if (indexDiff !== undefined) indexDiffs[componentPath] = indexDiff;
  }
  return { allocatedComponentIds, schemaIds, indexDiffs };
}

// ---------------------------------------------------------------- wait_for_schema

function waitAnswer(tx: WriteTransaction, change: SchemaChange): WaitAnswer {
  const entries = Object.entries(change.schemaIds).flatMap(([component, id]) =>
    id === null ? [] : [{ component, id }],
  );
  // When root and component both fail, the component is named (contract 5.3).
  const statuses = entries
    .sort((a, b) => (a.component < b.component ? 1 : -1))
    .map(({ component, id }) => ({ component, status: schemaStatus(tx, component, id) }));
  if (statuses.some(({ status }) => status.state === "overwritten")) return { type: "raceDetected" };
  for (const { component, status } of statuses) {
    if (status.state === "failed")
      return { type: "failed", error: status.error, componentPath: component, tableName: status.tableName };
  }
  const components: Record<
    string,
    { schemaValidationComplete: boolean; indexesComplete: number; indexesTotal: number }
  > = {};
  for (const { component, status } of statuses.reverse()) {
    if (status.state !== "working") continue;
    const { validated, indexesComplete, indexesTotal } = status;
    components[component] = { schemaValidationComplete: validated, indexesComplete, indexesTotal };
  }
  return Object.keys(components).length === 0 ? { type: "complete" } : { type: "inProgress", components };
}

// ---------------------------------------------------------------- finish_push

function apply(
  tx: WriteTransaction,
  push: StartPush,
  code: ReadonlyMap<string, Package>,
  scheduler: Scheduler,
): FinishAnswer {
  const before = definitions(tx);
  const authDiff = applyAuth(tx, push.appAuth);
  const componentDiffs: Record<string, ComponentDiff> = {};
  for (const instance of instances(push.app))
    componentDiffs[instance.componentPath] = mount(tx, push, code, instance, before, scheduler);
  const mounted = new Set(instances(push.app).map((one) => one.componentPath));
  const known = new Map(instancesOf(tx).map((one) => [one.path, one]));
  for (const one of known.values()) {
    if (mounted.has(one.path) || one.state !== "active") continue;
    const modules = before.find((each) => each.path === one.definitionPath)?.hashes.map((each) => each.path) ?? [];
    saveInstance(tx, { ...without(one), state: "unmounted" }, one.id);
    scheduler.setCrons(tx, one.path, []);
    componentDiffs[one.path] = {
      ...NOTHING,
      diffType: { type: "unmount" },
      moduleDiff: { added: [], removed: shownModules(modules) },
    };
  }
  const definitionDiffs: Record<string, object> = {};
  for (const path of new Set([...before.map((one) => one.path), ...Object.keys(push.analysis)].sort()))
    definitionDiffs[path] = {};
  for (const one of before) if (push.analysis[one.path] === undefined) removeDefinition(tx, one.path);
  for (const [path, evaluated] of Object.entries(push.analysis))
    saveDefinition(tx, deployedFrom(path, evaluated, push, code));
  return { authDiff, definitionDiffs, componentDiffs: sorted(componentDiffs) };
}

const NOTHING: ComponentDiff = {
  diffType: { type: "modify" },
  moduleDiff: { added: [], removed: [] },
  udfConfigDiff: null,
  cronDiff: { added: [], updated: [], deleted: [] },
  indexDiff: NO_INDEX_DIFF,
  schemaDiff: null,
};

function without<T extends { id: string }>(one: T): Omit<T, "id"> {
  const { id, ...rest } = one;
  return rest;
}

function sorted<T>(fields: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function applyAuth(tx: WriteTransaction, next: readonly Provider[]): FinishAnswer["authDiff"] {
  const before = providers(tx);
  const texts = (list: readonly Provider[]) =>
    [...list].sort((a, b) => Number("type" in a) - Number("type" in b)).map(authDiffText);
  const [old, now] = [texts(before), texts(next)];
  saveProviders(tx, next);
  return { added: now.filter((text) => !old.includes(text)), removed: old.filter((text) => !now.includes(text)) };
}

function mount(
  tx: WriteTransaction,
  push: StartPush,
  code: ReadonlyMap<string, Package>,
  instance: CheckedComponent,
  before: readonly DeployedDefinition[],
  scheduler: Scheduler,
): ComponentDiff {
  const { componentPath, definitionPath } = instance;
  const evaluated = push.analysis[definitionPath];
  const content = code.get(definitionPath);
  if (evaluated === undefined || content === undefined) throw internalError();
  const previous = previousState(tx, componentPath, before);
  const next = evaluated.udfConfig.serverVersion;
  const {
    indexDiff,
    previous: previousSchema,
    next: nextSchema,
  } = activateSchema(tx, componentPath, push.schemaChange.schemaIds[componentPath] ?? null);
  if (componentPath !== "")
    saveInstance(tx, { path: componentPath, definitionPath, state: "active", serverVersion: next }, previous.id);
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
    indexDiff,
    schemaDiff: previousSchema === nextSchema ? null : { previous_schema: previousSchema, next_schema: nextSchema },
  };
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

function deployedFrom(
  path: string,
  evaluated: EvaluatedDefinition,
  push: StartPush,
  code: ReadonlyMap<string, Package>,
): DeployedDefinition {
  const content = code.get(path);
  const storageKey = push.componentDefinitionPackages[path]?.storageKey;
  if (content === undefined || storageKey === undefined) throw internalError();
  return {
    path,
    storageKey,
    serverVersion: evaluated.udfConfig.serverVersion,
    hashes: hashesOf(content.modules),
    functions: evaluated.functions,
    definition: evaluated.definition,
    legacy: false,
    externals: path === "" ? push.externalDepsId : null,
  };
}
