import { resolve } from "node:path";
import { readEnvFiles } from "../deployment/env-files.ts";
import { type CodeScan, scanFunctions } from "../deployment/env-reads.ts";
import { type FunctionCall, parseCalls } from "../deployment/functions.ts";
import { findProject, type Project } from "../deployment/project.ts";
import { planVariables, type VariablePlan } from "../deployment/variables.ts";
import type { Deps } from "../system/deps.ts";
import type { DeployInputs } from "./inputs.ts";
import { parseSmoke, type SmokeCheck } from "./smoke.ts";

/** All that can be known without a call. */
export interface Prepared {
  readonly inputs: DeployInputs;
  readonly workspace: string;
  readonly project: Project;
  readonly scan: CodeScan;
  readonly variables: VariablePlan;
  readonly calls: readonly FunctionCall[];
  readonly smoke: readonly SmokeCheck[];
}

/**
 * Reads files, parses what inputs hold, finds the project and what its code reads.
 * @throws ActionError for every bad input
 */
export async function prepare(inputs: DeployInputs, deps: Deps): Promise<Prepared> {
  const [, encrypted] = inputs.adminKey.split("|");
  if (encrypted !== undefined) deps.log.mask(encrypted);
  const workspace = deps.env["GITHUB_WORKSPACE"] ?? process.cwd();
  const calls = parseCalls(inputs.run.join("\n"));
  const smoke = parseSmoke(inputs.smoke);
  const envFiles = await readEnvFiles(inputs.envFiles, workspace);
  const project = await findProject(resolve(workspace, inputs.workingDirectory));
  const scan = await scanFunctions(project);
  const variables = planVariables({
    env: inputs.env,
    envSecrets: inputs.envSecrets,
    envFiles,
    envNames: inputs.envNames,
    stepEnv: deps.env,
    authReads: scan.authReads,
  });
  for (const secret of variables.masks) deps.log.mask(secret);
  for (const notice of variables.notices) deps.log.notice(notice);
  return { inputs, workspace, project, scan, variables, calls, smoke };
}
