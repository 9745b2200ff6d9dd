import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { runInSandbox } from "./sandbox.ts";
import { setUp } from "./setup.ts";
import type { World } from "./world.ts";

async function outside(file: string, args: readonly string[]): Promise<number> {
  const scratch = mkdtempSync(join(realpathSync(tmpdir()), "e2e-"));
  const cache = (await systemExec.run("npm", ["config", "get", "cache"])).stdout.trim();
  const env = { ...process.env, E2E_NPM_CACHE: cache, E2E_SCRATCH: scratch };
  try {
    return await runInSandbox([process.execPath, file, ...args], env);
  } finally {
    if (process.env["E2E_KEEP"] === undefined) rmSync(scratch, { recursive: true, force: true, maxRetries: 20 });
    else process.stdout.write(`kept: ${scratch}\n`);
  }
}

/**
 * Runs `work` in a sandbox with engine, registries and images: the script `file` starts itself again inside. Never
 * returns; the process ends with the code that `work` gives.
 */
export async function session(
  file: string,
  work: (world: World, args: readonly string[]) => Promise<number>,
): Promise<never> {
  const args = process.argv.slice(2);
  const scratch = process.env["E2E_SCRATCH"];
  if (scratch === undefined) process.exit(await outside(file, args));
  const started = performance.now();
  const { world, engine } = await setUp(scratch);
  process.stdout.write(`engine, registries and images are ready after ${Math.round(performance.now() - started)} ms\n`);
  const code = await work(world, args);
  await engine.stop();
  // Servers of the harness are still open.
  process.exit(code);
}
