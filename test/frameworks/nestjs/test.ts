// Compiles the recipes and the tests, because Node itself doesn't run decorators, and runs the tests.

import { readdirSync } from "node:fs";
import { check, runProgram } from "../check.ts";

await runProgram("node_modules/typescript/bin/tsc", "-p", ".");
for (const file of readdirSync("dist/tests").sort()) {
  const { promises } = await import(`./dist/tests/${file}`);
  for (const [promise, run] of Object.entries<() => unknown>(promises ?? {})) await check(promise, run);
}
process.exit();
