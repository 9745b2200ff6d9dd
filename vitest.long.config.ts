import { defineConfig } from "vitest/config";

// Real waits and large data: nothing here fits a normal CI run.
export default defineConfig({
  test: {
    include: ["test/**/*.long.test.ts"],
    // Those of test/e2e need its sandbox: npm run test:e2e -- --long
    exclude: process.env["E2E_WORLD"] === undefined ? ["test/e2e/**", "**/node_modules/**"] : ["**/node_modules/**"],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
