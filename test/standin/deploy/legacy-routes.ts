/** What CLIs up to 1.27 call instead of start_push (contract 5.4). */
import { requireAdmin } from "../identity.ts";
import { jsonResponse } from "../server.ts";
import { array, boolean, json, object, optional, string, withDefault } from "../shapes.ts";
import type { Identity, Routes, Shape, Store } from "../types.ts";
import type { Module } from "./code.ts";
import { type LegacyPush, prepareLegacy, pushLegacy } from "./legacy.ts";
import type { Push, PushDeps } from "./push.ts";
import { PUSH_LIMIT } from "./routes.ts";
import type { Index } from "./schema.ts";
import { indexProgress, schemaIdOf, schemaStatus } from "./schema-state.ts";

const prepareShape = object<{ adminKey: string; bundle: Module; dryRun: boolean }>("PrepareSchemaRequest", {
  bundle: json as Shape<Module>,
  adminKey: string,
  dryRun: withDefault(boolean, false),
});

const pushShape = object<LegacyPush>("PushConfigRequest", {
  adminKey: string,
  modules: json as Shape<readonly Module[]>,
  udfServerVersion: string,
  nodeDependencies: withDefault(array(json as Shape<{ name: string; version: string }>), []),
  schemaId: optional(string),
});

function legacyIndex(index: Index, done: boolean): unknown {
  const dot = index.name.indexOf(".");
  const fields = index.type === "database" ? index.fields : index.filterFields;
  const backfill = { state: done ? "done" : "in_progress" };
  return { table: index.name.slice(0, dot), name: index.name.slice(dot + 1), fields, backfill, staged: index.staged };
}

export function addLegacyRoutes(deps: {
  routes: Routes;
  store: Store;
  push: Push;
  pushDeps: PushDeps;
  byKey: (key: string) => Identity;
}): void {
  const { routes, store, push, pushDeps, byKey } = deps;
  routes.route("POST", "/api/prepare_schema", async (request) => {
    const { adminKey, bundle, dryRun } = await request.json(prepareShape, { limit: PUSH_LIMIT });
    requireAdmin(byKey(adminKey), "write");
    const { prepared, schemaId } = await prepareLegacy(bundle, dryRun, pushDeps);
    const list = (indexes: readonly Index[] | undefined, done: boolean) =>
      (indexes ?? []).map((index) => legacyIndex(index, done));
    const diff = prepared.indexDiff;
    const answer = {
      added: list(diff?.added_indexes, false),
      dropped: list(diff?.removed_indexes, true),
      enabled: list(diff?.enabled_indexes, true),
      disabled: list(diff?.disabled_indexes, true),
      schemaId,
    };
    return jsonResponse(JSON.stringify(answer));
  });
  routes.route("GET", "/api/schema_state/:id", async (request) => {
    await request.requireAdmin("read");
    const answer = await store.write((tx) => {
      const id = schemaIdOf(tx, "", request.params["id"] ?? "");
      const status = schemaStatus(tx, "", id);
      const indexes = indexProgress(tx, "", id).map(({ index, done }) => legacyIndex(index, done));
      const failed = status.state === "failed" ? { error: status.error, tableName: status.tableName } : {};
      const names = { ready: "validated", working: "pending", failed: "failed", overwritten: "overwritten" };
      return { indexes, schemaState: { state: names[status.state], ...failed } };
    });
    return jsonResponse(JSON.stringify(answer));
  });
  routes.route("POST", "/api/push_config", async (request) => {
    const body = await request.json(pushShape, { limit: PUSH_LIMIT });
    requireAdmin(byKey(body.adminKey), "write");
    await pushLegacy(body, push, pushDeps);
    return jsonResponse("{}");
  });
}
