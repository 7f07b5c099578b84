// `npm run test:frameworks`: the recipes of docs/frameworks in the frameworks that they are for. Each folder beside
// this file is a project with exact versions, a recipe and a test. The arguments choose projects by their names. A
// project may have a folder `versions`, with other versions of what it needs: it runs with each of them too.
//
// A project that can't be installed is a failure: a recipe that nobody ran is no promise.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { install, RUNTIMES, type Runtime } from "../runtimes/install.ts";
import { ROOT } from "../support/process.ts";
import { RedisServer } from "../support/redis.ts";
import { pack } from "../support/tarball.ts";
import { type Programs, runProject } from "./project.ts";

/** The projects that take longest come first, so that none of them is alone at the end. */
const LONGEST = ["next", "sveltekit", "astro", "react-router"];

const sources = join(ROOT, "test", "frameworks");
// Not in this checkout, because programs would find its node_modules, and Next its lock file.
const folder = join(tmpdir(), `trypema-frameworks-${ROOT.replaceAll(/\W+/g, "-")}`);
const chosen = process.argv.slice(2);
const names = readdirSync(sources, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && (chosen.length === 0 || chosen.includes(entry.name)))
  .map(({ name }) => name)
  .sort((a, b) => rankOf(a) - rankOf(b));
const runs = names.flatMap(runsOf);
const unknown = chosen.filter((name) => !names.includes(name));
if (unknown.length > 0) throw new Error(`there is no project ${unknown.join(", ")} in test/frameworks`);

mkdirSync(folder, { recursive: true });
for (const shared of ["check.ts", "tsconfig.json"]) cpSync(join(sources, shared), join(folder, shared));
writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
const tarball = pack(folder);
const redis = await RedisServer.start(undefined, "--databases", "100");
let databases = 0;
const programs: Programs = {
  node: await install(runtimeOf("node", "24"), join(ROOT, ".build", "runtimes")),
  bun: await install(runtimeOf("bun", ""), join(ROOT, ".build", "runtimes")),
  tsc: join(ROOT, "node_modules", "typescript", "bin", "tsc"),
};
let passed = 0;
const failures: string[] = [];

// Two at a time, because installing mostly waits for the registry.
await Promise.all([runNext(), runNext()]);
await redis.stop();
console.log(`\n${passed} passed, ${failures.length} failed`);
if (failures.length > 0) console.log(`FAILED: ${failures.join(", ")}`);
process.exitCode = failures.length > 0 || passed === 0 ? 1 : 0;

async function runNext(): Promise<void> {
  const run = runs.shift();
  if (run === undefined) return;
  const { project, name, dependencies } = run;
  // A database for each, because projects use the same names of keys.
  const settings = { tarball, programs, dependencies, redisUrl: `redis://127.0.0.1:${redis.port}/${databases++}` };
  const { lines, seconds } = await runProject(join(sources, project), join(folder, name), settings);
  console.log(`${name} (${seconds} s)`);
  for (const line of lines) console.log(line);
  passed += lines.filter((line) => line.startsWith("✓")).length;
  if (lines.some((line) => line.startsWith("×"))) failures.push(name);
  await runNext();
}

interface Run {
  readonly project: string;
  readonly name: string;
  /** Versions that are others than those of the project's package.json. */
  readonly dependencies: Readonly<Record<string, string>>;
}

function runsOf(project: string): readonly Run[] {
  const versions = join(sources, project, "versions");
  const others = existsSync(versions) ? readdirSync(versions) : [];
  return [
    { project, name: project, dependencies: {} },
    ...others.map((file) => ({
      project,
      name: `${project}-${file.replace(".json", "")}`,
      dependencies: JSON.parse(readFileSync(join(versions, file), "utf8")),
    })),
  ];
}

function runtimeOf(program: string, version: string): Runtime {
  const found = RUNTIMES.find((runtime) => runtime.program === program && runtime.version.startsWith(version));
  if (found === undefined) throw new Error(`test/runtimes has no ${program} ${version}`);
  return found;
}

function rankOf(name: string): number {
  const place = LONGEST.indexOf(name);
  return place < 0 ? LONGEST.length : place;
}
