// Installs a program of the system's, with the system's package manager, where there is one and it may.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** What installs packages without asking, by the program that does it. */
const INSTALLERS = {
  "apt-get": (name) => `apt-get update -qq && apt-get install -y -qq --no-install-recommends ${name}`,
  apk: (name) => `apk add --quiet ${name}`,
  dnf: (name) => `dnf install -y -q ${name}`,
  brew: (name) => `brew install --quiet ${name}`,
};

/** The path of the program; undefined where there is none. */
function find(program) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

function firstOf(programs) {
  return programs.map(find).find((path) => path !== undefined);
}

/** "" for root or where none is needed, "sudo " where that asks for nothing, else undefined. */
function privilege(installer) {
  if (installer === "brew" || process.getuid?.() === 0) return "";
  return spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0 ? "sudo " : undefined;
}

/**
 * The path of the first of `programs` that is there, if need be after installing one; undefined where that can't be.
 *
 * @param packages the package's name by the installer; where there is none it isn't tried
 */
export function ensureProgram(programs, packages, why) {
  const found = firstOf(programs);
  if (found !== undefined) return found;
  const installer = Object.keys(packages).find(find);
  const prefix = installer === undefined ? undefined : privilege(installer);
  if (prefix === undefined) return undefined;
  console.log(`${why}: installing it with ${installer}.`);
  const command = INSTALLERS[installer](packages[installer]);
  spawnSync(`${prefix}sh -c '${command}'`, { shell: true, stdio: ["ignore", "ignore", "inherit"] });
  return firstOf(programs);
}
