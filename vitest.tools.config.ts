import { defineConfig } from "vitest/config";

// What needs programs beside Node that .ci/run installs: a browser, the age command.
export default defineConfig({
  test: {
    include: ["test/**/*.tools.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    setupFiles: ["test/quiet.ts"],
    pool: "forks",
  },
});
