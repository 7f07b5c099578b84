// What `deno publish` says of the sources: JSR takes them as they are, and wants each public type to be written out.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { install, RUNTIMES } from "../runtimes/install.ts";
import { ROOT } from "../support/process.ts";
import type { Check, Tool } from "./check.ts";

const RUNTIMES_FOLDER = join(ROOT, ".build", "runtimes");
const DENO = RUNTIMES.find(({ program }) => program === "deno")!;

/** What jsr.json includes. */
const FILES = ["jsr.json", "src", "docs", "README.md", "CHANGELOG.md", "LICENSE"];

async function publishDry(): Promise<void> {
  const deno = await install(DENO, RUNTIMES_FOLDER);
  // Outside of the repository, because Deno would go by its package.json and tsconfig.json.
  const folder = mkdtempSync(join(tmpdir(), "trypema-jsr-"));
  try {
    for (const file of FILES) cpSync(join(ROOT, file), join(folder, file), { recursive: true });
    const args = ["publish", "--dry-run", "--allow-dirty", "--no-check=remote"];
    await promisify(execFile)(deno, args, { cwd: folder, timeout: 120_000, env: { ...process.env, NO_COLOR: "1" } });
  } catch (error) {
    throw new Error((error as { stderr?: string }).stderr ?? String(error));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checks(): readonly Check[] {
  return [{ name: "jsr: a dry run of publishing", run: publishDry }];
}

export const JSR: Tool = { name: "jsr", dependencies: {}, checks };
