// A program of somebody else: a folder that has the packed package and some tools installed, each at one version.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { unpack } from "../support/tarball.ts";

const INSTALL_MS = 300_000;
const RUN_MS = 120_000;
const FLAGS = [
  "--no-package-lock",
  "--no-audit",
  "--no-fund",
  "--prefer-offline",
  "--ignore-scripts",
  "--loglevel=error",
];

export class Project {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Makes the folder, and installs `tarball` and the dependencies in it.
   *
   * @param dependencies names and exact versions, as in package.json
   * @throws when a dependency can't be installed here
   */
  static async install(folder: string, tarball: string, dependencies: Record<string, string>): Promise<Project> {
    const manifest = JSON.stringify({ private: true, dependencies });
    const done = join(folder, "installed.json");
    // Of a run before this one the tools are there already. The package is another one each time.
    if (!existsSync(done) || readFileSync(done, "utf8") !== manifest) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "package.json"), manifest);
      await promisify(execFile)("npm", ["install", ...FLAGS], { cwd: folder, timeout: INSTALL_MS });
      writeFileSync(done, manifest);
    }
    await unpack(tarball, folder);
    return new Project(folder);
  }

  path(...names: string[]): string {
    return join(this.#folder, ...names);
  }

  /** Writes a file, and returns its path. */
  write(name: string, content: string | object): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  }

  /**
   * Runs a program of Node with the project as its folder.
   *
   * @param program a path in the project
   * @returns what it prints on both streams, so that a warning is noticed too
   * @throws with all that it has printed, when it doesn't end with 0
   */
  run(program: string, args: readonly string[] = [], { node = process.execPath, flags = "" } = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { cwd: this.#folder, timeout: RUN_MS, env: environment(flags) };
      execFile(node, [this.path(program), ...args], options, (error, stdout, stderr) => {
        const printed = `${stdout}${stderr}`;
        if (error === null) resolve(printed);
        else reject(new Error(printed.trim() || error.message));
      });
    });
  }
}

/** The test runner and npm leave variables that change what the tools print and how they resolve. */
function environment(flags: string): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), NODE_OPTIONS: flags, NO_COLOR: "1" };
}
