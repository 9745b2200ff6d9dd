/**
 * `npm run test:e2e [-- <vitest filters>]`: workflows through a local runner with a real Docker engine. Everything is
 * started in namespaces of their own and is gone afterwards.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { session } from "./harness/session.ts";
import { root } from "./harness/tools.ts";

await session(import.meta.filename, (world, args) => {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", "--config", "vitest.e2e.config.ts", ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, E2E_WORLD: JSON.stringify(world), TMPDIR: join(world.scratch, "tmp") },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve(status ?? 1));
  });
});
