/**
 * `npm run test:e2e [-- <vitest filters>]`: workflows through a local runner with a real Docker engine. Everything is
 * started in namespaces of their own and is gone afterwards.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemExec } from "../../src/system/exec.ts";
import { runInSandbox } from "./harness/sandbox.ts";
import { setUp } from "./harness/setup.ts";
import { root } from "./harness/tools.ts";

async function outside(args: readonly string[]): Promise<number> {
  const scratch = mkdtempSync(join(realpathSync(tmpdir()), "e2e-"));
  const cache = (await systemExec.run("npm", ["config", "get", "cache"])).stdout.trim();
  const env = { ...process.env, E2E_NPM_CACHE: cache, E2E_SCRATCH: scratch };
  try {
    return await runInSandbox([process.execPath, import.meta.filename, ...args], env);
  } finally {
    if (process.env["E2E_KEEP"] === undefined) rmSync(scratch, { recursive: true, force: true, maxRetries: 20 });
    else process.stdout.write(`kept: ${scratch}\n`);
  }
}

async function inside(scratch: string, args: readonly string[]): Promise<number> {
  const started = performance.now();
  const { world, engine } = await setUp(scratch);
  process.stdout.write(`engine, registries and images are ready after ${Math.round(performance.now() - started)} ms\n`);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", "--config", "vitest.e2e.config.ts", ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, E2E_WORLD: JSON.stringify(world), TMPDIR: join(scratch, "tmp") },
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve(status ?? 1));
  });
  await engine.stop();
  return code;
}

const scratch = process.env["E2E_SCRATCH"];
const args = process.argv.slice(2);
// Servers of the harness are still open when the tests are done.
process.exit(scratch === undefined ? await outside(args) : await inside(scratch, args));
