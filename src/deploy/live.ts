import type { DeploymentClient } from "../deployment/client.ts";
import { asRecord } from "../deployment/json.ts";

export interface DeployedFunction {
  /** `query`, `mutation`, `action`. */
  readonly kind: string;
  readonly isPublic: boolean;
  /** Validator of the arguments; `{type: "any"}` without one. */
  readonly args: unknown;
}

/** What a deployment serves; of components only what belongs to the root is known (contract 5.2, 6.2). */
export interface Live {
  /** By `messages:send`; undefined where the backend does not list them. */
  readonly functions: ReadonlyMap<string, DeployedFunction> | undefined;
  /** `GET /rooms`. */
  readonly httpRoutes: readonly string[] | undefined;
  /** Hash by path, `schema.js` and `_deps/*` too. */
  readonly modules: ReadonlyMap<string, string>;
  /** Paths of the mounted ones, `widget/inner`; undefined where the backend does not list them. */
  readonly components: readonly string[] | undefined;
}

/** Asks a deployment what it serves. */
export async function readLive(client: DeploymentClient): Promise<Live> {
  // An old release may not have these queries; what changes is worth less than the deploy itself.
  const [spec, components, modules] = await Promise.all([
    client.systemQuery("_system/cli/modules:apiSpec", {}).catch(() => undefined),
    client.systemQuery("_system/frontend/components:list", {}).then(mounted, () => undefined),
    client.moduleHashes(),
  ]);
  if (!Array.isArray(spec)) return { modules, components, functions: undefined, httpRoutes: undefined };
  const entries = spec.map(asRecord);
  const isRoute = (entry: Readonly<Record<string, unknown>>): boolean => entry["functionType"] === "HttpAction";
  return {
    modules,
    components,
    httpRoutes: entries.filter(isRoute).map((entry) => `${String(entry["method"])} ${String(entry["path"])}`),
    functions: new Map(
      entries
        .filter((entry) => !isRoute(entry))
        .map((entry) => [
          String(entry["identifier"]).replace(".js:", ":"),
          {
            kind: String(entry["functionType"]).toLowerCase(),
            isPublic: asRecord(entry["visibility"])["kind"] !== "internal",
            args: entry["args"] ?? { type: "any" },
          },
        ]),
    ),
  };
}

function mounted(list: unknown): string[] | undefined {
  if (!Array.isArray(list)) return undefined;
  return list
    .map(asRecord)
    .filter(({ path, state }) => path !== "" && state !== "unmounted")
    .map(({ path }) => String(path));
}
