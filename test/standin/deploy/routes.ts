/** The push endpoints (contract 5.2): who may call what, and in which order a request is checked. */
import { requireAdmin } from "../identity.ts";
import { jsonResponse } from "../server.ts";
import { boolean, json, number, object, optional, string, withDefault } from "../shapes.ts";
import {
  ApiError,
  type ApiRequest,
  type ApiResponse,
  type Identity,
  type Like,
  type Routes,
  type Shape,
  type Store,
} from "../types.ts";
import type { SchemaChange, StartPush } from "./analysis.ts";
import type { Packages } from "./code.ts";
import { definition } from "./deployed.ts";
import type { Push } from "./push.ts";
import type { PushBody } from "./request.ts";

/** Of push bodies, measured uncompressed. */
export const PUSH_LIMIT = 200 * 1024 * 1024;
const DEFAULT_WAIT_MS = 10_000;
const MAX_WAIT_MS = 60_000;

export interface DeployRouteDeps {
  readonly routes: Routes;
  readonly store: Store;
  readonly packages: Packages;
  readonly push: Push;
  readonly byKey: (key: string) => Identity;
  /** A deploy is about to come. */
  readonly warm: () => void;
  readonly like: Like;
}

const keyShape = object<{ adminKey: string }>("GetConfigRequest", { adminKey: string });

const pushShape = object<PushBody>("StartPushRequest", {
  adminKey: string,
  dryRun: withDefault(boolean, false),
  functions: string,
  appDefinition: json as Shape<PushBody["appDefinition"]>,
  componentDefinitions: json as Shape<NonNullable<PushBody["componentDefinitions"]>>,
  nodeDependencies: json as Shape<NonNullable<PushBody["nodeDependencies"]>>,
  nodeVersion: optional(string),
} as { [K in keyof PushBody]: Shape<PushBody[K]> });

interface WaitBody {
  readonly adminKey: string;
  readonly schemaChange: SchemaChange;
  readonly timeoutMs: number | undefined;
  readonly dryRun: boolean | undefined;
}
const waitShape = object<WaitBody>("WaitForSchemaRequest", {
  adminKey: string,
  schemaChange: json as Shape<SchemaChange>,
  timeoutMs: optional(number),
  dryRun: optional(boolean),
});

interface FinishBody {
  readonly adminKey: string;
  readonly startPush: StartPush;
  readonly dryRun: boolean;
}
const finishShape = object<FinishBody>("FinishPushRequest", {
  adminKey: string,
  startPush: json as Shape<StartPush>,
  dryRun: boolean,
});

const spansShape = object<{ adminKey: string; spans: unknown }>("ReportPushCompletedRequest", {
  adminKey: string,
  spans: json,
});

const answer = (value: unknown): ApiResponse => jsonResponse(JSON.stringify(value));

export function addDeployRoutes(deps: DeployRouteDeps): void {
  const { routes, push, byKey, warm, like } = deps;
  /** The body is parsed before its key is looked at; the header's key counts for nothing. */
  const checked = async <T extends { adminKey: string }>(
    request: ApiRequest,
    shape: Shape<T>,
    need: "any" | "write",
  ): Promise<T> => {
    const body = await request.json(shape, { limit: PUSH_LIMIT });
    const identity = byKey(body.adminKey);
    if (need === "write") requireAdmin(identity, "write");
    return body;
  };
  for (const [path, withModules] of [
    ["get_config_hashes", false],
    ["get_config", true],
  ] as const) {
    routes.route("POST", `/api/${path}`, async (request) => {
      await checked(request, keyShape, "any");
      warm();
      return answer(await deployedConfig(deps, withModules));
    });
  }
  if (like !== "first") {
    routes.route("POST", "/api/deploy2/evaluate_push", async (request) =>
      answer(await push.evaluate(await checked(request, pushShape, "write"))),
    );
  }
  routes.route("POST", "/api/deploy2/start_push", async (request) => {
    const body = await checked(request, pushShape, "write");
    if (like === "first") requireAllModules(body);
    return answer(await push.start(body));
  });
  routes.route("POST", "/api/deploy2/wait_for_schema", async (request) => {
    const { schemaChange, timeoutMs = DEFAULT_WAIT_MS } = await checked(request, waitShape, "any");
    return answer(await push.wait(schemaChange, Math.min(timeoutMs, MAX_WAIT_MS)));
  });
  routes.route("POST", "/api/deploy2/finish_push", async (request) => {
    const { startPush, dryRun } = await checked(request, finishShape, "write");
    return answer(await push.finish(startPush, dryRun));
  });
  routes.route("POST", "/api/deploy2/report_push_completed", async (request) => {
    await checked(request, spansShape, "write");
    return answer(null);
  });
}

/** The first releases want every module in every push (contract 5.4). */
function requireAllModules(body: PushBody): void {
  if (body.appDefinition.functions !== undefined) return;
  const problem = "Failed to deserialize the JSON body into the target type: appDefinition: missing field `functions`";
  throw new ApiError(400, "BadJsonBody", problem);
}

/** Modules of the root only (contract 5.2). */
async function deployedConfig({ store, packages }: DeployRouteDeps, withModules: boolean): Promise<unknown> {
  const root = store.read((tx) => definition(tx, ""));
  const config = { functions: "convex/" };
  const udfServerVersion = root?.serverVersion ?? null;
  if (!withModules) return { config, moduleHashes: root?.hashes ?? [], udfServerVersion, nodeVersion: null };
  const modules = root === undefined ? [] : (await packages.get(root.storageKey)).modules;
  return { config, modules, udfServerVersion };
}
