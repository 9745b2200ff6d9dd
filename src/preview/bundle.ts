import { resolve } from "node:path";
import { findProject } from "../deployment/project.ts";
import { recordPush, writePushFile } from "../deployment/push-file.ts";
import { setOutput } from "../runner/outputs.ts";
import { writeSummary } from "../runner/summary.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import type { PreviewInputs } from "./inputs.ts";
import { bundleSummary } from "./summary.ts";

const DEFAULT_FILE = "push.json";

/** Records what the project's CLI would push, for a later run that has secrets and must not run this code. */
export async function bundle(inputs: PreviewInputs, deps: Deps): Promise<void> {
  const workspace = deps.env["GITHUB_WORKSPACE"] ?? process.cwd();
  const project = await findProject(resolve(workspace, inputs.workingDirectory));
  const file = await deps.log.group(`Bundling ${inputs.workingDirectory}`, () => recordPush(deps, project, workspace));
  const name = inputs.pushFile ?? DEFAULT_FILE;
  await writePushFile(resolve(workspace, name), file);
  setOutput("action", "bundle", tempOf(deps));
  deps.log.info(`Recorded a push with convex ${file.cliVersion} in ${name}.`);
  await writeSummary(bundleSummary(name, file.cliVersion));
}
