/** File storage (contract 8.2): upload URLs, uploads, downloads, and what `ctx.storage` stands on. */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Backend } from "./backend.ts";
import { componentIdOf, componentPathOf } from "./components.ts";
import { readRange } from "./ranges.ts";
import {
  ApiError,
  type ApiRequest,
  type ApiResponse,
  type Blobs,
  type Document,
  FunctionError,
  internalError,
  type ReadTransaction,
  type Routes,
  type Store,
  type WriteTransaction,
} from "./types.ts";
import { issueUploadToken, openUploadToken } from "./upload-tokens.ts";

const TABLE = "_storage";
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export interface FilesDeps {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly instanceName: string;
  /** 64 hex digits */
  readonly instanceSecret: string;
  /** The cloud origin in force, as it stands: nothing is normalised (contract 8.3). */
  readonly origin: (tx: ReadTransaction) => string;
  readonly nowMs?: () => number;
}

/** What the backend keeps of a file; `_id` is the storage id, `storageId` the UUID of its URL. */
export interface StoredFile {
  sha256: string;
  size: number;
  contentType: string | null;
  storageId: string;
  storageKey: string;
}

const attached = new WeakMap<Backend, Files>();

/** The file storage of a backend that has its parts. */
export function filesOf(backend: Backend): Files {
  const files = attached.get(backend);
  if (files === undefined) throw new Error("attachFiles was not called for this backend");
  return files;
}

export function attachFiles(backend: Backend): void {
  const { store, blobs, origins } = backend;
  const { instanceName, instanceSecret } = backend.options;
  const files = new Files({ store, blobs, instanceName, instanceSecret, origin: (tx) => origins.cloud(tx) });
  files.register(backend.routes);
  attached.set(backend, files);
}

export class Files {
  #deps: FilesDeps;
  #now: () => number;

  constructor(deps: FilesDeps) {
    this.#deps = deps;
    this.#now = deps.nowMs ?? Date.now;
  }

