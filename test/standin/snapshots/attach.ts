/** Exports and imports of a backend. */
import type { Backend } from "../backend.ts";
import { readKnobs } from "../knobs.ts";
import { Exports } from "./exports.ts";
import { ImportRoutes } from "./import-routes.ts";
import { Imports } from "./imports.ts";

export function attachSnapshots(backend: Backend): void {
  const { store, blobs, like, log, routes, systemQueries } = backend;
  const { instanceName, env = {} } = backend.options;
  const knobs = readKnobs(env);
  const exports = new Exports({ store, blobs, instanceName, like, knobs, log });
  const imports = new Imports({ store, blobs, like, knobs, log });
  exports.register(routes);
  new ImportRoutes({ store, blobs, imports }).register(routes);
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
