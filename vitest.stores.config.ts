import { defineConfig } from "vitest/config";

// What runs against a real S3 server, which .ci/run compiles: one server a file.
export default defineConfig({
  test: {
    include: ["test/**/*.s3.test.ts", "test/**/*.tools.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    setupFiles: ["test/quiet.ts"],
    pool: "forks",
    maxWorkers: 2,
  },
});
