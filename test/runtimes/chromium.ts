import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { ensureChromium } from "../../scripts/ensure-chromium.js";
import type { Summary } from "./suite.ts";

type Report = (name: string, there: Promise<string>, run: (path: string) => Promise<Summary>) => Promise<void>;

/** Runs the bundled page in Debian's Chromium, or whichever there is. */
export async function runInChromium(page: string, report: Report): Promise<void> {
  const there = async () => {
    const program = ensureChromium();
    if (program === undefined) throw new Error("no Chromium on the PATH, and none could be installed");
    return program;
  };
  await report("Chromium", there(), (program) => runPage(program, page));
}

async function runPage(program: string, page: string): Promise<Summary> {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  try {
    const tab = await browser.newPage();
    await tab.addScriptTag({ type: "module", content: readFileSync(page, "utf8") });
    return await tab.evaluate("globalThis.summary");
  } finally {
    await browser.close();
  }
}
