import { BackendError } from "./backend-error.ts";
import { type CallOptions, CLIENT_VERSION, Connection, isMissing } from "./connection.ts";
import { asRecord } from "./json.ts";
import { variableRefusal } from "./variables.ts";

export type FunctionKind = "query" | "mutation" | "action" | "function";

export type FunctionResult =
  | { readonly ok: true; readonly value: unknown; readonly logLines: readonly string[] }
  | {
      readonly ok: false;
      /** The error's text without the request id in front (contract 6.2). */
      readonly message: string;
      readonly data?: unknown;
      readonly logLines: readonly string[];
    };

export interface VariableChange {
  readonly name: string;
  /** null removes it. */
  readonly value: string | null;
}

/** One running deployment over plain HTTP. Every method throws a `BackendError`, or another `ActionError` that names more. */
export class DeploymentClient extends Connection {
  /**
   * `full`: the key may write. `decrypts`: a release before 2025-03-18, which only tells that the key is for this
   * instance (contract 3.2).
   */
  async checkAdminKey(options: CallOptions = {}): Promise<"full" | "decrypts"> {
    try {
      await this.json("GET", "/api/check_admin_key", options);
      return "full";
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.moduleHashes(options);
      return "decrypts";
    }
  }

  /** Hash of each module of the root component by its path; `schema.js` and `_deps/*` too (contract 5.2). */
  async moduleHashes(options: CallOptions = {}): Promise<Map<string, string>> {
    const json = { version: CLIENT_VERSION, adminKey: this.key };
    const answer = await this.json("POST", "/api/get_config_hashes", { ...options, json, idempotent: true });
    const hashes = asRecord(answer)["moduleHashes"];
    const entries = (Array.isArray(hashes) ? hashes : []).map(asRecord);
    return new Map(entries.map(({ path, hash }) => [String(path), String(hash)]));
  }

  /** The modules of the root component with their code (contract 5.2). */
  async moduleSources(options: CallOptions = {}): Promise<{ path: string; source: string }[]> {
    const json = { version: CLIENT_VERSION, adminKey: this.key };
    const answer = await this.json("POST", "/api/get_config", { ...options, json, idempotent: true });
    const { modules } = asRecord(answer);
    const entries = (Array.isArray(modules) ? modules : []).map(asRecord);
    return entries.map(({ path, source }) => ({ path: String(path), source: String(source) }));
  }

  /** Whether the key may write, where `check_admin_key` does not tell: an empty report, which needs that right (contract 3.2). */
  async proveWrite(options: CallOptions = {}): Promise<void> {
    const json = { adminKey: this.key, spans: [] };
    await this.request("POST", "/api/deploy2/report_push_completed", { ...options, json, idempotent: true });
  }

  /** A step of a push; the key stands in its body (contract 5.2). */
  async deploy(
    endpoint: "start_push" | "wait_for_schema" | "finish_push",
    body: Readonly<Record<string, unknown>>,
    options: CallOptions & { readonly idempotent?: boolean } = {},
  ): Promise<unknown> {
    const json = { ...body, adminKey: this.key };
    return await this.json("POST", `/api/deploy2/${endpoint}`, { timeoutMs: 120_000, ...options, json });
  }

  /** Answered without a key: proves whose backend this is before a key is shown to it (contract 1.5). */
  async instanceName(options: CallOptions = {}): Promise<string> {
    return (await this.request("GET", "/instance_name", { ...options, anonymous: true })).text();
  }

  /** All variables with their values, by the system query on images before 2025-08-28 (contract 4.2). */
  async listVariables(options: CallOptions = {}): Promise<Map<string, string>> {
    try {
      const answer = asRecord(await this.json("GET", "/api/v1/list_environment_variables", options));
      const pairs = Object.entries(asRecord(answer["environmentVariables"]));
      return new Map(pairs.map(([name, value]) => [name, String(value)]));
    } catch (error) {
      if (!isMissing(error)) throw error;
      const documents = await this.systemQuery("_system/cli/queryEnvironmentVariables", {}, options);
      const list = (Array.isArray(documents) ? documents : []).map(asRecord);
      return new Map(list.map((document) => [String(document["name"]), String(document["value"])]));
    }
  }

