import { defineConfig } from "vitest/config";

// One engine and fixed ports are shared by all: one file at a time.
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.test.ts"],
    exclude: ["**/*.long.test.ts"],
    fileParallelism: false,
    // The default is a second, which a busy machine may need for starting a process.
    expect: { poll: { timeout: 15_000 } },
    testTimeout: 120_000,
    hookTimeout: 60_000,
    reporters: ["default"],
  },
});
