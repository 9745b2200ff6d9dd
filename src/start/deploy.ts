import type { RunningBackend } from "../backend/backend.ts";
import type { AuthKeys } from "../credentials/auth-keys.ts";
import { BackendError } from "../deployment/backend-error.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { runCalls } from "../deployment/functions.ts";
import { importData } from "../deployment/import.ts";
import { push } from "../deployment/push.ts";
import { proveSignIn } from "../deployment/sign-in.ts";
import { variableRefusal } from "../deployment/variables.ts";
import { ActionError } from "../runner/errors.ts";
import { seconds } from "../runner/summary.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import { type Deployable, reportMissing } from "./deployable.ts";
import type { Launched } from "./launch.ts";
import type { Prepared } from "./prepare.ts";

/** Where the backend is, for us and for itself. */
export interface Served {
  readonly backend: Pick<RunningBackend, "url" | "siteUrl" | "siteOrigin">;
}

/** How the deployment is talked to. */
interface Access {
  readonly adminKey: string;
  readonly client: DeploymentClient;
  readonly keys: AuthKeys | undefined;
  /** Aborts when the backend has ended. */
  readonly signal: AbortSignal;
  /** A relay that looks at the push on its way; undefined where nobody looks. */
  readonly through?: string | undefined;
}

/** Sets all variables in one batch and returns their names, sorted. */
export async function pushVariables(
  prepared: Deployable,
  launched: Served,
  keys: AuthKeys | undefined,
  client: DeploymentClient,
  deps: Deps,
): Promise<string[]> {
  const { values } = prepared.variables(launched.backend.siteOrigin, keys);
  if (prepared.scan !== undefined && !prepared.fresh) {
    const present = await client.listVariables();
    reportMissing(prepared.scan, new Set([...present.keys(), ...values.keys()]), deps);
  }
  if (values.size === 0) return [];
  try {
    await client.updateVariables([...values].map(([name, value]) => ({ name, value })));
  } catch (error) {
    throw error instanceof BackendError ? variableRefusal(error) : error;
  }
  return [...values.keys()].sort();
}

/**
 * Origins of a service container that do not fit: a warning for apps that do not miss them.
 * @throws ActionError `service-container-origins` for apps with Node actions or an auth config of their own site
 */
export function checkOrigins(prepared: Prepared, launched: Launched, deps: Deps): void {
  if (launched.origins === undefined) return;
  const { scan } = prepared;
  if (scan !== undefined && (scan.nodeModules.length > 0 || scan.usesOwnSite)) {
    throw new ActionError(
      "service-container-origins",
      `${launched.origins} The app has ${scan.usesOwnSite ? "an auth config of its own site" : "Node actions"}, which cannot work so.`,
      "Add the two lines to the service's env: in the workflow.",
    );
  }
  deps.log.warning(launched.origins);
}

function describe(functions: unknown, tables: unknown): string {
  const count = Array.isArray(functions) ? functions.length : 0;
  const page = typeof tables === "object" && tables !== null && "page" in tables ? tables.page : [];
  const names = Array.isArray(page) ? page.length : 0;
  return `${count} function${count === 1 ? "" : "s"}, ${names} table${names === 1 ? "" : "s"}`;
}

/** Deploys the project; `23 functions, 6 tables from packages/backend`. */
export async function deployProject(
  prepared: Deployable,
  launched: Served,
  { adminKey, client, signal, through }: Access,
  deps: Deps,
): Promise<string | undefined> {
  const { project, inputs } = prepared;
  if (project === undefined) return undefined;
  const result = await deps.log.group(`convex deploy in ${inputs.workingDirectory}`, () =>
    push(deps, {
      project,
      url: launched.backend.url,
      adminKey,
      typecheck: inputs.typecheck,
      codegen: inputs.codegen,
      showDocuments: inputs.showDocuments,
      repositoryRoot: prepared.workspace,
      signal,
      ...(through === undefined ? {} : { through }),
    }),
  );
  const [functions, tables] = await Promise.all([
    client.systemQuery("_system/cli/modules:apiSpec", {}),
    client.systemQuery("_system/cli/tables", { paginationOpts: { cursor: null, numItems: 10_000 } }),
  ]);
  const what = `${describe(functions, tables)} from ${inputs.workingDirectory}`;
  deps.log.info(`Deployed ${what} in ${seconds(result.ms)} with convex ${result.cliVersion}.`);
  return what;
}

/** Seeds with `import`, one after the other: the backend handles one at a time (contract 7.3). */
export async function importAll(
  prepared: Deployable,
  client: DeploymentClient,
  deps: Deps,
): Promise<string | undefined> {
  let documents = 0;
  for (const source of prepared.imports) {
    const mode = source.format === "zip" ? "replaceAll" : prepared.tableMode;
    documents += (await importData(client, deps, source, { mode, showDocuments: prepared.inputs.showDocuments }))
      .documents;
  }
  return prepared.imports.length === 0 ? undefined : `${documents} documents from ${prepared.imports.length} files`;
}

export async function runFunctions(prepared: Deployable, client: DeploymentClient, deps: Deps): Promise<string[]> {
  const done = await runCalls(client, deps, prepared.calls, { showDocuments: prepared.inputs.showDocuments });
  return done.map(({ path, ms }) => `${path} (${seconds(ms)})`);
}

/** A green deploy does not mean that sign-in works (contract 12): an app that is its own issuer is asked for its keys. */
export async function checkOwnIssuer(
  prepared: Deployable,
  launched: Served,
  keys: AuthKeys | undefined,
  deps: Deps,
): Promise<string | undefined> {
  if (prepared.scan?.usesOwnSite !== true) return undefined;
  if (prepared.inputs.paused) return "not checked: the deployment is paused";
  const { siteUrl, siteOrigin } = launched.backend;
  return await proveSignIn(deps, {
    siteUrl,
    siteOrigin,
    closed: false,
    ...(keys === undefined ? {} : { jwks: keys.jwks }),
  });
}

/** What comes after the variables: deploy, import, functions, sign-in check; each is told as soon as it is done. */
export async function deployAndSeed(
  prepared: Deployable,
  launched: Served,
  access: Access,
  timeline: Timeline,
  report: (facts: { deployed?: string; imported?: string; ran?: string[]; signIn?: string }) => void,
  deps: Deps,
): Promise<void> {
  const { client, keys } = access;
  if (prepared.project !== undefined) {
    const deployed = await timeline.phase("deploy", () => deployProject(prepared, launched, access, deps));
    if (deployed !== undefined) report({ deployed });
  }
  if (prepared.imports.length > 0) {
    const imported = await timeline.phase("import", () => importAll(prepared, client, deps));
    if (imported !== undefined) report({ imported });
  }
  if (prepared.calls.length > 0) {
    report({ ran: await timeline.phase("run", () => runFunctions(prepared, client, deps)) });
  }
  if (prepared.project !== undefined && prepared.scan?.usesOwnSite === true) {
    const signIn = await timeline.phase("sign-in", () => checkOwnIssuer(prepared, launched, keys, deps));
    if (signIn !== undefined) report({ signIn });
  }
}
