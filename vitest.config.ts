import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// `npm test`: everything that needs neither an engine, nor a network, nor a program beside Node. The others have configurations of their own.
export default defineConfig({
  test: {
    include: ["test/unit/**/*.test.ts", "test/dist/**/*.test.ts"],
    exclude: ["**/*.long.test.ts", "**/*.nginx.test.ts", "**/*.s3.test.ts", "**/*.tools.test.ts", "**/node_modules/**"],
    // The default is a second, which a busy machine may need for starting a process.
    expect: { poll: { timeout: 15_000 } },
    testTimeout: 60_000,
    setupFiles: ["test/quiet.ts"],
    pool: "forks",
    // One less than there are cores would leave a machine of two with one; much here waits for processes.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
});
