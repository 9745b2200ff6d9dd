/** Environment variables (contract 4.1, 4.2): rules and limits of each release, one transaction per update. */
import { requireAdmin } from "./identity.ts";
import type { Origins } from "./origins.ts";
import { jsonResponse } from "./server.ts";
import { array, object, optional, string } from "./shapes.ts";
import { ApiError, type Like, type ReadTransaction, type Routes, type Store, type WriteTransaction } from "./types.ts";

const TABLE = "_environment_variables";
const RESERVED = ["CONVEX_CLOUD_URL", "CONVEX_SITE_URL"];
const VALUE_LIMIT = 8192;

interface Limits {
  readonly count: number;
  readonly name: number;
  readonly total?: number;
}

const LIMITS: Readonly<Record<Like, Limits>> = {
  first: { count: 100, name: 40 },
  m14: { count: 1000, name: 40 },
  head: { count: 512, name: 256, total: 524_288 },
};

export interface Change {
  readonly name: string;
  /** Undefined deletes. */
  readonly value: string | undefined;
}

const updateShape = object<{ changes: Change[] }>("UpdateEnvVarsRequest", {
  changes: array(object<Change>("UpdateEnvVarRequest", { name: string, value: optional(string) })),
});

export class Environment {
  /**
   * Runs inside every update, also of canonical URLs and also when nothing changes: evaluates the deployed auth config
   * again and throws an ApiError when it would no longer hold.
   */
  onChange: (tx: WriteTransaction) => Promise<void> = async () => {};
  #store: Store;
  #origins: Origins;
  #limits: Limits;

  constructor(store: Store, origins: Origins, like: Like) {
    this.#store = store;
    this.#origins = origins;
    this.#limits = LIMITS[like];
  }

  /** What users have set, by name in byte order. */
  own(tx: ReadTransaction): Map<string, string> {
    const pairs = tx.scan("", TABLE).map((doc) => [String(doc["name"]), String(doc["value"])] as const);
    return new Map(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** What functions see: the own ones and the built-in origins. */
  variables(tx: ReadTransaction): Map<string, string> {
    const builtIn = [
      ["CONVEX_CLOUD_URL", this.#origins.cloud(tx)],
      ["CONVEX_SITE_URL", this.#origins.site(tx)],
    ] as const;
    return new Map([...this.own(tx), ...builtIn]);
  }

  /** All or nothing. Deletes come before sets; of two values for one name the greater wins. */
  async update(changes: readonly Change[]): Promise<void> {
    checkChanges(changes, this.#limits);
    await this.#store.write(async (tx) => {
      const existing = new Map(tx.scan("", TABLE).map((doc) => [String(doc["name"]), doc._id]));
      const sets = new Map<string, string>();
      for (const { name, value } of changes) {
        if (value !== undefined && value >= (sets.get(name) ?? "")) sets.set(name, value);
      }
      for (const name of new Set(changes.map((change) => change.name))) {
        const id = existing.get(name);
        if (id !== undefined) tx.delete("", id);
      }
      for (const [name, value] of sets) tx.insert("", TABLE, { name, value });
      this.#checkTotals(tx);
      await this.onChange(tx);
    });
  }

  #checkTotals(tx: ReadTransaction): void {
    const { count, total } = this.#limits;
    const own = this.own(tx);
    if (own.size > count)
      throw new ApiError(400, "EnvVarLimitMet", `The environment variable limit (${count}) has been met.`);
    const size = [...own].reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
    if (total === undefined || size <= total) return;
    const text = `The environment variables are ${size} bytes in total, which is too large. (max size: ${total})`;
    throw new ApiError(400, "EnvVarTotalSizeLimitMet", text);
  }
}

/** In the order of the list, name before value; reserved names after all of them (contract 4.1). */
function checkChanges(changes: readonly Change[], limits: Limits): void {
  for (const { name, value } of changes) {
    checkName(name, limits.name);
    const size = Buffer.byteLength(value ?? "");
    if (size <= VALUE_LIMIT) continue;
    // Sic: the backend leaves the bracket open.
    const text = `The environment variable value is ${size} bytes, which is too large. (max size: ${VALUE_LIMIT}`;
    throw new ApiError(400, "EnvironmentVariableValueTooLarge", text);
  }
  const reserved = changes.find(({ name, value }) => value !== undefined && RESERVED.includes(name));
  if (reserved === undefined) return;
  const text = `Environment variable with name "${reserved.name}" is built-in and cannot be overridden`;
  throw new ApiError(400, "EnvVarNameForbidden", text);
}

function checkName(name: string, limit: number): void {
  if (!/^[a-zA-Z_]+[a-zA-Z0-9_]*$/.test(name)) {
    const rule =
      "Environment variable names must begin with a letter and may only include characters a-z, A-Z, 0-9, and underscores.";
    throw new ApiError(
      400,
      "EnvironmentVariableNameInvalid",
      `The environment variable name ${name} is invalid. ${rule}`,
    );
  }
  if (name.length <= limit) return;
  const text = `The environment variable name ${name} is too long. Environment variable names must be less than ${limit}.`;
  throw new ApiError(400, "EnvironmentVariableNameTooLong", text);
}

export function addEnvironmentRoutes(routes: Routes, store: Store, environment: Environment, like: Like): void {
  const prefixes = like === "first" ? ["/api"] : ["/api", "/api/v1"];
  for (const prefix of prefixes) {
    routes.route("POST", `${prefix}/update_environment_variables`, async (request) => {
      const { changes } = await request.adminJson(updateShape, "write");
      await environment.update(changes);
      return {};
    });
    if (like === "first") continue;
    routes.route("GET", `${prefix}/list_environment_variables`, async (request) => {
      requireAdmin(await request.identity(), "read");
      const environmentVariables = Object.fromEntries(store.read((tx) => environment.own(tx)));
      return jsonResponse(JSON.stringify({ environmentVariables }));
    });
  }
}
