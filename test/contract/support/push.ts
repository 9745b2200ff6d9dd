/** The deploy2 calls without the CLI (contract 5.2). */
import { type App, type AppSpec, createApp } from "./app.ts";
import type { Backend } from "./backend.ts";
import { bundleApp, type ComponentBundle, type Module } from "./bundle.ts";
import { type Answer, at } from "./http.ts";

export type { Module } from "./bundle.ts";

export interface PushRequest {
  adminKey: string;
  dryRun: boolean;
  functions: string;
  appDefinition: {
    definition: Module | null;
    dependencies: readonly string[];
    schema: Module | null;
    changedModules: Module[];
    unchangedModuleHashes: { path: string; environment: string; sha256: string }[];
    udfServerVersion: string;
  };
  componentDefinitions: unknown[];
  nodeDependencies: unknown[];
  nodeVersion?: string;
  forCodegen: boolean;
}

const version = "1.48.0";

export function requestOf(backend: Backend, bundles: readonly ComponentBundle[], dryRun = false): PushRequest {
  const [root, ...components] = bundles;
  if (root === undefined) throw new Error("no root");
  return {
    adminKey: backend.key,
    dryRun,
    functions: "convex/",
    appDefinition: {
      definition: root.definition,
      dependencies: root.dependencies,
      schema: root.schema,
      changedModules: [...root.functions],
      unchangedModuleHashes: [],
      udfServerVersion: version,
    },
    componentDefinitions: components.map((component) => ({ ...component, udfServerVersion: version })),
    nodeDependencies: [],
    forCodegen: false,
  };
}

const bundled = new Map<string, Promise<ComponentBundle[]>>();

async function bundleOnce(spec: AppSpec): Promise<ComponentBundle[]> {
  const app = createApp(spec);
  try {
    return await bundleApp(app);
  } finally {
    app.remove();
  }
}

/** Bundles a throw-away project of these files; the same files only once. */
export function bundleSpec(spec: AppSpec): Promise<ComponentBundle[]> {
  const key = JSON.stringify(spec);
  const known = bundled.get(key) ?? bundleOnce(spec);
  bundled.set(key, known);
  return known;
}

export async function requestFor(backend: Backend, spec: AppSpec | App, dryRun = false): Promise<PushRequest> {
  return requestOf(backend, "dir" in spec ? await bundleApp(spec) : await bundleSpec(spec), dryRun);
}

export const evaluatePush = (backend: Backend, request: PushRequest) =>
  backend.postBrotli("/api/deploy2/evaluate_push", request);

export const startPush = (backend: Backend, request: PushRequest) =>
  backend.postBrotli("/api/deploy2/start_push", request);

export function waitForSchema(backend: Backend, started: unknown, timeoutMs = 10_000): Promise<Answer> {
  const schemaChange = at(started, "schemaChange");
  return backend.post("/api/deploy2/wait_for_schema", {
    adminKey: backend.key,
    schemaChange,
    timeoutMs,
    dryRun: false,
  });
}

export function finishPush(backend: Backend, started: unknown, dryRun = false): Promise<Answer> {
  const body = { adminKey: backend.key, startPush: started, dryRun, message: null };
  return backend.postBrotli("/api/deploy2/finish_push", body);
}

export function expectOk(answer: Answer, what: string): unknown {
  if (answer.status !== 200) throw new Error(`${what}: ${answer.status} ${answer.text.slice(0, 2000)}`);
  return answer.json;
}

/** Waits as the CLI does, until the answer is not `inProgress`. */
export async function waitUntilDecided(backend: Backend, started: unknown): Promise<unknown> {
  for (;;) {
    const waited = expectOk(await waitForSchema(backend, started), "wait_for_schema");
    if (at(waited, "type") !== "inProgress") return waited;
  }
}

/** A whole deploy; throws at the first failing call. */
export async function pushBundles(backend: Backend, bundles: readonly ComponentBundle[]) {
  const started = expectOk(await startPush(backend, requestOf(backend, bundles)), "start_push");
  const waited = await waitUntilDecided(backend, started);
  if (at(waited, "type") !== "complete") throw new Error(`wait_for_schema: ${JSON.stringify(waited)}`);
  const finished = expectOk(await finishPush(backend, started), "finish_push");
  return { started, finished };
}

export async function push(backend: Backend, spec: AppSpec = {}) {
  return pushBundles(backend, await bundleSpec(spec));
}

/** No functions, no schema, no components. */
export async function pushEmptyApp(backend: Backend): Promise<void> {
  await push(backend, { base: false });
}
