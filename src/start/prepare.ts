import { access, constants, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { resolveBinary } from "../backend/binary-catalogue.ts";
import { resolveImage } from "../backend/catalogue.ts";
import type { DatabaseTarget } from "../backend/database.ts";
import type { S3Settings } from "../backend/s3-settings.ts";
import { checkInstanceSecret, generateInstanceSecret } from "../credentials/instance-secret.ts";
import { parseVariables } from "../deployment/variables.ts";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { checkS3Settings } from "./buckets.ts";
import { checkDatabase } from "./database.ts";
import { type Deployable, prepareDeployable } from "./deployable.ts";
import type { StartInputs } from "./inputs.ts";

/** Names of `backend-env` that an input of their own sets. */
const OWN_INPUT = new Map(
  Object.entries({
    INSTANCE_NAME: "instance-name",
    INSTANCE_SECRET: "instance-secret",
    POSTGRES_URL: "postgres-url",
    DATABASE_URL: "postgres-url",
    MYSQL_URL: "mysql-url",
    CONVEX_CLOUD_ORIGIN: "cloud-origin",
    CONVEX_SITE_ORIGIN: "site-origin",
  }),
);

/** All that can be known and checked before anything is started. */
export interface Prepared extends Deployable {
  readonly inputs: StartInputs;
  readonly directory: string;
  readonly instanceSecret: string;
  readonly backendEnv: Readonly<Record<string, string>>;
  readonly database?: DatabaseTarget;
  readonly s3?: S3Settings;
}

/** @throws ActionError `input-conflict` for a variable that an input of its own sets */
export function readBackendEnv(text: string): Record<string, string> {
  const { variables } = parseVariables(text, "backend-env");
  for (const name of variables.keys()) {
    const input = OWN_INPUT.get(name);
    if (input !== undefined) {
      throw new ActionError("input-conflict", `backend-env sets ${name}.`, `Use the input ${input} instead.`);
    }
  }
  return Object.fromEntries(variables);
}

/**
 * What a start writes to must be there: found out before anything exists.
 * @throws ActionError `temp-unusable`, `data-directory`
 */
async function checkPlaces(inputs: StartInputs, workspace: string, deps: Deps): Promise<void> {
  const temp = tempOf(deps);
  try {
    await access(temp, constants.W_OK);
    if (!(await stat(temp)).isDirectory()) throw new Error("it is no folder");
  } catch (error) {
    throw new ActionError(
      "temp-unusable",
      `The runner's folder for temporary files, ${temp}, cannot be written to: ${messageOf(error)}.`,
      "Set RUNNER_TEMP to a folder that exists, or leave it to the runner.",
      { cause: error },
    );
  }
  if (inputs.data === undefined || inputs.runtime === "docker") return;
  const kept = await stat(resolve(workspace, inputs.data)).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new ActionError(
      "data-directory",
      `data: ${inputs.data} cannot be used: ${messageOf(error)}.`,
      "Name a directory, or one that can be made.",
      { cause: error },
    );
  });
  if (kept !== undefined && !kept.isDirectory()) {
    throw new ActionError("data-directory", `data: ${inputs.data} is a file.`, "Name a directory.");
  }
}

/** A file that could not be written because of the machine's disk is no defect of ours; other errors come back as they are. */
export function asPlaceError(error: unknown, temp: string): unknown {
  const code = error instanceof ActionError ? undefined : systemCode(error);
  if (code === undefined || !["ENOSPC", "EDQUOT", "EROFS", "EACCES", "ENOTDIR", "EEXIST"].includes(code)) return error;
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
  const backendEnv = readBackendEnv(inputs.backendEnv);
  const database = checkDatabase(inputs, backendEnv, deps);
  const s3 = checkS3Settings(backendEnv, deps);
  const fresh =
    inputs.data === undefined &&
    inputs.serviceContainer === undefined &&
    inputs.postgresUrl === undefined &&
    inputs.mysqlUrl === undefined;
  const deployable = await prepareDeployable(inputs, { workspace, fresh, tableMode: "append" }, deps);
  return {
    ...deployable,
    inputs,
    directory,
    instanceSecret,
    backendEnv,
    ...(database === undefined ? {} : { database }),
    ...(s3 === undefined ? {} : { s3 }),
  };
}
