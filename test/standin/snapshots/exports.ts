/** Snapshot exports (contract 7.1): requests, the one worker, downloads, `_exports` documents. */

import { randomUUID } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable } from "node:stream";

import { componentPathOf } from "../components.ts";
import { hasKey } from "../identity.ts";
import { decodeId } from "../ids.ts";
import type { Knobs } from "../knobs.ts";
import type { Log } from "../log.ts";
import { object, u64 } from "../shapes.ts";
import {
  ApiError,
  type ApiRequest,
  type ApiResponse,
  type Blobs,
  type Document,
  type Fields,
  internalError,
  type Like,
  type Routes,
  type Store,
  type SystemQuery,
} from "../types.ts";
import { writeExport } from "./export-zip.ts";
import { ZipWriter } from "./zip-writer.ts";

const TABLE = "_exports";
const EXPIRATION = object<{ expirationTsNs: bigint }>("SetExpirationTsRequest", { expirationTsNs: u64 });
const DAY_NS = 86_400_000_000_000n;
const LIFETIME_DAYS = 14n;
/** After a canceled run the worker looks again only then. */
const PAUSE_AFTER_CANCEL_MS = 12_000;
const RETRY_MS = [2_000, 6_000, 21_000, 56_000, 120_000, 300_000, 900_000];

export interface SnapshotDeps {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly instanceName: string;
  readonly like: Like;
  readonly knobs: Pick<Knobs, "retryMs" | "exportDelayMs" | "downloadCuts" | "cancelConflicts">;
  readonly log: Log;
  /** When expired exports go: days after their expiry, and how often that is looked at. */
  readonly cleanup: { readonly expiredDays: number; readonly everyMs: number };
}

class Canceled extends Error {}

export class Exports {
  readonly #deps: SnapshotDeps;
  #wake: (() => void) | undefined;
  #cleaning: NodeJS.Timeout | undefined;
  #stopped = false;
  #conflicts = 0;
  #downloads = 0;

  constructor(deps: SnapshotDeps) {
    this.#deps = deps;
  }