  /**
   * Sets and removes variables in one transaction (contract 4.1). More than the 2 MiB that one request holds go in
   * several. Setting the same again changes nothing, so it is tried again after a cut connection.
   */
  async updateVariables(changes: readonly VariableChange[], options: CallOptions = {}): Promise<void> {
    try {
      for (const batch of batches(changes, 2_000_000)) {
        const json = { changes: batch };
        await this.request("POST", "/api/update_environment_variables", { ...options, json, idempotent: true });
      }
    } catch (error) {
      throw error instanceof BackendError ? variableRefusal(error) : error;
    }
  }

  /**
   * Runs a function; its own failure is a result, not an exception. `function` runs any kind, internal ones too, but
   * no system functions; `componentPath` counts only there (contract 6.2).
   */
  async call(
    kind: FunctionKind,
    path: string,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions & { readonly componentPath?: string } = {},
  ): Promise<FunctionResult> {
    const { componentPath, ...rest } = options;
    const json = { path, args, format: "json", ...(componentPath === undefined ? {} : { componentPath }) };
    const answer = asRecord(await this.json("POST", `/api/${kind}`, { ...rest, json, idempotent: kind === "query" }));
    const lines = answer["logLines"];
    const logLines = Array.isArray(lines) ? lines.map(String) : [];
    if (answer["status"] === "success") return { ok: true, value: answer["value"], logLines };
    const message = withoutRequestId(String(answer["errorMessage"] ?? "")).trim();
    return { ok: false, message, logLines, ...("errorData" in answer ? { data: answer["errorData"] } : {}) };
  }

  /** A query of the backend's own (`_system/cli/tables`), of the root component (contract 6.2). */
  async systemQuery(
    path: string,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<unknown> {
    const result = await this.call("query", path, args, options);
    if (result.ok) return result.value;
    throw new BackendError(
      "backend-refused",
      `The backend did not answer its own query ${path}: ${result.message}`,
      "This backend is older or newer than what this action knows; name another release.",
      { status: 200, backendCode: "" },
    );
  }

  /** Stops functions, HTTP actions, crons and scheduled functions (contract 7.3); a paused one stays paused. */
  async pause(options: CallOptions = {}): Promise<void> {
    await this.#setPaused("pause_deployment", "DeploymentAlreadyInState", options);
  }

  /** Due scheduled functions run at once after it. */
  async unpause(options: CallOptions = {}): Promise<void> {
    await this.#setPaused("unpause_deployment", "UnpauseDeploymentFailed", options);
  }

  async #setPaused(path: string, already: string, options: CallOptions): Promise<void> {
    try {
      await this.request("POST", `/api/v1/${path}`, { ...options, json: {}, idempotent: true });
    } catch (error) {
      if (!(error instanceof BackendError) || error.backendCode !== already) throw error;
    }
  }

  /** The origins that the backend gives out; undefined on releases before 2025-10-10. */
  async canonicalUrls(options: CallOptions = {}): Promise<{ cloud: string; site: string } | undefined> {
    try {
      const answer = asRecord(await this.json("GET", "/api/v1/get_canonical_urls", options));
      return { cloud: String(answer["convexCloudUrl"]), site: String(answer["convexSiteUrl"]) };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

/** `[Request ID: <16 hex>] Server Error` stands in front of every error text of a function. */
function withoutRequestId(text: string): string {
  return text.replace(/^\[Request ID: [0-9a-f]+\] Server Error:?\s*/, "");
}

function batches(changes: readonly VariableChange[], most: number): VariableChange[][] {
  const result: VariableChange[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const change of changes) {
    const bytes = Buffer.byteLength(JSON.stringify(change)) + 1;
    if (size + bytes > most) {
      result.push([]);
      size = 0;
    }
    result.at(-1)?.push(change);
    size += bytes;
  }
  return result;
}
