// Brings the runtimes, at these versions, to a folder of their own: they are some hundred megabytes, and no
// dependency of the package.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Runtime {
  readonly name: string;
  /** In the npm registry. */
  readonly package: string;
  readonly version: string;
  readonly program: string;
  /** What comes before the file to run. */
  readonly args: readonly string[];
}

function node(version: string): Runtime {
  return { name: `Node ${version}`, package: "node", version, program: "node", args: [] };
}

/** The environment is for the test runner, which looks there whether it may use colours. */
const DENO_ARGS = ["run", "--no-prompt", "--node-modules-dir=manual", "--allow-env"];

export const RUNTIMES: readonly Runtime[] = [
  ...["20.20.2", "22.23.3", "24.21.0", "26.10.0"].map(node),
  { name: "Bun 1.4.5", package: "bun", version: "1.4.5", program: "bun", args: ["run"] },
  { name: "Deno 2.9.6", package: "deno", version: "2.9.6", program: "deno", args: DENO_ARGS },
];

export const WORKERD: Runtime = {
  name: "workerd 1.20261117.1",
  package: "workerd",
  version: "1.20261117.1",
  program: "workerd",
  args: ["serve"],
};

/**
 * The path of the runtime's program, installed if it isn't yet.
 *
 * @throws when it can't be installed here
 */
export async function install(runtime: Runtime, folder: string): Promise<string> {
  const home = join(folder, `${runtime.package}-${runtime.version}`);
  const program = join(home, "node_modules", ".bin", runtime.program);
  if (!existsSync(program)) {
    const spec = `${runtime.package}@${runtime.version}`;
    const flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
    // Elsewhere at first, because another program that wants this runtime too must not find half of it.
    const own = `${home}-${process.pid}`;
    await promisify(execFile)("npm", ["install", "--prefix", own, ...flags, spec], { timeout: 120_000 });
    // A folder that isn't empty is no target: the other program was faster.
    await rename(own, home).catch(() => rm(own, { recursive: true }));
  }
  await promisify(execFile)(program, ["--version"], { timeout: 20_000 });
  return program;
}
