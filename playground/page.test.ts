// The page in a real browser: what it shows is what the same run gives here, and it can be used by keyboard, by
// screen reader, on a phone and in the dark. Its pictures are left in .build/screenshots.

import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureChromium } from "../scripts/ensure-chromium.js";
import { ROOT } from "../test/support/process.ts";
import { fromHash } from "./model/settings.ts";
import { simulate } from "./model/simulation.ts";
import { snippetOf } from "./model/snippet.ts";
import { denialsOf, factorsOf, liveBuckets, secondsOf, totalsOf } from "./model/views.ts";

const configFile = join(ROOT, "playground", "vite.config.ts");
const screenshots = join(ROOT, ".build", "screenshots");
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

const DESKTOP = { width: 1440, height: 1000 };
const PHONE = { width: 390, height: 844 };

let server: PreviewServer;
let browser: Browser;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  mkdirSync(screenshots, { recursive: true });
  await build({ configFile, logLevel: "error" });
  server = await preview({ configFile, logLevel: "error", preview: { port: 0 } });
  const executablePath = ensureChromium();
  if (executablePath === undefined) throw new Error("there is no Chromium to test the playground with");
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

beforeEach(() => {
  complaints = [];
});

afterEach(async () => {
  await page.context().close();
  expect(complaints).toEqual([]);
});

async function open(hash = "", look: { viewport?: typeof PHONE; colorScheme?: "light" | "dark" } = {}): Promise<void> {
  const context = await browser.newContext({
    viewport: DESKTOP,
    permissions: ["clipboard-read", "clipboard-write"],
    hasTouch: look.viewport === PHONE,
    ...look,
  });
  page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(`${server.resolvedUrls!.local[0]}#${hash}`);
  await page.locator(".panel canvas").first().waitFor();
}

const panel = (strategy: string) => page.locator(`.panel[data-strategy=${strategy}]`);

async function hashNow(): Promise<string> {
  return new URL(page.url()).hash;
}

/** The rows of a panel's table. */
async function rowsOf(strategy: string): Promise<string[][]> {
  await panel(strategy).getByText("The numbers as a table").click();
  const rows = panel(strategy).locator("tbody tr");
  await rows.first().waitFor();
  return rows.evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent ?? "")));
}

/** What those rows are to be, by the same run here. */
function expectedRows(hash: string, strategy: string): string[][] {
  const simulation = simulate(fromHash(hash));
  const run = simulation.runs.find((each) => each.strategy === strategy)!;
  const factors = factorsOf(simulation, run);
  return secondsOf(simulation, run).map(({ offered, admitted }, second) => {
    const frame = Math.min(factors.length - 1, Math.round(((second + 1) * 1_000) / run.frameMs));
    return [second + 1, offered, admitted, factors[frame]!.toFixed(3)].map(String);
  });
}

describe("the numbers", () => {
  it.each([
    "",
    "load=burst&offeredPerSecond=1500&windowMs=3000&bucketMs=250&seed=5",
    "load=clients&limit=each&client=2&clients=4&ratePerSecond=20&hardLimitFactor=1.1",
    "load=on-off&strategy=suppressed&hardLimitFactor=3",
    "load=burst&secondLimit=2000&secondWindowMs=20000",
    `load=trace&ratePerSecond=0.5&trace=${encodeURIComponent("0 a\n0.3 b\n0.4 a\n7 b\n7.1 b\n7.2 b")}`,
  ])("are those of the same run in Node: %s", async (hash) => {
    await open(hash);
    for (const { strategy } of simulate(fromHash(hash)).runs) {
      expect(await rowsOf(strategy)).toEqual(expectedRows(hash, strategy));
    }
  });

  it("in words are those of the same run too, wherever one looks", async () => {
    await open();
    const simulation = simulate(fromHash(""));
    const run = simulation.runs[1]!;
    const { offered, admitted } = totalsOf(simulation, run);
    const inWords = (value: number) => value.toLocaleString("en");
    await expect(panel("suppressed").locator(".numbers").innerText()).resolves.toContain(
      `${inWords(admitted)} of ${inWords(offered)}`,
    );
    await page.getByLabel("Time in the run").fill("20000");
    const buckets = liveBuckets(simulation, run, 20_000);
    const accepted = buckets.reduce((sum, bucket) => sum + bucket.accepted, 0);
    const reading = panel("suppressed").locator("figure", { hasText: "Live buckets" }).locator(".reading");
    expect(await reading.innerText()).toContain(`${buckets.length} live buckets with ${inWords(accepted)} accepted`);
  });
});

