import { defineConfig } from "vitest/config";

// One backend from outside is shared by all files; stand-ins are one per file, and two at a time suit small machines.
const shared = process.env["CONVEX_TEST_URL"] !== undefined;

export default defineConfig({
  test: {
    include: ["test/contract/**/*.test.ts"],
    exclude: ["**/*.long.test.ts", "test/contract/app/**"],
    fileParallelism: !shared,
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"],
  },
});
