import { resolve } from "node:path";
import { type AuthKeys, authVariables, generateAuthKeys, readAuthKeys } from "../credentials/auth-keys.ts";
import { readEnvFiles } from "../deployment/env-files.ts";
import { type CodeScan, missingVariables, scanFunctions } from "../deployment/env-reads.ts";
import { type FunctionCall, parseCalls } from "../deployment/functions.ts";
import { type ImportSource, parseImport } from "../deployment/import.ts";
import { findProject, type Project } from "../deployment/project.ts";
import { planVariables, type VariablePlan } from "../deployment/variables.ts";
import type { Deps } from "../system/deps.ts";
import type { StartInputs } from "./inputs.ts";

/** The inputs that say what goes onto a backend, wherever it is. */
export type DeployableInputs = Pick<
  StartInputs,
  | "env"
  | "envSecrets"
  | "envFiles"
  | "envNames"
  | "auth"
  | "jwtPrivateKey"
  | "appUrl"
  | "paused"
  | "deploy"
  | "workingDirectory"
  | "typecheck"
  | "codegen"
  | "imports"
  | "run"
  | "showDocuments"
>;

/** What goes onto a backend: variables, the project, data, functions to run. */
export interface Deployable {
  readonly inputs: Pick<DeployableInputs, "workingDirectory" | "typecheck" | "codegen" | "showDocuments" | "paused">;
  readonly workspace: string;
  readonly calls: readonly FunctionCall[];
  readonly imports: readonly ImportSource[];
  /** How a table's file is imported; snapshots replace everything. */
  readonly tableMode: "append" | "replace";
  readonly project?: Project;
  readonly scan?: CodeScan;
  /** Pending while an RSA key is made; absent without `auth`. */
  readonly authKeys?: Promise<AuthKeys>;
  /** The variables to push, once the origins are known. */
  variables(siteOrigin: string, keys: AuthKeys | undefined): VariablePlan;
  /** False where the deployment may hold data and variables already. */
  readonly fresh: boolean;
}

/** Keys of the user's own are read and proven at once; new ones are made while the backend starts. */
async function keysOf(inputs: DeployableInputs, deps: Deps): Promise<{ readonly authKeys?: Promise<AuthKeys> }> {
  if (inputs.auth === "none") return {};
  if (inputs.jwtPrivateKey === undefined) {
    const authKeys = generateAuthKeys();
    // Whoever waits for them gets the error; until then it must not end the process.
    authKeys.catch(() => undefined);
    return { authKeys };
  }
  const keys = await readAuthKeys(inputs.jwtPrivateKey);
  deps.log.mask(keys.jwtPrivateKey);
  if (keys.notice !== undefined) deps.log.notice(keys.notice);
  return { authKeys: Promise.resolve(keys) };
}

/**
 * Reads files, parses what inputs hold, finds the project and what its code reads.
 * @throws ActionError for every bad input
 */
export async function prepareDeployable(
  inputs: DeployableInputs,
  place: Pick<Deployable, "workspace" | "fresh" | "tableMode">,
  deps: Deps,
): Promise<Deployable> {
  const { workspace, fresh } = place;
  const calls = parseCalls(inputs.run.join("\n"));
  const imports = inputs.imports.map((text) => parseImport(text, workspace));
  const envFiles = await readEnvFiles(inputs.envFiles, workspace);
  const keys = await keysOf(inputs, deps);
  const project = inputs.deploy ? await findProject(resolve(workspace, inputs.workingDirectory)) : undefined;
  const scan = project === undefined ? undefined : await scanFunctions(project);
  const variables = (siteOrigin: string, keys: AuthKeys | undefined): VariablePlan =>
    planVariables({
      env: inputs.env,
      envSecrets: inputs.envSecrets,
      envFiles,
      envNames: inputs.envNames,
      stepEnv: deps.env,
      authReads: scan?.authReads ?? [],
      ...(keys === undefined
        ? {}
        : {
            auth: authVariables(keys, {
              siteOrigin,
              ...(inputs.appUrl === undefined ? {} : { appUrl: inputs.appUrl }),
            }),
          }),
    });

  // Names and sizes are the same whatever the keys and the origin will be.
  const before = variables(
    "http://127.0.0.1:3211",
    inputs.auth === "none" ? undefined : { jwtPrivateKey: "made later", jwks: "{}" },
  );
  for (const secret of before.masks) deps.log.mask(secret);
  for (const notice of before.notices) deps.log.notice(notice);
  if (scan !== undefined && fresh) reportMissing(scan, new Set(before.values.keys()), deps);

  return {
    ...place,
    inputs,
    calls,
    imports,
    variables,
    ...(project === undefined ? {} : { project }),
    ...(scan === undefined ? {} : { scan }),
    ...keys,
  };
}

/**
 * Names all variables that the code reads and nothing sets, at once.
 * @throws ActionError for those that `auth.config` reads: the push would fail on the first of them
 */
export function reportMissing(scan: CodeScan, known: ReadonlySet<string>, deps: Deps): void {
  const { notice, error } = missingVariables(scan, known);
  if (notice !== undefined) deps.log.notice(notice);
  if (error !== undefined) throw error;
}
