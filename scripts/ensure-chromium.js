// Makes sure that the tests have a browser to start.

import { ensureProgram } from "./system-package.js";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];
const PACKAGES = { "apt-get": "chromium", apk: "chromium", dnf: "chromium" };

/** The path of the browser's program; undefined where there is none and none can be installed. */
export function ensureChromium() {
  return ensureProgram(PROGRAMS, PACKAGES, "The tests need Chromium, and there is none");
}
