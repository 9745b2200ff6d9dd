/**
 * `npm run test:e2e [-- <vitest filters>]`: workflows through a local runner with a real Docker engine. Everything is
 * started in namespaces of their own and is gone afterwards. With `--long` the long repetitions instead.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { session } from "./harness/session.ts";
import { root } from "./harness/tools.ts";

await session(import.meta.filename, (world, args) => {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const long = args.includes("--long");
  const filters = args.filter((one) => one !== "--long");
  const config = long ? "vitest.long.config.ts" : "vitest.e2e.config.ts";
  if (long && filters.length === 0) filters.push("test/e2e/");
  const child = spawn(process.execPath, [vitest, "run", "--config", config, ...filters], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, E2E_WORLD: JSON.stringify(world), TMPDIR: join(world.scratch, "tmp") },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve(status ?? 1));
  });
});
