/** The endpoints of imports (contract 7.3): uploads, confirmation, cancellation, everything in one call. */
import { hasKey, requireAdmin } from "../identity.ts";
import { decodeId } from "../ids.ts";
import { array, object, oneOf, optional, string } from "../shapes.ts";
import {
  ApiError,
  type ApiRequest,
  type ApiResponse,
  type Blobs,
  type Document,
  internalError,
  type Routes,
  type Store,
  type Value,
} from "../types.ts";
import { isFields } from "../values.ts";
import { IMPORTS, stateOf } from "./import-documents.ts";
import { identifierProblem } from "./import-error.ts";
import type { Imports } from "./imports.ts";
import type { Uploads } from "./uploads.ts";

interface Wanted {
  tableName: string | undefined;
  componentPath: string | undefined;
  format: "csv" | "jsonLines" | "jsonArray" | "zip";
  mode: "append" | "replace" | "replaceAll" | "requireEmpty" | undefined;
}

const WANTED = {
  tableName: optional(string),
  componentPath: optional(string),
  format: oneOf("csv", "jsonLines", "jsonArray", "zip"),
  mode: optional(oneOf("append", "replace", "replaceAll", "requireEmpty")),
};
const FINISH = object<{ import: Wanted; uploadToken: string; partTokens: string[] }>("FinishUploadArgs", {
  import: object<Wanted>("ImportArgs", WANTED),
  uploadToken: string,
  partTokens: array(string),
});
const IMPORT_ID = object<{ importId: string }>("ImportIdArgs", { importId: string });
const PART = object<{ uploadToken: string; partNumber: string }>("UploadPartArgs", {
  uploadToken: string,
  partNumber: string,
});

const MAX_U16 = 65_535;
const MODE_NAMES = { append: "Append", replace: "Replace", replaceAll: "ReplaceAll", requireEmpty: "RequireEmpty" };
const FORMAT_NAMES = { csv: "csv", jsonLines: "jsonl", jsonArray: "json_array", zip: "zip" };
const NEEDS_TABLE = { csv: "CSV", jsonLines: "JSONL", jsonArray: "JSON" };

export class ImportRoutes {
  readonly #store: Store;
  readonly #blobs: Blobs;
  readonly #uploads: Uploads;
  readonly #imports: Imports;

  constructor(deps: { store: Store; blobs: Blobs; uploads: Uploads; imports: Imports }) {
    this.#store = deps.store;
    this.#blobs = deps.blobs;
    this.#uploads = deps.uploads;
    this.#imports = deps.imports;
  }

