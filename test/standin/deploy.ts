/** Attaches deploys and the function runtime to a backend. */
import { mkdirSync } from "node:fs";
import type { Backend } from "./backend.ts";
import { AUTH_MODULE, evaluateAuthConfig } from "./deploy/auth-config.ts";
import { Packages } from "./deploy/code.ts";
import { definition, providers, saveProviders } from "./deploy/deployed.ts";
import { addLegacyRoutes } from "./deploy/legacy-routes.ts";
import { Push } from "./deploy/push.ts";
import { addDeployRoutes } from "./deploy/routes.ts";
import { activeTables, checkDocument } from "./deploy/schema-state.ts";
import { Files } from "./files.ts";
import { addCallbackRoute } from "./runtime/callback.ts";
import { addHttpActionRoutes } from "./runtime/http-actions.ts";
import { IsolatePool } from "./runtime/isolate.ts";
import { NodeExecutor } from "./runtime/node-executor.ts";
import { Runner } from "./runtime/runner.ts";
import type { ReadTransaction, WriteTransaction } from "./types.ts";

export function attachDeploy(backend: Backend): void {
  const { store, scheduler, cursors, functions, routes, options, environment, origins, identities, like } = backend;
  mkdirSync(options.tmpDir, { recursive: true });
  const pool = new IsolatePool();
  const node = new NodeExecutor({
    tmpDir: options.tmpDir,
    env: options.env ?? process.env,
    // Callbacks go to the flag's origin, whatever the canonical URL says (contract 8.3).
    origin: () => origins.flags().cloud,
    onError: (message) => backend.log.write("ERROR", "common::errors", `Caught error (test double) ${message}`),
  });
  const packages = new Packages(backend.blobs);
  const files = new Files({
    store,
    blobs: backend.blobs,
    instanceName: options.instanceName,
    instanceSecret: options.instanceSecret,
    origin: (tx) => origins.cloud(tx),
  });
  const variables = (tx: ReadTransaction) => environment.variables(tx);
  const runner = new Runner({ store, files, scheduler, cursors, functions, pool, node, packages, variables });
  const pushDeps = {
    store,
    packages,
    pool,
    node,
    scheduler,
    variables,
    ownVariables: (tx: ReadTransaction) => environment.own(tx),
    declaredVariables: like === "head",
  };
  const push = new Push(pushDeps);
  backend.runner = runner;
  backend.schemaTables = (component) => store.read((tx) => activeTables(tx, component));
  store.checkDocument = checkDocument;
  environment.onChange = (tx) => reevaluateAuth(tx, { pool, packages, variables });
  addDeployRoutes({
    routes,
    store,
    packages,
    push,
    byKey: (key) => identities.byKey(key),
    warm: () => pool.warm(),
    like,
  });
  addLegacyRoutes({ routes, store, push, pushDeps, byKey: (key) => identities.byKey(key) });
  addHttpActionRoutes(routes, {
    store,
    runner,
    pool,
    logs: backend.logs,
    pause: backend.pause,
    redact: options.redactLogs === true,
  });
  addCallbackRoute(routes, runner);
  backend.onStop.push(() => {
    pool.close();
    node.close();
  });
}

/** A deployed auth config is evaluated again by every change of variables or origins (contract 4.1). */
async function reevaluateAuth(
  tx: WriteTransaction,
  deps: { pool: IsolatePool; packages: Packages; variables: (tx: ReadTransaction) => Map<string, string> },
): Promise<void> {
  const root = definition(tx, "");
  if (root === undefined || !root.hashes.some((one) => one.path === AUTH_MODULE)) return;
  const code = await deps.packages.get(root.storageKey);
  const env = Object.fromEntries(deps.variables(tx));
  const next = await evaluateAuthConfig(
    deps.pool,
    code.isolate,
    env,
    "This change would make the auth config invalid: ",
  );
  if (JSON.stringify(next) !== JSON.stringify(providers(tx))) saveProviders(tx, next);
}