it("shows two limits on one load, and which of them denies", async () => {
  await open("strategy=absolute");
  await expect(panel("absolute").locator(".numbers").innerText()).resolves.not.toContain("denied by");
  await page.getByLabel("Second limit (0: none)", { exact: true }).fill("2000");
  await page.getByLabel("Second limit (0: none)", { exact: true }).press("Enter");
  await page.getByLabel("Its window", { exact: true }).fill("30");
  await page.getByLabel("Its window", { exact: true }).press("Enter");
  const settings = fromHash(await hashNow());
  expect(settings).toMatchObject({ secondLimit: 2_000, secondWindowMs: 30_000 });
  const simulation = simulate(settings);
  const { first, second } = denialsOf(simulation, simulation.runs[0]!);
  const text = `the first ${first.toLocaleString("en")}, the second ${second.toLocaleString("en")}`;
  await expect(panel("absolute").locator(".numbers").innerText()).resolves.toContain(text);
  const fate = panel("absolute").locator("figure", { hasText: "Each call's fate" });
  await expect(fate.locator(".keys").innerText()).resolves.toContain("by the second");
  expect(await fate.locator(".reading").innerText()).toMatch(/denied by the (first|second) limit: retry in/);
  expect(await page.getByText("createLimits").first().textContent()).toContain("createLimits");
  await page.screenshot({ path: join(screenshots, "two-limits.png"), fullPage: true });
});

describe("the URL", () => {
  it("follows the settings, and brings them back", async () => {
    await open();
    await page.getByLabel("Rate", { exact: true }).fill("50");
    await page.getByLabel("Rate", { exact: true }).press("Enter");
    await page.getByLabel("Shape").selectOption("ramp");
    await page.getByText("Absolute", { exact: true }).first().click();
    expect(fromHash(await hashNow())).toMatchObject({ ratePerSecond: 50, load: "ramp", strategy: "absolute" });
    await expect(page.locator(".panel").count()).resolves.toBe(1);
    const before = await panel("absolute").locator(".numbers").innerText();
    await page.reload();
    await page.locator(".panel canvas").first().waitFor();
    expect(await panel("absolute").locator(".numbers").innerText()).toBe(before);
  });

  it("does no harm, whatever it says", async () => {
    await open("ratePerSecond=-1&windowMs=1e300&load=%3Cscript%3E&strategy=x&trace=%00&seconds=NaN&__proto__=1");
    await expect(page.locator(".panel").count()).resolves.toBe(2);
  });

  it("of a trace that can't be read says so, and what is right goes on", async () => {
    await open("load=trace");
    await expect(page.getByRole("alert").innerText()).resolves.toMatch(/Paste a trace/);
    await page.getByLabel("Trace").fill("1 a\n2 b\n2 b");
    await expect(page.getByRole("alert").isHidden()).resolves.toBe(true);
    await expect(panel("absolute").locator(".numbers").innerText()).resolves.toContain("3 of 3");
    expect(await page.getByLabel("Client on show").locator("option").allInnerTexts()).toEqual(["a", "b"]);
  });
});

