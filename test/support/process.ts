import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { promisify } from "node:util";

/** Here a script that imports "trypema" gets the built package. */
export const ROOT = dirname(createRequire(import.meta.url).resolve("trypema/package.json"));

/** A bound for what hangs, and not for a machine that is slow. */
export const HANG_MS = 240_000;

/** Runs a module in a process of its own, to its natural end; fails when that isn't an exit of 0. */
export function runScript(source: string, flags: readonly string[] = []): Promise<{ stdout: string; stderr: string }> {
  const args = [...flags, "--input-type=module", "--eval", source];
  return promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: HANG_MS });
}
