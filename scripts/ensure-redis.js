// Makes sure that tests, benchmarks and the demo have a Redis to start.

import { ensureProgram } from "./system-package.js";

const PACKAGES = { "apt-get": "redis-server", apk: "redis", dnf: "redis", brew: "redis" };

const server = ensureProgram(
  ["redis-server", "valkey-server"],
  PACKAGES,
  "A Redis server is needed, and there is none",
);
if (server === undefined) {
  console.error(
    "redis-server or valkey-server is needed on the PATH, Redis 6.2 or newer: install one and run this again.",
  );
  process.exit(1);
}
