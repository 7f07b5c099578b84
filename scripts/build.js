// `npm run build`: compiles the package, and the programs that tests, benchmarks and scripts run. It does nothing while
// neither the sources nor what was made of them has changed, because almost every other command builds first, and a
// build takes ten seconds.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const STAMP = join(ROOT, ".build", "stamp");

const SOURCES = ["src", "test", "bench", "demo", "scripts", "playground", "package.json"];
/** npm writes this file whenever it installs another version of a compiler or of types. */
const INSTALLED = "node_modules/.package-lock.json";
const COMPILED = ["dist", ...["bench", "demo", "playground/model", "scripts", "src", "test"].map(inBuild)];

function inBuild(folder) {
  return join(".build", folder);
}

/** The folders that scripts/write-entries.js makes, one for each entry of the package. */
function entries() {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return Object.keys(exports).filter((name) => /^\.\/\w[\w-]*$/.test(name));
}

function tsconfigs() {
  return readdirSync(ROOT).filter((name) => /^tsconfig.*\.json$/.test(name));
}

/** Which files there are, of what size, and when each was last written. */
function stampOf(paths) {
  const hash = createHash("sha256");
  const add = (path) => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${relative(ROOT, path)} ${size} ${mtimeMs}\n`);
  };
  for (const path of paths.map((name) => join(ROOT, name))) {
    if (!existsSync(path)) hash.update(`${relative(ROOT, path)} is absent\n`);
    else if (statSync(path).isFile()) add(path);
    else for (const file of filesIn(path)) add(file);
  }
  return hash.digest("hex");
}

/** The files in a folder and those below it, in one order always. */
function filesIn(folder) {
  const inOrder = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return inOrder.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : filesIn(path);
    return entry.isFile() ? [path] : [];
  });
}

const all = () => stampOf([...SOURCES, INSTALLED, ...tsconfigs(), ...COMPILED, ...entries()]);

if (!existsSync(STAMP) || readFileSync(STAMP, "utf8") !== all()) {
  const run = (...args) => spawnSync("npm", args, { cwd: ROOT, stdio: "inherit" }).status;
  process.exitCode = run("run", "build:package", "--silent") || run("exec", "--", "tsc", "-p", "tsconfig.tools.json");
  if (process.exitCode === 0) writeFileSync(STAMP, all());
}
