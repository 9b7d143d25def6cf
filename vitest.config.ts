import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: "100%",
    // Generous: they catch a hang. No test depends on how fast the machine is.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    teardownTimeout: 10_000,
    // Nothing is tried twice and no order is relied upon.
    retry: 0,
  },
});