  register(routes: Routes): void {
    routes.route("POST", "/api/storage/upload", (request) => this.#upload(request));
    routes.route("GET", "/api/storage/:id", (request) => this.#serve(request));
  }

  /** `ctx.storage.generateUploadUrl()` */
  uploadUrl(tx: ReadTransaction, component: string): string {
    const { instanceName, instanceSecret, origin } = this.#deps;
    const token = issueUploadToken(instanceName, instanceSecret, component, this.#now());
    return `${origin(tx)}/api/storage/upload?token=${token}`;
  }

  /** `ctx.storage.getUrl(id)`; null when there is no such file. */
  url(tx: ReadTransaction, component: string, id: string): string | null {
    const file = find(tx, component, id);
    if (file === undefined) return null;
    const query = component === "" ? "" : `?component=${componentIdOf(tx, component) ?? ""}`;
    return `${this.#deps.origin(tx)}/api/storage/${file["storageId"]}${query}`;
  }

  /** A `_storage` document as `ctx.db.system` shows it. */
  view(document: Document): Document {
    const { storageId: _, storageKey: __, ...shown } = document;
    return shown as Document;
  }

  /** `ctx.storage.getMetadata(id)` and `ctx.db.system.get(id)` */
  metadata(tx: ReadTransaction, component: string, id: string): Document | null {
    const file = find(tx, component, id);
    return file === undefined ? null : this.view(file);
  }

  /** `ctx.storage.delete(id)`; the blob stays (contract 1.9). @throws FunctionError */
  remove(tx: WriteTransaction, component: string, id: string): void {
    if (find(tx, component, id) === undefined) throw new FunctionError(`Uncaught Error: storage id ${id} not found`);
    tx.delete(component, id);
  }

  /** `ctx.storage.store(blob)`: the new storage id. @throws ApiError 400 `Sha256Mismatch` */
  async store(component: string, bytes: Uint8Array, contentType: string | null, expected?: string): Promise<string> {
    const sha256 = createHash("sha256").update(bytes).digest("base64");
    if (expected !== undefined && expected !== sha256) throw mismatch(expected, sha256);
    const storageKey = await this.#deps.blobs.put("files", bytes);
    const file: StoredFile = { sha256, size: bytes.byteLength, contentType, storageId: randomUUID(), storageKey };
    return this.#deps.store.write((tx) => tx.insert(component, TABLE, { ...file }));
  }

  /** `ctx.storage.get(id)` in actions: null when there is no such file. @throws ApiError 500 when its blob is lost */
  async read(component: string, id: string): Promise<{ bytes: Buffer; contentType: string | null } | null> {
    const file = this.#deps.store.read((tx) => find(tx, component, id));
    if (file === undefined) return null;
    const bytes = await this.#deps.blobs.get("files", String(file["storageKey"]));
    if (bytes === undefined) throw internalError();
    return { bytes, contentType: asType(file["contentType"]) };
  }

  async #upload(request: ApiRequest): Promise<ApiResponse> {
    const token = request.query.get("token");
    if (token === null) {
      throw new ApiError(400, "BadQueryArgs", "Failed to deserialize query string: missing field `token`");
    }
    const { instanceName, instanceSecret } = this.#deps;
    const component = openUploadToken(token, instanceName, instanceSecret, this.#now());
    const contentType = request.headers["content-type"] ?? null;
    if (contentType !== null && !/^[^\s/;]+\/[^\s/;]+/.test(contentType)) throw badHeader("content-type");
    const expected = digestOf(request.headers["digest"]);
    const bytes = await request.bytes(Number.POSITIVE_INFINITY);
    const storageId = await this.store(component, bytes, contentType, expected);
    return { headers: { "content-type": "application/json" }, body: JSON.stringify({ storageId }) };
  }

  #serve(request: ApiRequest): ApiResponse {
    const id = request.params["id"] ?? "";
    if (!UUID.test(id)) throw invalidPath(id);
    const componentId = request.query.get("component");
    const file = this.#deps.store.read((tx) => {
      const component = componentId === null ? "" : componentPathOf(tx, componentId);
      if (component === undefined) throw internalError();
      return tx.scan(component, TABLE).find((each) => String(each["storageId"]).toLowerCase() === id.toLowerCase());
    });
    if (file === undefined) throw new ApiError(404, "FileNotFound", `File ${id} not found`);
    const key = String(file["storageKey"]);
    if (!this.#deps.blobs.has("files", key)) throw internalError();
    return answer(file, this.#deps.blobs.path("files", key), request.headers.range);
  }
}

function answer(file: Document, path: string, rangeHeader: string | undefined): ApiResponse {
  const size = Number(file["size"]);
  const range = readRange(rangeHeader, size);
  if (range.kind === "refused") return { status: 416, headers: { "content-length": "0" } };
  const contentType = asType(file["contentType"]);
  const [from, to] = range.kind === "whole" ? [0, size] : [range.from, range.to];
  const headers: Record<string, string> = {
    ...(range.kind === "whole" ? { digest: `sha-256=${file["sha256"]}` } : { "content-range": range.contentRange }),
    ...(contentType === null ? {} : { "content-type": contentType }),
    "content-length": String(to - from),
    "cache-control": "private, max-age=2592000",
    "accept-ranges": "bytes",
  };
  const status = range.kind === "whole" ? 200 : 206;
  return to === from
    ? { status, headers }
    : { status, headers, body: createReadStream(path, { start: from, end: to - 1 }) };
}

/** The file of an id of this component's `_storage`. */
function find(tx: ReadTransaction, component: string, id: string): Document | undefined {
  const table = tx.tableOfId(component, id);
  return table?.name === TABLE ? (tx.get(component, id) ?? undefined) : undefined;
}

const asType = (value: unknown) => (typeof value === "string" ? value : null);

/** `Digest: sha-256=<base64>`; the value alone. */
function digestOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = /^sha-256=([A-Za-z0-9+/]{43}=)$/i.exec(String(header));
  if (match === null) throw badHeader("digest");
  return match[1];
}

function badHeader(name: string): ApiError {
  return new ApiError(400, "BadHeader", `Bad header for ${name}: invalid HTTP header`);
}

export function mismatch(expected: string, actual: string): ApiError {
  return new ApiError(400, "Sha256Mismatch", `Sha256 mismatch. Expected: ${expected} Actual: ${actual}`);
}

function invalidPath(path: string): ApiError {
  const advice = 'Please use `storage.getUrl(storageId: Id<"_storage">)` to generate a valid URL to retrieve files.';
  const link = "See https://docs.convex.dev/file-storage/serve-files for more details";
  return new ApiError(400, "InvalidStoragePath", `Invalid storage path: "${path}". ${advice} ${link}`);
}
