import { defineConfig } from "vitest/config";

// What runs behind a real nginx (and openssl): deploys and the doctor, as users put proxies before a backend.
export default defineConfig({
  test: {
    include: ["test/**/*.nginx.test.ts"],
    // The default is a second, which a busy machine may need for starting a process.
    expect: { poll: { timeout: 15_000 } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ["test/quiet.ts"],
    pool: "forks",
  },
});
