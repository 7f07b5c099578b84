// One project: copied, installed, compiled and run, with a line for each of its checks.

import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { unpack } from "../support/tarball.ts";

const INSTALL_MS = 240_000;
const RUN_MS = 240_000;

// There are no lock files: those of Next, SvelteKit and the others would be some 30 000 lines. Each project names exact
// versions of what it asks for itself, and of the rest it gets what a user gets today.
const FLAGS = ["--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];

/** No colours, no questions, and no reports to the makers of the frameworks. */
const QUIET = {
  NO_COLOR: "1",
  CI: "1",
  DO_NOT_TRACK: "1",
  NEXT_TELEMETRY_DISABLED: "1",
  ASTRO_TELEMETRY_DISABLED: "1",
};

/** The paths of what runs a project. */
export interface Programs {
  /** A Node that runs TypeScript. */
  readonly node: string;
  readonly bun: string;
  readonly tsc: string;
}

export interface Settings {
  readonly tarball: string;
  readonly programs: Programs;
  readonly redisUrl: string;
  /** Versions in place of those that the project names itself. */
  readonly dependencies: Readonly<Record<string, string>>;
}

export interface Report {
  /** `✓ name` for what holds, `× name` and more lines for what doesn't. */
  readonly lines: readonly string[];
  readonly seconds: number;
}

/**
 * Copies the project from `source` to `folder`, installs it, checks its types and runs its `test.ts`. Never rejects: a
 * step that fails is a line of the report.
 */
export async function runProject(source: string, folder: string, settings: Settings): Promise<Report> {
  const startMs = performance.now();
  const lines: string[] = [];
  try {
    await copyAndInstall(source, folder, settings);
    await checkTypes(folder, settings.programs);
    lines.push("✓ its types fit");
    lines.push(...(await runTest(folder, settings)));
  } catch (error) {
    const { message, stdout = "", stderr = "" } = error as Error & { stdout?: string; stderr?: string };
    lines.push("× it runs", ...indented(`${message}\n${stdout}${stderr}`));
  }
  return { lines, seconds: Math.round((performance.now() - startMs) / 1_000) };
}

/** What was installed for the same package.json in an earlier run stays. Everything else is copied anew. */
async function copyAndInstall(source: string, folder: string, settings: Settings): Promise<void> {
  const { dependencies, ...given } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  const manifest = JSON.stringify({ ...given, dependencies: { ...dependencies, ...settings.dependencies } });
  const done = join(folder, "node_modules", "installed.json");
  const isInstalled = existsSync(done) && readFileSync(done, "utf8") === manifest;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (name !== "node_modules" || !isInstalled) rmSync(join(folder, name), { recursive: true, force: true });
  }
  cpSync(source, folder, { recursive: true, filter: (path) => !path.endsWith("node_modules") });
  writeFileSync(join(folder, "package.json"), manifest);
  if (!isInstalled) {
    await promisify(execFile)("npm", ["install", ...FLAGS], { cwd: folder, timeout: INSTALL_MS });
    writeFileSync(done, manifest);
  }
  await unpack(settings.tarball, folder);
}

/** A project without a tsconfig.json of its own has the one that all projects share. */
async function checkTypes(folder: string, { node, tsc }: Programs): Promise<void> {
  const own = join(folder, "tsconfig.json");
  if (!existsSync(own)) writeFileSync(own, JSON.stringify({ extends: "../tsconfig.json" }));
  await promisify(execFile)(node, [tsc, "--noEmit", "-p", folder], { cwd: folder, timeout: RUN_MS });
}

/** Runs the test with Node, or with Bun where the package.json says that its engine is that. */
async function runTest(folder: string, { programs, redisUrl }: Settings): Promise<string[]> {
  const { engines = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const program = "bun" in engines ? programs.bun : programs.node;
  const { PATH, HOME } = process.env;
  // A group of its own, so that what it started ends with it.
  const child = spawn(program, ["test.ts"], {
    cwd: folder,
    detached: true,
    env: { PATH: `${join(program, "..")}:${PATH}`, HOME, ...QUIET, REDIS_URL: redisUrl },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  const keep = (chunk: Buffer) => (printed += chunk);
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const timer = setTimeout(() => endGroup(child.pid), RUN_MS);
  const ending = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(String(signal ?? code)));
  });
  clearTimeout(timer);
  endGroup(child.pid);
  const lines = printed.trimEnd().split("\n");
  const passes = lines.filter((line) => line.startsWith("✓"));
  if (ending === "0" && passes.length > 0) return passes;
  const isTold = lines.some((line) => line.startsWith("×"));
  return isTold ? lines : [`× test.ts ended with ${ending} and ${passes.length} checks`, ...indented(printed)];
}

/** Ends a process and what it started, if there is any of that left. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // All of them have ended.
  }
}

function indented(text: string): string[] {
  return text
    .trim()
    .split("\n")
    .slice(-60)
    .map((line) => `    ${line}`);
}
