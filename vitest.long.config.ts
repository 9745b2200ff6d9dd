import { defineConfig } from "vitest/config";

// Real waits and large data: nothing here fits a normal CI run.
export default defineConfig({
  test: {
    include: ["test/**/*.long.test.ts"],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
