// `npm run test:runtimes`: the built package in every runtime that it claims to run in. A runtime that can't be
// had here is named, loudly, and is no failure; a test that fails in one is.

import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../support/process.ts";
import { RedisServer } from "../support/redis.ts";
import { startUpstash } from "../support/upstash.ts";
import { bundle, installPackage } from "./bundle.ts";
import { runInChromium } from "./chromium.ts";
import { install, RUNTIMES, WORKERD } from "./install.ts";
import type { Summary } from "./suite.ts";
import { COMPATIBILITY_DATES, runInWorkerd } from "./workerd.ts";

const folder = join(ROOT, ".build", "runtimes");
mkdirSync(folder, { recursive: true });
await installPackage(folder);

const redis = await RedisServer.start();
const upstash = await startUpstash(redis.port);
const program = await bundle("program", folder, false);
const results: { name: string; summary?: Summary; missing?: string }[] = [];

for (const runtime of RUNTIMES) {
  await report(runtime.name, install(runtime, folder), async (path) => {
    const args = [...runtime.args, program, `redis://127.0.0.1:${redis.port}`];
    const { stdout } = await promisify(execFile)(path, args, { cwd: folder, timeout: 120_000 });
    return JSON.parse(stdout.trim().split("\n").at(-1)!);
  });
}
for (const date of COMPATIBILITY_DATES) {
  await report(`${WORKERD.name} as of ${date}`, install(WORKERD, folder), async (path) => {
    return runInWorkerd(path, await bundle("worker", folder, true), folder, date, upstash);
  });
}
await runInChromium(await bundle("page", folder, true), report);
upstash.close();
await redis.stop();

const missing = results.filter((result) => result.missing !== undefined);
const ran = results.length - missing.length;
console.log(`\n${ran} of ${results.length} runtimes were run.`);
if (missing.length > 0) {
  console.log(`NOT RUN, since they could not be installed here: ${missing.map(({ name }) => name).join(", ")}.`);
}
process.exitCode = results.some(({ summary }) => summary !== undefined && summary.failed.length > 0) ? 1 : 0;

/** Runs the suite in a runtime once that is there. */
async function report(name: string, there: Promise<string>, run: (path: string) => Promise<Summary>): Promise<void> {
  const path = await there.catch((error: Error) => {
    results.push({ name, missing: error.message });
    console.log(`${name}: NOT RUN: ${error.message.split("\n")[0]}`);
    return undefined;
  });
  if (path === undefined) return;
  const summary = await run(path).catch((error: Error): Summary => ({ passed: 0, failed: [error.message] }));
  if (summary.passed === 0 && summary.failed.length === 0) throw new Error(`${name} ran no test`);
  results.push({ name, summary });
  console.log(`${name}: ${summary.passed} passed, ${summary.failed.length} failed`);
  for (const failure of summary.failed) console.log(`  ${failure}`);
}
