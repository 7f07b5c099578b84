import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Here a script that imports "trypema" gets the built package. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Runs a module in a process of its own, to its natural end; fails when that isn't an exit of 0. */
export function runScript(source: string, flags: readonly string[] = []): Promise<{ stdout: string; stderr: string }> {
  const args = [...flags, "--input-type=module", "--eval", source];
  return promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: 50_000 });
}
