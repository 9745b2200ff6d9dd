/** Exports and imports of a backend. */
import type { Backend } from "../backend.ts";
import { readKnobs } from "../knobs.ts";
import { Exports } from "./exports.ts";
import { ImportRoutes } from "./import-routes.ts";
import { Imports } from "./imports.ts";
import { LocalUploads, S3Uploads } from "./uploads.ts";

export function attachSnapshots(backend: Backend): void {
  const { store, blobs, like, log, routes, systemQueries } = backend;
  const { instanceName, env = {} } = backend.options;
  const knobs = readKnobs(env);
  const cleanup = {
    expiredDays: Number(env["MAX_EXPIRED_SNAPSHOT_AGE_DAYS"] ?? 30),
    everyMs: Number(env["SYSTEM_TABLE_CLEANUP_FREQUENCY_SECONDS"] ?? 1800) * 1000,
  };
  const exports = new Exports({ store, blobs, instanceName, like, knobs, log, cleanup });
  const imports = new Imports({ store, blobs, like, knobs, log });
  exports.register(routes);
  const { storage } = backend.options;
  const bucket = env["S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET"] ?? "";
  const uploads = storage.kind === "s3" ? new S3Uploads(blobs, `${bucket}/${storage.prefix}`) : new LocalUploads(blobs);
  new ImportRoutes({ store, blobs, uploads, imports }).register(routes);
  systemQueries.set("cli/exports.js:getLatest", exports.getLatest);
  systemQueries.set("cli/queryImport.js:default", imports.query);
  systemQueries.set("cli/queryImport.js:list", imports.list);
  exports.start();
  imports.start();
  backend.onStop.push(() => {
    exports.stop();
    imports.stop();
  });
}