  register(routes: Routes): void {
    routes.route("POST", "/api/import/start_upload", (request) => this.#startUpload(request));
    routes.route("POST", "/api/import/upload_part", (request) => this.#uploadPart(request));
    routes.route("POST", "/api/import/finish_upload", (request) => this.#finishUpload(request));
    routes.route("POST", "/api/perform_import", (request) => this.#perform(request));
    routes.route("POST", "/api/cancel_import", (request) => this.#cancel(request));
    routes.route("POST", "/api/import", (request) => this.#oneCall(request));
  }

  async #startUpload(request: ApiRequest): Promise<ApiResponse> {
    await request.requireAdmin("write");
    return json({ uploadToken: await this.#uploads.start() });
  }

  async #uploadPart(request: ApiRequest): Promise<ApiResponse> {
    await request.requireAdmin("write");
    const { uploadToken, partNumber } = request.queryArgs(PART);
    const number = /^\d+$/.test(partNumber) ? Number(partNumber) : Number.NaN;
    if (!(number <= MAX_U16)) {
      const why = Number.isNaN(number) ? "invalid digit found in string" : "number too large to fit in target type";
      throw new ApiError(400, "BadQueryArgs", `Failed to deserialize query string: partNumber: ${why}`);
    }
    return json(await this.#uploads.part(uploadToken, number, await request.bytes(Number.POSITIVE_INFINITY)));
  }

  async #finishUpload(request: ApiRequest): Promise<ApiResponse> {
    const { import: wanted, uploadToken, partTokens } = await request.adminJson(FINISH, "write");
    checkTable(wanted);
    return json({ importId: await this.#insert(wanted, await this.#uploads.finish(uploadToken, partTokens)) });
  }

  async #perform(request: ApiRequest): Promise<ApiResponse> {
    const { importId } = await request.adminJson(IMPORT_ID, "write");
    checkId(importId);
    await this.#confirm(importId);
    return {};
  }

  async #cancel(request: ApiRequest): Promise<ApiResponse> {
    const identity = await request.identity();
    const { importId } = await request.json(IMPORT_ID);
    checkId(importId);
    if (!hasKey(identity) || identity.kind === "system") throw internalError();
    await this.#store.write((tx) => {
      const { _id, _creationTime, ...fields } = found(tx.get("", importId), importId, tx.tableOfId("", importId)?.name);
      const state = stateOf({ _id, _creationTime, ...fields } as Document);
      if (state === "completed" || state === "failed") {
        throw new ApiError(400, "CannotCancelImport", `Cannot cancel an import that has ${state}`);
      }
      tx.replace("", _id, { ...fields, state: { error_message: "Import canceled", state: "failed" } });
    });
    this.#imports.canceled();
    return {};
  }

  /** Uploads, confirms and waits. */
  async #oneCall(request: ApiRequest): Promise<ApiResponse> {
    requireAdmin(await request.identity(), "write");
    const wanted = request.queryArgs(object<Wanted>("ImportQueryArgs", WANTED));
    checkTable(wanted);
    const key = await this.#blobs.put("snapshot_imports", await request.bytes(Number.POSITIVE_INFINITY));
    const id = await this.#insert(wanted, key);
    if ((await this.#until(id, (state) => state !== "uploaded")) === "waiting_for_confirmation") {
      await this.#confirm(id);
      await this.#until(id, (state) => state === "completed" || state === "failed");
    }
    const state = this.#store.read((tx) => tx.get("", id)?.["state"]);
    const { error_message, num_rows_written } = isFields(state) ? state : {};
    if (typeof error_message === "string") throw new ApiError(400, "ImportFailed", error_message);
    return json({ numWritten: Number(num_rows_written) });
  }

  async #insert(wanted: Wanted, blob: string): Promise<string> {
    const { tableName, componentPath, format, mode } = wanted;
    const table: Record<string, Value> = tableName === undefined ? {} : { table: tableName };
    const id = await this.#store.write((tx) =>
      tx.insert("", IMPORTS, {
        checkpoints: null,
        component_path: componentPath || null,
        format: { format: FORMAT_NAMES[format], ...table },
        fq_object_key: this.#uploads.shownKey(blob),
        member_id: 0n,
        mode: MODE_NAMES[mode ?? "requireEmpty"],
        requestor: { type: "snapshotImport" },
        state: { state: "uploaded" },
        blob,
      }),
    );
    this.#imports.poke();
    return id;
  }

  /** `in_progress` before it is answered, or the CLI confirms again and again (contract 0.7). */
  async #confirm(id: string): Promise<void> {
    await this.#store.write((tx) => {
      const document = found(tx.get("", id), id, tx.tableOfId("", id)?.name);
      if (stateOf(document) !== "waiting_for_confirmation") return;
      const { _id, _creationTime, ...fields } = document;
      const state = { checkpoint_messages: [], progress_message: "Importing", state: "in_progress" };
      tx.replace("", id, { ...fields, state });
    });
    this.#imports.poke();
  }

  /** Resolves to the first state for which `enough` is true. */
  #until(id: string, enough: (state: string) => boolean): Promise<string> {
    const current = () => {
      const document = this.#store.read((tx) => tx.get("", id));
      return document === null ? "failed" : stateOf(document);
    };
    const { promise, resolve } = Promise.withResolvers<string>();
    const look = () => {
      const state = current();
      if (enough(state)) resolve(state);
    };
    const stop = this.#store.onCommit(() => queueMicrotask(look));
    look();
    return promise.finally(stop);
  }
}

function json(value: unknown): ApiResponse {
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}

function checkTable({ format, tableName }: Wanted): void {
  if (format === "zip") {
    if (tableName !== undefined) throw new ApiError(400, "InvalidName", "ZIP import cannot have table name");
    return;
  }
  if (tableName === undefined) {
    throw new ApiError(400, "InvalidName", `${NEEDS_TABLE[format]} import requires table name`);
  }
  const problem = identifierProblem(tableName);
  if (problem !== undefined)
    throw new ApiError(400, "ImportInvalidName", `invalid table name ${tableName}: ${problem}`);
}

function checkId(id: string): void {
  if (decodeId(id) === undefined) throw new ApiError(400, "InvalidImport", `invalid import id ${id}`);
}

/** Another table's id is a 500, an unknown one of the right table a 404. */
function found(document: Document | null, id: string, table: string | undefined): Document {
  if (table !== IMPORTS) throw internalError();
  if (document === null) throw new ApiError(404, "ImportNotFound", `import ${id} not found`);
  return document;
}
