// Makes sure that tests, benchmarks and the demo have a Redis to start: finds redis-server or valkey-server, and installs the
// first with the system's package manager where there is none and it may.

import { spawnSync } from "node:child_process";

const SERVERS = ["redis-server", "valkey-server"];

/** What installs a package without asking, by the program that does it. */
const INSTALLERS = {
  "apt-get": "apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server",
  apk: "apk add --quiet redis",
  dnf: "dnf install -y -q redis",
  brew: "brew install --quiet redis",
};

function has(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

function hasServer() {
  return SERVERS.some(has);
}

/** "" for root or where none is needed, "sudo " where that asks for nothing, else undefined. */
function privilege(installer) {
  if (installer === "brew" || process.getuid?.() === 0) return "";
  return spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0 ? "sudo " : undefined;
}

function install() {
  const installer = Object.keys(INSTALLERS).find(has);
  if (installer === undefined) return;
  const prefix = privilege(installer);
  if (prefix === undefined) return;
  console.log(`A Redis server is needed, and there is none: installing it with ${installer}.`);
  spawnSync(`${prefix}sh -c '${INSTALLERS[installer]}'`, { shell: true, stdio: ["ignore", "ignore", "inherit"] });
}

if (!hasServer()) install();
if (!hasServer()) {
  console.error(
    "redis-server or valkey-server is needed on the PATH, Redis 6.2 or newer: install one and run this again.",
  );
  process.exit(1);
}
