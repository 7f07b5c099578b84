import { defineConfig } from "vitest/config";
import { installedServers } from "./test/support/redis.ts";

const all = {
  name: "all",
  include: [
    "src/**/*.test.ts",
    "test/**/*.test.ts",
    "demo/**/*.test.ts",
    "playground/**/*.test.ts",
    "examples/**/*.test.ts",
  ],
};

/** What a server answers is tried against another one too, where it is installed. */
const others = installedServers()
  .slice(1)
  .map((program) => ({
    name: program,
    env: { REDIS_SERVER: program },
    include: ["test/redis/*.test.ts", "test/contract/redis.test.ts", "test/property/redis-*.test.ts"],
  }));

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [all, ...others].map((test) => ({ extends: true, test })),
  },
});
