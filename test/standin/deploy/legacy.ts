/** What CLIs up to 1.27 do instead of start_push: a schema first, then everything else at once (contract 5.4). */
import { newId } from "../ids.ts";
import type { ExternalPackage } from "../runtime/node-executor.ts";
import { internalError } from "../types.ts";
import type { Module } from "./code.ts";
import { schedulerSpecs } from "./crons.ts";
import { definition, externalPackagesId, saveDefinition } from "./deployed.ts";
import { asPushError, evaluateSchema } from "./evaluate.ts";
import { applyAuth } from "./finish.ts";
import type { Push, PushDeps } from "./push.ts";
import { hashesOf, readPush } from "./request.ts";
import {
  activateSchema,
  documentIdOf,
  type Prepared,
  prepareSchema,
  previewSchema,
  requireReady,
  schemaIdOf,
} from "./schema-state.ts";

const SCHEMA_TABLE = 532;

export interface LegacyPush {
  readonly adminKey: string;
  readonly modules: readonly Module[];
  readonly udfServerVersion: string;
  readonly nodeDependencies: readonly ExternalPackage[];
  readonly schemaId: string | undefined;
}

/** `prepare_schema`: the schema becomes the pending one; its id is that of a document. */
export async function prepareLegacy(
  bundle: Module,
  dryRun: boolean,
  deps: PushDeps,
): Promise<{ prepared: Prepared; schemaId: string }> {
  const { store, pool } = deps;
  const appDefinition = { schema: bundle, functions: [], udfServerVersion: "0.0.0" };
  try {
    const [one] = readPush({ adminKey: "", functions: "convex/", appDefinition }, { hashes: [], modules: [] });
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

/** `push_config`: no components and no check for races. */
export async function pushLegacy(
  body: LegacyPush,
  push: Push,
  { store, packages, scheduler }: PushDeps,
): Promise<void> {
  const { adminKey, modules, udfServerVersion, nodeDependencies, schemaId } = body;
  const appDefinition = { functions: modules, udfServerVersion };
  const evaluation = await push.evaluation({ adminKey, functions: "convex/", appDefinition, nodeDependencies });
  const [root] = evaluation.definitions;
  const evaluated = evaluation.analysis[""];
  if (root === undefined || evaluated === undefined) throw internalError();
  const storageKey = await packages.put(root.code);
  await store.write((tx) => {
    const id = schemaId === undefined ? null : schemaIdOf(tx, "", schemaId);
    requireReady(tx, "", id);
    activateSchema(tx, "", id);
    applyAuth(tx, evaluation.auth);
    scheduler.setCrons(tx, "", schedulerSpecs(evaluated.functions));
    saveDefinition(tx, {
      path: "",
      storageKey,
      serverVersion: udfServerVersion,
      hashes: hashesOf(root.code.modules),
      functions: evaluated.functions,
      definition: evaluated.definition,
      legacy: definition(tx, "")?.legacy ?? true,
      externals: externalPackagesId(tx, nodeDependencies),
    });
  });
}
