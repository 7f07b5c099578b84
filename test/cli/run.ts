// Runs the built command line as a process of its own, as users do.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import { HANG_MS, ROOT } from "../support/process.ts";

export const MAIN = join(ROOT, "dist", "cli", "main.js");

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

interface Circumstances {
  readonly cwd?: string;
  readonly input?: string | Buffer;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end. */
export function runProgram(
  program: string,
  args: readonly string[],
  circumstances: Circumstances = {},
): Promise<Ended> {
  const { cwd = ROOT, input, env = {} } = circumstances;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, timeout: HANG_MS });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    // A program that has refused its arguments doesn't read its input.
    child.stdin.on("error", () => {});
    child.stdin.end(input ?? "");
    child.on("error", reject);
    child.on("close", (code) => resolve({ stdout, stderr, code }));
  });
}

export function trypema(args: readonly string[], circumstances?: Circumstances): Promise<Ended> {
  return runProgram(process.execPath, [MAIN, ...args], circumstances);
}

/** A folder for the tests of a file. */
export function useFolder(): { readonly path: string; write(name: string, content: string | Buffer): string } {
  const path = mkdtempSync(join(tmpdir(), "trypema-test-"));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write(name, content) {
      const file = join(path, name);
      if (dirname(file) !== path) throw new Error(`${name} isn't in the folder`);
      writeFileSync(file, content);
      return file;
    },
  };
}
