import { access, constants, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { resolveBinary } from "../backend/binary-catalogue.ts";
import { resolveImage } from "../backend/catalogue.ts";
import type { DatabaseTarget } from "../backend/database.ts";
import { type AuthKeys, authVariables, generateAuthKeys, readAuthKeys } from "../credentials/auth-keys.ts";
import { checkInstanceSecret, generateInstanceSecret } from "../credentials/instance-secret.ts";
import { readEnvFiles } from "../deployment/env-files.ts";
import { type CodeScan, missingVariables, scanFunctions } from "../deployment/env-reads.ts";
import { type FunctionCall, parseCalls } from "../deployment/functions.ts";
import { type ImportSource, parseImport } from "../deployment/import.ts";
import { findProject, type Project } from "../deployment/project.ts";
import { parseVariables, planVariables, type VariablePlan } from "../deployment/variables.ts";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { checkDatabase } from "./database.ts";
import type { StartInputs } from "./inputs.ts";
import { tempOf } from "./run.ts";

/** Names of `backend-env` that an input of their own sets. */
const OWN_INPUT: Readonly<Record<string, string>> = {
  INSTANCE_NAME: "instance-name",
  INSTANCE_SECRET: "instance-secret",
  POSTGRES_URL: "postgres-url",
  DATABASE_URL: "postgres-url",
  MYSQL_URL: "mysql-url",
  CONVEX_CLOUD_ORIGIN: "cloud-origin",
  CONVEX_SITE_ORIGIN: "site-origin",
};

/** All that can be known and checked before anything is started. */
export interface Prepared {
  readonly inputs: StartInputs;
  readonly workspace: string;
  readonly directory: string;
  readonly instanceSecret: string;
  readonly backendEnv: Readonly<Record<string, string>>;
  readonly database?: DatabaseTarget;
  readonly calls: readonly FunctionCall[];
  readonly imports: readonly ImportSource[];
  readonly project?: Project;
  readonly scan?: CodeScan;
  /** Pending while an RSA key is made; absent without `auth`. */
  readonly authKeys?: Promise<AuthKeys>;
  /** The variables to push, once the origins are known. */
  variables(siteOrigin: string, keys: AuthKeys | undefined): VariablePlan;
  /** Whether the deployment may hold data and variables already. */
  readonly fresh: boolean;
}

function readBackendEnv(inputs: StartInputs): Record<string, string> {
  const { variables } = parseVariables(inputs.backendEnv, "backend-env");
  for (const name of variables.keys()) {
    const input = OWN_INPUT[name];
    if (input !== undefined) {
      throw new ActionError("input-conflict", `backend-env sets ${name}.`, `Use the input ${input} instead.`);
    }
  }
  return Object.fromEntries(variables);
}

/** Keys of the user's own are read and proven at once; new ones are made while the backend starts. */
async function keysOf(inputs: StartInputs, deps: Deps): Promise<{ readonly authKeys?: Promise<AuthKeys> }> {
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
 * What a start writes to must be there: found out before anything exists.
 * @throws ActionError `temp-unusable`, `data-directory`
 */
async function checkPlaces(inputs: StartInputs, workspace: string, deps: Deps): Promise<void> {
  const temp = tempOf(deps);
  try {
    await access(temp, constants.W_OK);
  } catch (error) {
    throw new ActionError(
      "temp-unusable",
      `The runner's folder for temporary files, ${temp}, cannot be written to: ${messageOf(error)}.`,
      "Set RUNNER_TEMP to a folder that exists, or leave it to the runner.",
      { cause: error },
    );
  }
  if (inputs.data === undefined || inputs.runtime === "docker") return;
  const kept = await stat(resolve(workspace, inputs.data)).catch(() => undefined);
  if (kept !== undefined && !kept.isDirectory()) {
    throw new ActionError("data-directory", `data: ${inputs.data} is a file.`, "Name a directory.");
  }
}

/** A file that could not be written because of the machine's disk is no defect of ours; other errors come back as they are. */
export function asPlaceError(error: unknown, temp: string): unknown {
  const code = error instanceof ActionError ? undefined : systemCode(error);
  if (code === undefined || !["ENOSPC", "EDQUOT", "EROFS", "EACCES"].includes(code)) return error;
  return new ActionError(
    "temp-unusable",
    `A file below the runner's folder for temporary files, ${temp}, could not be written: ${messageOf(error)}.`,
    "Free space on its disk, or set RUNNER_TEMP to a folder that can be written to.",
    { cause: error },
  );
}

/** Judges `version` and `image` first: what runs is the most basic thing that can be wrong. Pure, so done again later. */
export function checkVersion(inputs: StartInputs, deps: Deps): void {
  const { version, image, requireDigest } = inputs;
  if (inputs.runtime === "docker") resolveImage({ version, image, requireDigest });
  else if (version !== undefined && inputs.runtime === "binary") {
    resolveBinary({ version, platform: deps.platform, arch: deps.arch });
  }
}

/**
 * Reads files, parses what inputs hold, finds the project and what its code reads.
 * @throws ActionError for every bad input; nothing was started then
 */
export async function prepare(inputs: StartInputs, deps: Deps): Promise<Prepared> {
  const workspace = deps.env["GITHUB_WORKSPACE"] ?? process.cwd();
  await checkPlaces(inputs, workspace, deps);
  checkVersion(inputs, deps);
  const directory = resolve(workspace, inputs.workingDirectory);
  const instanceSecret = inputs.instanceSecret ?? generateInstanceSecret();
  checkInstanceSecret(instanceSecret);
  deps.log.mask(instanceSecret);
  const backendEnv = readBackendEnv(inputs);
  const database = checkDatabase(inputs, backendEnv, deps);
  const calls = parseCalls(inputs.run.join("\n"));
  const imports = inputs.imports.map((text) => parseImport(text, workspace));
  const envFiles = await readEnvFiles(inputs.envFiles, workspace);
  const keys = await keysOf(inputs, deps);
  const project = inputs.deploy ? await findProject(directory) : undefined;
  const scan = project === undefined ? undefined : await scanFunctions(project);
  const fresh =
    inputs.data === undefined &&
    inputs.serviceContainer === undefined &&
    inputs.postgresUrl === undefined &&
    inputs.mysqlUrl === undefined;

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
    inputs,
    workspace,
    directory,
    instanceSecret,
    backendEnv,
    calls,
    imports,
    fresh,
    variables,
    ...(database === undefined ? {} : { database }),
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
