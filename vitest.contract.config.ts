import { defineConfig } from "vitest/config";

// One backend from outside is shared by all files; stand-ins are one per file, and two at a time suit small machines.
const shared = process.env["CONVEX_TEST_URL"] !== undefined;

export default defineConfig({
  test: {
    include: ["test/contract/**/*.test.ts"],
    exclude: ["**/*.long.test.ts", "test/contract/app/**"],
    fileParallelism: !shared,
    maxWorkers: 2,
    // The default is a second, which a busy machine may need for starting a process.
    expect: { poll: { timeout: 15_000 } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"],
  },
});