  register(routes: Routes): void {
    routes.route("POST", "/api/export/request/zip", (request) => this.#request(request));
    routes.route("GET", "/api/export/zip/:id", (request) => this.#download(request));
    routes.route("POST", "/api/export/cancel/:id", (request) => this.#cancel(request));
    routes.route("POST", "/api/export/set_expiration/:id", (request) => this.#setExpiration(request));
  }

  /** `_system/cli/exports:getLatest` */
  readonly getLatest: SystemQuery = ({ tx }) => {
    const own = tx.scan("", TABLE).filter((document) => document["requestor"] === "snapshotExport");
    return own.sort((a, b) => b._creationTime - a._creationTime)[0] ?? null;
  };

  /** Starts the worker; an export that was running goes on. */
  start(): void {
    void this.#work();
    this.#cleaning = setInterval(() => void this.#clean(), this.#deps.cleanup.everyMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#cleaning);
    this.#wake?.();
  }

  /** Document and file of completed exports that expired long enough ago (contract 7.4). */
  async #clean(): Promise<void> {
    const { store, blobs, cleanup } = this.#deps;
    const limit = BigInt(Date.now()) * 1_000_000n - BigInt(cleanup.expiredDays) * DAY_NS;
    const old = store.read((tx) => tx.scan("", TABLE)).filter((document) => isExpired(document, limit));
    for (const document of old) {
      await store.write((tx) => tx.delete("", document._id));
      await blobs.delete("exports", String(document["zip_object_key"]));
    }
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      const open = this.#deps.store.read((tx) => tx.scan("", TABLE).find(isOpen));
      if (open === undefined) await this.#sleep();
      else await this.#runUntilDone(open._id);
    }
  }

  /** Failures are retried for ever. */
  async #runUntilDone(id: string): Promise<void> {
    for (let failures = 0; !this.#stopped; failures++) {
      try {
        return await this.#run(id);
      } catch (error) {
        if (error instanceof Canceled) return await this.#pause(PAUSE_AFTER_CANCEL_MS);
        const wait = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 0;
        const { log } = this.#deps;
        log.write("ERROR", "common::errors", `Caught error: ${error instanceof Error ? error.message : String(error)}`);
        log.write("ERROR", "application::exports::worker", `Export failed, retrying in ${wait / 1000}s`);
        await this.#pause(wait);
      }
    }
  }

  async #run(id: string): Promise<void> {
    const { store, blobs, knobs } = this.#deps;
    const begun = store.lastCommit;
    const document = await this.#update(id, (fields) => ({
      ...fields,
      state: "in_progress",
      start_ts: begun,
      progress_message: null,
    }));
    const format = document["format"] as Fields;
    const key = randomUUID();
    const path = blobs.path("exports", key);
    const zip = await ZipWriter.create(path);
    const tx = store.beginRead();
    try {
      const progress = async (message: string) => {
        if (knobs.exportDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, knobs.exportDelayMs));
        await this.#update(id, (fields) => ({ ...fields, progress_message: message }));
      };
      await progress("Beginning backup");
      await writeExport(zip, {
        tx,
        blobs,
        includeStorage: format["include_storage"] === true,
        oldEncoding: this.#deps.like === "first",
        progress,
      });
      const size = BigInt(await zip.finish());
      const complete_ts = store.lastCommit;
      await this.#update(id, ({ progress_message: _, ...fields }) => {
        return { ...fields, state: "completed", start_ts: tx.ts, complete_ts, size, zip_object_key: key };
      });
    } catch (error) {
      // what a canceled run has written stays in the storage, as with the real one
      await zip.abandon().catch(() => undefined);
      if (!(error instanceof Canceled)) await rm(path, { force: true });
      throw error;
    } finally {
      tx.close();
    }
  }

  /** @throws Canceled when the export is no longer open */
  #update(id: string, change: (fields: Fields) => Fields): Promise<Document> {
    return this.#deps.store.write((tx) => {
      const document = tx.get("", id);
      if (document === null || !isOpen(document)) throw new Canceled();
      const { _id, _creationTime, ...fields } = document;
      tx.replace("", id, change(fields));
      return document;
    });
  }

  async #request(request: ApiRequest): Promise<ApiResponse> {
    await request.requireAdmin("write");
    const text = request.query.get("includeStorage") ?? "false";
    if (text !== "true" && text !== "false") {
      const why = "includeStorage: provided string was not `true` or `false`";
      throw new ApiError(400, "BadQueryArgs", `Failed to deserialize query string: ${why}`);
    }
    const component = request.query.get("component");
    await this.#deps.store.write((tx) => {
      if (component !== null && componentPathOf(tx, component) === undefined) throw internalError();
      if (tx.scan("", TABLE).some(isOpen)) {
        throw new ApiError(400, "ExportInProgress", "There is already an export requested or in progress.");
      }
      const expiration_ts = BigInt(Date.now()) * 1_000_000n + LIFETIME_DAYS * DAY_NS;
      const format = { format: "zip", include_storage: text === "true" };
      tx.insert("", TABLE, { format, requestor: "snapshotExport", component, expiration_ts, state: "requested" });
    });
    this.#wake?.();
    return {};
  }

  async #download(request: ApiRequest): Promise<ApiResponse> {
    await request.requireAdmin(this.#deps.like === "head" ? "read" : "write");
    const id = request.params["id"] ?? "";
    const notFound = (what = id) => new ApiError(404, "ExportNotFound", `The requested export ${what} was not found`);
    if (!/^\d+$/.test(id) && decodeId(id) === undefined) {
      throw new ApiError(400, "BadSnapshotId", "Snapshot Id did not parse to an ID.");
    }
    const document = this.#deps.store.read((tx) => {
      const wanted = (each: Document) =>
        each._id === id || (each["state"] === "completed" && String(each["start_ts"]) === id);
      return tx.scan("", TABLE).find(wanted);
    });
    if (document === undefined) throw notFound();
    if (document["state"] !== "completed") {
      throw new ApiError(400, "ExportNotComplete", `The requested export ${id} has not completed`);
    }
    const [key, start] = [String(document["zip_object_key"]), String(document["start_ts"])];
    const { blobs, instanceName } = this.#deps;
    if (!blobs.has("exports", key)) throw notFound(`${start}/ObjectKey("${key}")`);
    const path = blobs.path("exports", key);
    const { size } = statSync(path);
    const headers = {
      "content-length": String(size),
      "content-disposition": `attachment; filename=snapshot_${instanceName}_${start}.zip`,
      "cache-control": "private, max-age=2592000",
    };
    // as when the storage goes away meanwhile (contract 7.4): the connection is closed before the announced length
    if (request.method !== "HEAD" && this.#downloads++ < this.#deps.knobs.downloadCuts) {
      const end = Math.max(0, Math.floor(size * (1 - (2 / 3) ** this.#downloads)) - 2);
      return { headers, body: cutAtEnd(createReadStream(path, { end })) };
    }
    return { headers, body: createReadStream(path) };
  }

  async #cancel(request: ApiRequest): Promise<ApiResponse> {
    if (!hasKey(await request.identity())) {
      throw new ApiError(403, "CancelExportForbidden", "Must have system or admin identity to cancel cloud export");
    }
    if (this.#conflicts++ < this.#deps.knobs.cancelConflicts) throw conflict();
    await this.#deps.store.write((tx) => {
      const document = tx.get("", request.params["id"] ?? "");
      if (document === null || !isOpen(document)) throw internalError();
      const { _id, _creationTime, expiration_ts: _, progress_message: __, ...fields } = document;
      const canceled_ts = BigInt(Date.now()) * 1_000_000n;
      tx.replace("", _id, { ...fields, start_ts: fields["start_ts"] ?? tx.ts, canceled_ts, state: "canceled" });
    });
    return {};
  }

  async #setExpiration(request: ApiRequest): Promise<ApiResponse> {
    const identity = await request.identity();
    const { expirationTsNs: ns } = await request.json(EXPIRATION);
    if (!hasKey(identity)) {
      const text = "Must have system or admin identity to set export expiration";
      throw new ApiError(403, "SetExportExpirationForbidden", text);
    }
    await this.#deps.store.write((tx) => {
      const document = tx.get("", request.params["id"] ?? "");
      if (document === null || tx.tableOfId("", document._id)?.name !== TABLE) throw internalError();
      const { _id, _creationTime, ...fields } = document;
      tx.replace("", _id, { ...fields, expiration_ts: ns });
    });
    return {};
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Ended by `stop` only. */
  #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#deps.knobs.retryMs ?? ms);
    this.#wake = () => {
      if (this.#stopped) resolve();
    };
    return promise.finally(() => clearTimeout(timer));
  }
}

/** A body that fails behind its last byte, so that the connection is cut there. */
function cutAtEnd(file: Readable): Readable {
  const failing = async function* () {
    yield* file as AsyncIterable<Buffer>;
    throw new Error("the storage went away");
  };
  return Readable.from(failing(), { objectMode: false });
}

/** What a cancellation that races with the worker is answered; the export goes on. */
function conflict(): ApiError {
  const advice =
    "Consider reducing the amount of data read by using indexed queries with selective index range expressions (https://docs.convex.dev/database/indexes/).";
  const what = "Data read or written in this mutation changed while it was being run.";
  return new ApiError(503, "OptimisticConcurrencyControlFailure", `${what} ${advice}`);
}

function isExpired(document: Document, limit: bigint): boolean {
  const expiration = document["expiration_ts"];
  return document["state"] === "completed" && typeof expiration === "bigint" && expiration < limit;
}

function isOpen(document: Document): boolean {
  return document["state"] === "requested" || document["state"] === "in_progress";
}
