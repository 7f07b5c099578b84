// `npm run test:tools`: the packed package in the tools that its users have, each installed from the registry at one
// version. A tool that can't be installed here is named, loudly, and is no failure; a check that fails is one.
//
// The arguments choose tools by their names, and name another tarball to try: `… main.js jest old.tgz`.

import { join, resolve } from "node:path";
import { ROOT } from "../support/process.ts";
import { pack } from "../support/tarball.ts";
import { BUNDLING } from "./bundlers.ts";
import type { Check, Tool } from "./check.ts";
import { ESLINT } from "./eslint.ts";
import { JESTS } from "./jest.ts";
import { JSR } from "./jsr.ts";
import { NODE } from "./node.ts";
import { Project } from "./project.ts";
import { TRACER } from "./tracer.ts";
import { TYPESCRIPT } from "./typescript.ts";

/** The tools that take longest come first, so that none of them is alone at the end. */
const TOOLS: readonly Tool[] = [TYPESCRIPT, BUNDLING, ...JESTS, NODE, TRACER, ESLINT, JSR];

const folder = join(ROOT, ".build", "tools");
const chosen = process.argv.slice(2).filter((argument) => !argument.endsWith(".tgz"));
const other = process.argv.slice(2).find((argument) => argument.endsWith(".tgz"));
const tarball = other === undefined ? pack(folder) : resolve(other);
const notRun: string[] = [];
let passed = 0;
let failed = 0;

const tools = TOOLS.filter(({ name }) => chosen.length === 0 || chosen.some((start) => name.startsWith(start)));
// Two at a time, because most tools use one processor, and installing mostly waits for the registry. Checks of one
// tool write the same files, so they wait for each other.
await Promise.all([runNext(), runNext()]);

console.log(`\n${passed} passed, ${failed} failed`);
if (notRun.length > 0) console.log(`NOT RUN, since they could not be installed here: ${notRun.join(", ")}.`);
process.exitCode = failed > 0 ? 1 : 0;

async function runNext(): Promise<void> {
  for (let tool = tools.shift(); tool !== undefined; tool = tools.shift()) {
    const project = await installed(tool);
    for (const check of project === undefined ? [] : tool.checks(project)) await run(check);
  }
}

async function installed({ name, dependencies }: Tool): Promise<Project | undefined> {
  return Project.install(join(folder, name), tarball, dependencies).catch((error: Error) => {
    notRun.push(name);
    console.log(`${name}: NOT RUN: ${error.message}`);
    return undefined;
  });
}

async function run({ name, run }: Check): Promise<void> {
  try {
    await run();
    passed++;
    console.log(`✓ ${name}`);
  } catch (error) {
    failed++;
    console.log(`× ${name}\n${String((error as Error).message).replaceAll(/^/gm, "    ")}`);
  }
}
