/** Endpoints that say what is running (contract 1.5, 3.2), and the small admin ones of contract 3.3. */
import { type Identities, requireAdmin } from "./identity.ts";
import { jsonResponse, textResponse } from "./server.ts";
import { array, object, optional, string } from "./shapes.ts";
import { notAnUpgrade } from "./sync.ts";
import {
  ApiError,
  type ApiRequest,
  type ApiResponse,
  type Handler,
  internalError,
  type Like,
  type Routes,
  type Store,
} from "./types.ts";

/** 30 days (contract 1.1, DOCUMENT_RETENTION_DELAY of M14). */
const RETENTION_NS = 30n * 86_400n * 1_000_000_000n;

export interface PlainOptions {
  readonly instanceName: string;
  readonly version: string;
  readonly metrics: boolean;
  readonly like: Like;
}

export function addPlainRoutes(routes: Routes, site: Routes, options: PlainOptions): void {
  const { instanceName, version, metrics, like } = options;
  routes.route("GET", "/version", () => textResponse(version), { plain: true });
  // The site port never tells a release.
  site.route("GET", "/version", () => textResponse("unknown"), { plain: true });
  for (const port of [routes, site]) {
    port.route("GET", "/metrics", () => (metrics ? textResponse(METRICS) : metricsDisabled()), { plain: true });
  }
  const silent = { silent: true };
  routes.route("GET", "/instance_version", () => textResponse(version), silent);
  routes.route("GET", "/instance_name", () => textResponse(instanceName), silent);
  const running = "This Convex deployment is running. See https://docs.convex.dev/.";
  routes.route("GET", "/", () => textResponse(running), silent);
  routes.route("POST", "/echo", (request) => {
    const length = request.headers["content-length"];
    return { body: request.raw, ...(length === undefined ? {} : { headers: { "content-length": length } }) };
  });
  for (const path of ["/api/sync", "/api/:version/sync"]) {
    routes.route("GET", path, () => {
      throw notAnUpgrade();
    });
  }
  if (like !== "first") routes.route("GET", "/api/check_admin_key", checkAdminKey(like));
}

const METRICS =
  "# HELP standin_up The stand-in backend, a test double, measures nothing else\n# TYPE standin_up gauge\nstandin_up 1\n";

function metricsDisabled() {
  return jsonResponse(JSON.stringify({ code: "MetricsDisabled", message: "/metrics endpoint disabled" }), 404);
}

function checkAdminKey(like: Like): Handler {
  return async (request) => {
    const identity = await request.identity();
    // The newer ones let read-only keys through and say what they may do.
    requireAdmin(identity, like === "head" ? "read" : "write");
    const readOnly = identity.kind === "admin" && identity.readOnly;
    return jsonResponse(
      like === "head" ? JSON.stringify({ success: true, allowedOps: [], isReadOnly: readOnly }) : '{"success":true}',
    );
  };
}

export interface DataDeps {
  readonly store: Store;
  readonly identities: Identities;
  /** Tables of the active schema; they cannot be deleted. */
  readonly schemaTables: (component: string) => readonly string[];
}

interface DeleteTables {
  readonly tableNames: string[];
  readonly componentId: string | undefined;
}

const deleteShape = object<DeleteTables>("DeleteTableArgs", {
  tableNames: array(string),
  componentId: optional(string),
});

export function addDataRoutes(routes: Routes, deps: DataDeps, like: Like): void {
  const { store } = deps;
  routes.route("GET", "/api/shapes2", async (request) => {
    await request.requireAdmin("read");
    // No tool of ours reads shapes: it is told which tables there are and which of them are empty.
    const shapes = store.read((tx) =>
      tx.userTables("").map(({ name }) => [name, { type: tx.count("", name) === 0 ? "Never" : "Unknown" }] as const),
    );
    return jsonResponse(JSON.stringify(Object.fromEntries(shapes)));
  });
  for (const [path, answer] of [
    ["/api/list_snapshot", listSnapshot],
    ["/api/document_deltas", documentDeltas],
  ] as const) {
    routes.route("GET", path, async (request) => {
      const identity = await request.identity();
      if (identity.kind === "none") {
        const text = "This request requires the HTTP `Authorization` header.";
        throw new ApiError(401, "AuthorizationMissing", text);
      }
      return answer(request, store);
    });
  }
  routes.route("POST", "/api/delete_tables", async (request) => {
    const { tableNames, componentId } = await request.adminJson(deleteShape, "write");
    await store.write((tx) => {
      const component = componentId === undefined || componentId === "" ? "" : tx.get("", componentId)?.["path"];
      if (typeof component !== "string") throw internalError();
      for (const name of tableNames) {
        if (deps.schemaTables(component).includes(name)) {
          const text = `Failed to delete table "${name}" because it appears in the schema`;
          throw new ApiError(400, "SchemaEnforcementError", text);
        }
        const table = tx.table(component, name);
        if (table !== undefined) tx.deleteTable(table.tablet);
      }
    });
    return {};
  });
  if (like !== "first") {
    routes.route("GET", "/api/v1/list_log_streams", async (request) => {
      await request.requireAdmin("read");
      return jsonResponse("[]");
    });
  }
}

/** Streaming export is known, and empty: no tool of ours reads it. */
function listSnapshot(_request: ApiRequest, store: Store): ApiResponse {
  return jsonResponse(`{"values":[],"snapshot":${store.lastCommit},"cursor":null,"hasMore":false}`);
}

function documentDeltas(request: ApiRequest, store: Store): ApiResponse {
  const cursor = BigInt(/^\d+$/.exec(request.query.get("cursor") ?? "")?.[0] ?? 0);
  if (cursor < store.lastCommit - RETENTION_NS) {
    const text =
      `Trying to synchronize from timestamp ${cursor + 1n}, which is older than the database\u2019s retention window. ` +
      "This may happen if you paused your Fivetran or Airbyte connector for a long period of time. " +
      "Please perform a full sync of the connector. See " +
      "https://fivetran.com/docs/connectors/troubleshooting/trigger-historical-re-syncs or " +
      "https://docs.airbyte.com/platform/operator-guides/refreshes";
    throw new ApiError(400, "InvalidWindowToReadDocuments", text);
  }
  return jsonResponse(`{"values":[],"cursor":${store.lastCommit},"hasMore":false}`);
}
