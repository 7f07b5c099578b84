// Makes sure that the tests have a browser to start; CHROME_PATH names one that isn't on the PATH.

import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ensureProgram } from "./system-package.js";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];
const PACKAGES = { "apt-get": "chromium", apk: "chromium", dnf: "chromium" };

/** The path of the browser's program; undefined where there is none and none can be installed. */
export function ensureChromium() {
  return process.env.CHROME_PATH ?? ensureProgram(PROGRAMS, PACKAGES, "The tests need Chromium, and there is none");
}

const started = process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (started && ensureChromium() === undefined) {
  console.error(
    "The tests of the playground need Chromium: install it, or name it by CHROME_PATH, and run them again.",
  );
  process.exit(1);
}
