// Some tests run the built package, as users do: in processes of their own, and where the package itself is tested. A
// build that is older than the sources would let them pass or fail for what is no longer there.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { packLua } from "../../scripts/pack-lua.js";
import { HANG_MS, ROOT } from "./process.ts";

/**
 * Runs a module in a process of its own, to its natural end; fails when that isn't an exit of 0. Where it imports
 * "trypema" it gets the built package.
 */
export function runScript(source: string, flags: readonly string[] = []): Promise<{ stdout: string; stderr: string }> {
  assertPackageBuilt();
  const args = [...flags, "--input-type=module", "--eval", source];
  return promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: HANG_MS });
}

let isPackageChecked = false;

/** Throws where the package isn't built, or older than its sources. Looks once. */
export function assertPackageBuilt(): void {
  if (isPackageChecked) return;
  assertCompiled("src", (file) => join("dist", compiledName(file)));
  // A bundle is written as a whole.
  assertCompiled("src", () => join("dist", "cjs", "index.js"));
  if (modifiedMs(LUA) === undefined) fail(`${LUA} is absent`);
  const text = readFileSync(join(ROOT, LUA), "utf8");
  for (const [, sha1] of packLua().matchAll(/sha1: "(\w+)"/g)) {
    if (!text.includes(sha1!)) fail(`${LUA} has other scripts than src/redis/lua`);
  }
  isPackageChecked = true;
}

const LUA = join("dist", "redis", "lua.generated.js");

/** Throws where a program isn't built, or older than its source: a benchmark, the demo, a process of a fleet. */
export function assertProgramsBuilt(): void {
  for (const folder of ["bench", "demo", "test/support", "test/runtimes", "test/tools", "playground/model"]) {
    assertCompiled(folder, (file) => join(".build", folder, compiledName(file)));
  }
}

function assertCompiled(folder: string, compiledFrom: (file: string) => string): void {
  for (const file of readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })) {
    // The Lua is compared by what it says, because each packing writes the generated file.
    if (!/(?<!\.test|\.generated)\.ts$/.test(file)) continue;
    const [source, compiled] = [join(folder, file), compiledFrom(file)];
    const builtMs = modifiedMs(compiled);
    if (builtMs === undefined) fail(`${compiled} is absent`);
    if (builtMs < modifiedMs(source)!) fail(`${compiled} is older than ${source}`);
  }
}

function compiledName(file: string): string {
  return file.replace(/\.ts$/, ".js");
}

/** When it was last written, undefined for a file that isn't there. */
function modifiedMs(path: string): number | undefined {
  return statSync(join(ROOT, path), { throwIfNoEntry: false })?.mtimeMs;
}

function fail(problem: string): never {
  throw new Error(`this test runs the built package, and ${problem}: run \`npm run build\``);
}