it("copies the code and the link", async () => {
  await open("strategy=suppressed&ratePerSecond=7");
  await page.getByRole("button", { name: "Copy code" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(snippetOf(fromHash(await hashNow())));
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByRole("button", { name: "Copied" }).nth(1).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(page.url());
});

it("plays, pauses and goes faster, and a chart can be pointed at", async () => {
  await open("seconds=30&offeredPerSecond=50");
  const scrub = page.getByLabel("Time in the run");
  const now = async () => Number(await scrub.inputValue());
  expect(await now()).toBe(30_000);
  await page.getByRole("button", { name: "Replay" }).click();
  await page.waitForFunction(() => document.querySelector<HTMLInputElement>(".scrub input")!.valueAsNumber < 29_000);
  await page.getByRole("button", { name: "Pause" }).click();
  const paused = await now();
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  expect(await now()).toBe(paused);
  await page.getByLabel("Speed").selectOption("16");
  await page.getByRole("button", { name: "Play" }).click();
  await page.getByRole("button", { name: "Replay" }).waitFor();
  expect(await now()).toBe(30_000);
  const chart = (await panel("absolute").locator(".u-over").first().boundingBox())!;
  await page.mouse.click(chart.x + chart.width / 2, chart.y + 20);
  expect(Math.abs((await now()) - 15_000)).toBeLessThan(500);
});

it("tells a screen reader what is on show, when it has come to rest", async () => {
  await open("strategy=absolute");
  const seconds = secondsOf(simulate(fromHash("strategy=absolute")), simulate(fromHash("strategy=absolute")).runs[0]!);
  await page.getByLabel("Time in the run").fill("12000");
  const { offered, admitted } = seconds[11]!;
  await page.getByRole("status").getByText(`Absolute: ${admitted} of ${offered} admitted in this second.`).waitFor();
  const charts = await page.getByRole("img").evaluateAll((all) => all.map((chart) => chart.getAttribute("aria-label")));
  expect(charts.map((label) => label!.split(".")[0])).toEqual([
    "Calls per second",
    "Suppression factor",
    "Live buckets in the window",
    "Each call's fate",
  ]);
  for (const label of charts) expect(label).toMatch(/\. .*\d/);
});

it("can be used by keyboard alone", async () => {
  await open("offeredPerSecond=50");
  const focused = () =>
    page.evaluate(() => {
      const at = document.activeElement as HTMLElement;
      return at.getAttribute("aria-label") ?? (at.id || at.textContent || "").trim();
    });
  const reach = async (name: string) => {
    for (let presses = 0; presses < 60; presses++) {
      await page.keyboard.press("Tab");
      if ((await focused()) === name) return;
    }
    throw new Error(`${name} is not reached by Tab`);
  };
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Skip to the charts");
  await reach("ratePerSecond");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("25");
  await reach("Rate, slider");
  expect(fromHash(await hashNow()).ratePerSecond).toBe(25);
  await page.keyboard.press("ArrowRight");
  expect(fromHash(await hashNow()).ratePerSecond).toBeGreaterThan(25);
  // The control that was used still has the focus.
  expect(await focused()).toBe("Rate, slider");
  await reach("load");
  await page.keyboard.press("ArrowDown");
  expect(fromHash(await hashNow()).load).toBe("burst");
  await reach("Replay");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await page.keyboard.press("Space");
  await reach("Time in the run");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  expect(await page.getByLabel("Time in the run").inputValue()).toBe("100");
});

describe.each([
  ["desktop", DESKTOP],
  ["phone", PHONE],
] as const)("on a %s", (device, viewport) => {
  it.each(["light", "dark"] as const)(
    "in the %s everything is drawn, fits and can be read by all",
    async (colorScheme) => {
      await open("load=clients", { viewport, colorScheme });
      await page.screenshot({ path: join(screenshots, `${device}-${colorScheme}.png`), fullPage: true });
      expect(await inkOf()).toEqual(Array.from({ length: 8 }, () => true));
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
      await page.locator("#settings").evaluate((settings: HTMLDetailsElement) => {
        settings.open = true;
      });
      await page.addScriptTag({ path: axe });
      // biome-ignore lint/suspicious/noExplicitAny: axe is a global of the page only.
      const { violations } = await page.evaluate(() => (globalThis as any).axe.run());
      expect(violations.map(({ id, nodes }: { id: string; nodes: unknown[] }) => [id, nodes[0]])).toEqual([]);
    },
  );
});

/** For each chart whether it has more colours than its axes do. */
function inkOf(): Promise<boolean[]> {
  return page.locator(".panel canvas").evaluateAll((all) =>
    (all as HTMLCanvasElement[]).map((canvas) => {
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      let coloured = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b] = [data[i]!, data[i + 1]!, data[i + 2]!];
        if (data[i + 3]! > 0 && Math.max(r, g, b) - Math.min(r, g, b) > 40) coloured++;
      }
      return coloured > 50;
    }),
  );
}
