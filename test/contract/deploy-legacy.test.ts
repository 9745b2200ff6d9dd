import { describe, expect, it } from "vitest";
import { type Backend, ownsProcess, withProcess } from "./support/backend.ts";
import type { ComponentBundle } from "./support/bundle.ts";
import { at, textAt } from "./support/http.ts";
import { until } from "./support/process.ts";
import { bundleSpec, expectOk, finishPush, pushBundles, requestOf, waitUntilDecided } from "./support/push.ts";

const hashes = async (target: Backend) =>
  (await target.post("/api/get_config_hashes", { version: "1", adminKey: target.key })).json;
const index = (state: string) => ({
  table: "messages",
  name: "by_author",
  fields: ["author", "_creationTime"],
  backfill: { state },
  staged: false,
});

/** The four calls of CLI 1.27.5. */
async function pushConfig(target: Backend, root: ComponentBundle): Promise<{ prepared: unknown; pushed: unknown }> {
  const prepared = expectOk(
    await target.post("/api/prepare_schema", { bundle: root.schema, adminKey: target.key, dryRun: false }),
    "prepare_schema",
  );
  const schemaId = textAt(prepared, "schemaId");
  const ready = await until("a validated schema", async () => {
    const state = expectOk(await target.get(`/api/schema_state/${schemaId}`), "schema_state");
    const done = !JSON.stringify(at(state, "indexes")).includes("in_progress");
    return done && at(state, "schemaState", "state") === "validated" && state;
  });
  expect(at(ready, "indexes")).toEqual([index("done")]);
  const answer = await target.postBrotli("/api/push_config", {
    config: { functions: "convex/" },
    modules: root.functions,
    nodeDependencies: [],
    udfServerVersion: "1.27.5",
    schemaId,
    adminKey: target.key,
    pushMetrics: { typecheck: 0, bundle: 0, schemaPush: 0, codePull: 0, totalBeforePush: 0, moduleDiffStats: null },
    bundledModuleInfos: [],
  });
  return { prepared, pushed: expectOk(answer, "push_config") };
}

describe.skipIf(!ownsProcess)("older CLIs", () => {
  it("5.4 the calls of 1.27.5, then a push of today says create and keeps the data", async () => {
    await withProcess({}, async (target) => {
      const bundles = await bundleSpec({});
      const [root] = bundles;
      if (root === undefined) throw new Error("no root");
      const { prepared, pushed } = await pushConfig(target, root);
      expect(prepared).toMatchObject({ dropped: [], enabled: [], disabled: [] });
      expect(at(prepared, "added", 0)).toMatchObject({ table: "messages", name: "by_author", staged: false });
      expect(textAt(prepared, "schemaId")).toMatch(/^jg2/);
      expect(pushed).toEqual({});
      expect(at(await hashes(target), "udfServerVersion")).toBe("1.27.5");
      const listed = JSON.stringify(at(await hashes(target), "moduleHashes"));
      expect(listed).toContain('"messages.js"');
      expect(listed).not.toContain('"schema.js"');
      await target.value("mutation", "messages:send", { author: "old", body: "" });
      const { finished } = await pushBundles(target, bundles);
      expect(at(finished, "componentDiffs", "")).toMatchObject({
        diffType: { type: "create" },
        moduleDiff: { added: ["convex.config.js", "schema.js"], removed: [] },
        udfConfigDiff: { previous_version: "1.27.5", next_version: "1.48.0" },
        schemaDiff: null,
      });
      expect(await target.tableSize("messages")).toBe(1);
    });
  });

  it("5.4 start_push of 1.28 sends functions instead of changed modules", async () => {
    await withProcess({}, async (target) => {
      const request = requestOf(target, await bundleSpec({}));
      const { changedModules, unchangedModuleHashes: _none, ...rest } = request.appDefinition;
      const { forCodegen: _no, ...body } = request;
      const appDefinition = { ...rest, functions: changedModules, udfServerVersion: "1.28.2" };
      const answer = await target.postBrotli("/api/deploy2/start_push", {
        ...body,
        appDefinition,
        externalNodeDependencies: [],
      });
      const started = expectOk(answer, "start_push");
      await waitUntilDecided(target, started);
      expectOk(await finishPush(target, started), "finish_push");
      expect(await target.value("query", "messages:list")).toEqual([]);
      expect(at(await hashes(target), "udfServerVersion")).toBe("1.28.2");
    });
  });
});
