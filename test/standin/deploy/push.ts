/** start_push, wait_for_schema and finish_push (contract 5.2). */
import { createHash } from "node:crypto";
import { newId } from "../ids.ts";
import type { IsolatePool } from "../runtime/isolate.ts";
import type { NodeExecutor } from "../runtime/node-executor.ts";
import type { ReadTransaction, Scheduler, Store, WriteTransaction } from "../types.ts";
import type { Provider } from "../users.ts";
import { int64Base64 } from "../values.ts";
import {
  type EvaluatedDefinition,
  instances,
  type PackageJson,
  type SchemaChange,
  type StartPush,
} from "./analysis.ts";
import { appAuthJson } from "./auth-config.ts";
import type { Package, Packages } from "./code.ts";
import { definition, externalPackagesId, instancesOf } from "./deployed.ts";
import { asPushError, type Evaluation, Evaluator } from "./evaluate.ts";
import { type FinishAnswer, finish } from "./finish.ts";
import { type PushBody, type PushedDefinition, readPush } from "./request.ts";
import type { IndexDiff } from "./schema.ts";
import { type Prepared, prepareSchema, previewSchema, schemaStatus } from "./schema-state.ts";

const COMPONENT_TABLE = 544;
const POLL_MS = 20;

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
    const evaluation = await this.evaluation(body);
    const tx = this.#deps.store.beginRead();
    return { schemaChange: schemaChange(tx, evaluation, (component, schema) => previewSchema(tx, component, schema)) };
  }

  async start(body: PushBody): Promise<StartPush> {
    const { store, packages, ownVariables } = this.#deps;
    const evaluation = await this.evaluation(body);
    const keys: [PushedDefinition, string][] = [];
    for (const one of evaluation.definitions) keys.push([one, await packages.put(one.code)]);
    return store.write((tx) => {
      const externalDepsId = externalPackagesId(tx, body.nodeDependencies ?? []);
      const packageOf = ([one, key]: [PushedDefinition, string]) =>
        [one.path, packageJson(one.code, key, one.path === "" ? externalDepsId : null)] as const;
      return {
        environmentVariables: Object.fromEntries(ownVariables(tx)),
        externalDepsId,
        componentDefinitionPackages: Object.fromEntries(keys.map(packageOf)),
        appAuth: evaluation.auth.map(appAuthJson) as Provider[],
        analysis: evaluation.analysis,
        app: evaluation.app,
        schemaChange: schemaChange(tx, evaluation, (component, schema) => prepareSchema(tx, component, schema)),
      };
    });
  }

  /** Everything there is to say about a push without storing it; throws what it is refused for. */
  async evaluation(body: PushBody): Promise<Evaluation> {
    const { store, packages, variables, pool, node, declaredVariables } = this.#deps;
    const tx = store.beginRead();
    const root = definition(tx, "");
    const modules = root !== undefined && needsDeployed(body) ? (await packages.get(root.storageKey)).modules : [];
    const env = Object.fromEntries(variables(tx));
    try {
      const pushed = readPush(body, { hashes: root?.hashes ?? [], modules });
      const folder = await node.install(body.nodeDependencies ?? []);
      return await this.#evaluator.evaluate(pushed, { pool, node, folder, env, declaredVariables });
    } catch (error) {
      throw asPushError(error);
    }
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
    for (const [path, { storageKey }] of Object.entries(push.componentDefinitionPackages)) {
      code.set(path, await packages.get(storageKey));
    }
    try {
      return await store.write((tx) =>
        finish(tx, { push, code, scheduler, variables: Object.fromEntries(ownVariables(tx)) }),
      );
    } catch (error) {
      throw asPushError(error);
    }
  }
}

/** Only what was not sent must be there; a lost package is a 500 then (contract 5.2, storage lost). */
function needsDeployed(body: PushBody): boolean {
  return (body.appDefinition.unchangedModuleHashes ?? []).length > 0;
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
