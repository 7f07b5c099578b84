// Makes sure that the tests have a Redis to start.

import { ensureProgram } from "./system-package.js";

const PACKAGES = { "apt-get": "redis-server", apk: "redis", dnf: "redis", brew: "redis" };

const server = ensureProgram(
  ["redis-server", "valkey-server"],
  PACKAGES,
  "The tests need a Redis server, and there is none",
);
if (server === undefined) {
  console.error(
    "The tests need redis-server or valkey-server on the PATH, 6.2 or newer: install one and run them again.",
  );
  process.exit(1);
}
