// The built site in a real browser: every page opens without a complaint, every link leads somewhere, search finds
// what newcomers ask, and it can be read on a phone, in the dark and by a screen reader.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { extname, join, relative } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureChromium } from "../scripts/ensure-chromium.js";
import { ROOT } from "../test/support/process.ts";

const site = join(ROOT, ".build", "site");
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

const DESKTOP = { width: 1440, height: 1000 };
const PHONE = { width: 390, height: 844 };

const pages = readdirSync(site, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".html") && file !== "404.html")
  .sort();

let server: Server;
let browser: Browser;
let origin: string;

beforeAll(async () => {
  server = createServer(({ url }, response) => {
    const path = decodeURIComponent(new URL(url!, "http://localhost").pathname).replace(/\/$/, "/index.html");
    const file = join(site, path);
    const found = [file, `${file}.html`].find(
      (each) => each.startsWith(site) && extname(each) !== "" && existsSync(each),
    );
    if (found === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "content-type": TYPES[extname(found)] ?? "text/plain" }).end(readFileSync(found));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const executablePath = ensureChromium();
  if (executablePath === undefined) throw new Error("there is no Chromium to test the site with");
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});

afterAll(async () => {
  await browser?.close();
  server?.close();
});

/** Opens a window, and collects what a page complains of. */
async function openWindow(look: BrowserContextOptions = {}): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport: DESKTOP, ...look });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${page.url()}: ${message.text()}`);
  });
  return { page, complaints };
}

it("every page opens, has a title of its own, fits, and complains of nothing", async () => {
  expect(pages.length).toBeGreaterThan(30);
  const { page, complaints } = await openWindow();
  const titles = new Set<string>();
  for (const path of pages) {
    await page.goto(`${origin}/${path}`);
    await page.locator("h1").first().waitFor();
    titles.add(await page.title());
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), path).toBeLessThanOrEqual(0);
  }
  expect(complaints).toEqual([]);
  expect(titles.size).toBe(pages.length);
});

it("every link of every page leads to a page, and to its heading", () => {
  const texts = new Map(pages.map((path) => [path, readFileSync(join(site, path), "utf8")]));
  const dead: string[] = [];
  let followed = 0;
  for (const [path, text] of texts) {
    for (const [, href] of text.matchAll(/<(?:a|img|link)\b[^>]*? (?:href|src)="([^"]+)"/g)) {
      const target = new URL(href!.replaceAll("&amp;", "&"), `${origin}/${path}`);
      if (target.origin !== origin) continue;
      followed++;
      const file = relative("/", decodeURIComponent(target.pathname).replace(/\/$/, "/index.html"));
      const found = [file, `${file}.html`].find((each) => existsSync(join(site, each)) && extname(each) !== "");
      const id = decodeURIComponent(target.hash.slice(1));
      const isThere = found !== undefined && (id === "" || (texts.get(found) ?? "").includes(`id="${id}"`));
      if (!isThere) dead.push(`${path}: ${href}`);
    }
  }
  expect(followed).toBeGreaterThan(1_000);
  expect([...new Set(dead)]).toEqual([]);
});

describe("search finds what newcomers ask", async () => {
  it.each([
    ["limit by ip address", ["faq", "http", "proxies"]],
    ["100 requests in 15 minutes", ["faq", "sizing", "limits", "migrating"]],
    ["behind nginx", ["proxies", "errors", "faq"]],
    ["what if redis is down", ["failure", "faq", "errors"]],
    ["block after failed logins", ["faq", "limits"]],
    ["X-RateLimit headers", ["http", "faq"]],
    ["migrate from express-rate-limit", ["migrating", "compare"]],
    ["fake clock in unit tests", ["testing"]],
    ["cloudflare workers", ["edge", "local"]],
    ["llm tokens", ["faq", "ai-sdk", "limits"]],
    ["PROXY_UNNAMED", ["errors", "http", "faq"]],
  ])("%s", async (question, expected) => {
    const { page, complaints } = await openWindow();
    await page.goto(`${origin}/docs/`);
    await page.getByRole("button", { name: "Search" }).first().click();
    await page.locator("#localsearch-input").fill(question);
    const results = page.locator("#localsearch-list a");
    await results.first().waitFor();
    await expect
      .poll(async () => {
        const hrefs = await results.evaluateAll((all) =>
          all.slice(0, 5).map((each) => each.getAttribute("href") ?? ""),
        );
        return hrefs.some((href) => expected.some((name) => new RegExp(`/${name}(\\.html)?(#|$)`).test(href))) || hrefs;
      })
      .toBe(true);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

describe.each([
  ["desktop", DESKTOP],
  ["phone", PHONE],
] as const)("on a %s", (_, viewport) => {
  it.each(["light", "dark"] as const)("in the %s everything fits and can be read by all", async (colorScheme) => {
    const { page, complaints } = await openWindow({ viewport, colorScheme });
    for (const path of ["index.html", "docs/http.html", "docs/frameworks/next.html"]) {
      await page.goto(`${origin}/${path}`);
      await page.locator("h1").first().waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), path).toBeLessThanOrEqual(0);
      await page.addScriptTag({ path: axe });
      // biome-ignore lint/suspicious/noExplicitAny: axe is a global of the page only.
      const { violations } = await page.evaluate(() => (globalThis as any).axe.run());
      const seen = violations.map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => [
        path,
        id,
        nodes[0]!.html,
      ]);
      expect.soft(seen).toEqual([]);
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

it("the playground runs in it", async () => {
  const { page, complaints } = await openWindow();
  await page.goto(`${origin}/docs/`);
  await page.getByRole("link", { name: "Playground" }).first().click();
  await page.locator(".panel canvas").first().waitFor();
  expect(complaints).toEqual([]);
});
