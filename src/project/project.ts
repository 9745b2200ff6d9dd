import type { ReadInput } from "../runner/inputs.ts";
import { setOutput } from "../runner/outputs.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { readProjectInputs } from "./inputs.ts";
import { findToolchain } from "./toolchain.ts";

/**
 * The project action: tells a workflow that knows nothing of the repository how it is installed and tested.
 * @throws ActionError `working-directory-missing`
 */
export async function project(read: ReadInput, deps: Deps): Promise<void> {
  const { workingDirectory } = readProjectInputs(read);
  const found = await findToolchain(deps.env["GITHUB_WORKSPACE"] ?? process.cwd(), workingDirectory);
  const directory = tempOf(deps);
  setOutput("package-manager", found.packageManager, directory);
  setOutput("install-command", found.installCommand, directory);
  setOutput("test-command", found.testCommand, directory);
  setOutput("lock-file", found.lockFile, directory);
  setOutput("node-version-file", found.nodeVersionFile, directory);
  setOutput("node-version", found.nodeVersion, directory);
  setOutput("pnpm-version", found.pnpmVersion, directory);
  setOutput("corepack", String(found.corepack), directory);
  const from = found.lockFile === "" ? "no lock file" : found.lockFile;
  deps.log.info(`${found.packageManager} (${from}): ${found.installCommand}`);
}
