import { availableParallelism } from "node:os";
import { relative } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestModule, type TestSpecification } from "vitest/node";
import { installedServers } from "./test/support/redis.ts";
import { exportedSources, packedLua } from "./test/support/sources.ts";

/**
 * The files that take long: thousands of simulations or keys, many processes, servers that fail. They come last, and of
 * them the longest first, so that no worker has one of a minute alone at the end.
 */
const SLOW = [
  "test/hybrid/schedules.test.ts",
  "test/hybrid/load.test.ts",
  "test/redis/failure.test.ts",
  "test/redis/topology.test.ts",
  "test/hybrid/fleet.test.ts",
  "playground/page.test.ts",
  "demo/main.test.ts",
  "test/contract/other-clients.test.ts",
  "test/hybrid/failure.test.ts",
  "test/docs.test.ts",
  "bench/sides.test.ts",
  "test/attack.test.ts",
  "test/smoothness.test.ts",
  "test/redis/processes.test.ts",
  "test/package.test.ts",
  "examples/examples.test.ts",
  "src/local/window-store.test.ts",
  "test/http/redis.test.ts",
  "test/packed.test.ts",
  "test/hybrid/leases.test.ts",
  "src/http/client-address.peers.test.ts",
];

/**
 * The files that run the build: `npm run build` has to come before them, and they tell so. Most are about the build
 * itself. The test of smoothness and that of attacks make millions of calls, and vitest makes each use of an import a
 * call of a getter: from the sources the former takes four times as long.
 */
const BUILT = [
  "bench/sides.test.ts",
  "demo/main.test.ts",
  "examples/examples.test.ts",
  "playground/page.test.ts",
  "test/attack.test.ts",
  "test/cli/doctor.test.ts",
  "test/cli/guide.test.ts",
  "test/cli/http-keys.test.ts",
  "test/cli/packed.test.ts",
  "test/cli/redis.test.ts",
  "test/cli/size.test.ts",
  "test/docs.test.ts",
  "test/hybrid/fleet.test.ts",
  "test/package.test.ts",
  "test/packed.test.ts",
  "test/smoothness.test.ts",
];

/** Everything else imports the package by its name too, and gets the sources as they are on disk. */
const all = {
  name: "all",
  include: [
    "src/**/*.test.ts",
    "test/**/*.test.ts",
    "demo/**/*.test.ts",
    "bench/**/*.test.ts",
    "playground/**/*.test.ts",
  ],
  exclude: BUILT,
};

const built = { name: "built", include: BUILT, setupFiles: ["./test/support/assert-built.ts"] };

/** The pages of the site in a browser: `npm run test:site` builds them, and sets the mode. */
const site = { name: "site", include: ["site/**/*.test.ts"] };

/** What a server answers is tried against another one too, where it is installed. */
const others = installedServers()
  .slice(1)
  .map((program) => ({
    name: program,
    env: { REDIS_SERVER: program },
    include: ["test/redis/*.test.ts", "test/contract/redis.test.ts", "test/property/redis-*.test.ts"],
    exclude: [],
  }));

/** What runs the sources, without a build. */
const fromSources = { resolve: { alias: exportedSources() }, plugins: [packedLua()] };

class SlowLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // -1 for a file that isn't slow.
    const placeOf = ({ moduleId }: TestSpecification) => SLOW.indexOf(relative(import.meta.dirname, moduleId));
    return files.toSorted((a, b) => placeOf(a) - placeOf(b));
  }
}

/** Without a terminal vitest says nothing of a file before its end, which may be minutes. */
const begun = {
  onTestModuleStart({ project, relativeModuleId }: TestModule) {
    console.log(` … ${project.name} ${relativeModuleId}`);
  },
};

/** How long it may take to come to what is waited for. A bound for what hangs, and not for a machine that is slow. */
const HANG_MS = 60_000;

// `npm run test:fast` sets the mode.
export default defineConfig(({ mode }) => {
  const exclude = ["**/node_modules/**", ...(mode === "fast" ? SLOW : [])];
  return {
    test: {
      // Of two, one mostly waits for processes and servers.
      maxWorkers: Math.max(2, availableParallelism() - 1),
      testTimeout: 5 * HANG_MS,
      hookTimeout: 5 * HANG_MS,
      expect: { poll: { timeout: HANG_MS } },
      sequence: { sequencer: SlowLast },
      setupFiles: ["./test/support/whole-lengths.ts"],
      reporters: process.stdout.isTTY ? ["default"] : ["default", begun],
      projects:
        mode === "site"
          ? [{ extends: true, test: site }]
          : [
              ...[all, ...(mode === "fast" ? [] : others)].map((test) => ({
                extends: true as const,
                ...fromSources,
                test: { ...test, exclude: [...exclude, ...test.exclude] },
              })),
              { extends: true, test: { ...built, exclude } },
            ],
    },
  };
});
