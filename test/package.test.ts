// What the package is made of: which way its parts depend, and what it gives to whom.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import * as trypema from "trypema";
import * as hybrid from "trypema/hybrid";
import * as redis from "trypema/redis";
import * as testing from "trypema/testing";
import { describe, expect, it } from "vitest";
import { ROOT, runScript } from "./support/process.ts";

const IMPORT = /\b(?:from|import)\s*\(?\s*"([^"]+)"/g;

/** Each folder of src, with those that it may import from. */
const LAYERS: Record<string, readonly string[]> = {
  core: ["core"],
  strategy: ["core", "strategy"],
  local: ["core", "strategy", "local"],
  redis: ["core", "strategy", "local", "redis"],
  hybrid: ["core", "strategy", "redis", "hybrid"],
  testing: ["core", "local", "redis", "testing"],
  "": ["core", "local"],
};

const src = join(ROOT, "src");
const dist = join(ROOT, "dist");
const sources = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => /(?<!\.test)\.ts$/.test(file));
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

function importsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(IMPORT)].map((match) => match[1]!);
}

function layerOf(file: string): string {
  return dirname(file) === "." ? "" : file.split("/")[0]!;
}

describe("the sources", () => {
  it.each(sources)("%s imports in the direction of the layers, and nothing from outside", (file) => {
    const allowed = LAYERS[layerOf(file)];
    expect(allowed, "a folder that LAYERS doesn't know").toBeDefined();
    for (const specifier of importsOf(join(src, file))) {
      expect(specifier).toMatch(/^\.\.?\//);
      const target = relative(src, resolve(src, dirname(file), specifier));
      expect(allowed, `${file} imports ${specifier}`).toContain(layerOf(target));
    }
  });
});

describe("the package", () => {
  it("exports the functions and types that the documentation names, and nothing else", () => {
    expect(Object.keys(trypema).sort()).toEqual([
      "TrypemaError",
      "createLocalProvider",
      "perDay",
      "perHour",
      "perMinute",
      "perSecond",
      "unlimited",
    ]);
    expect(Object.keys(redis)).toEqual(["createRedisProvider"]);
    expect(Object.keys(hybrid)).toEqual(["createHybridProvider"]);
    expect(Object.keys(testing).sort()).toEqual(["createFakeRedisProvider", "manualClock", "seededRandom"]);
  });

  it("has what its manifest promises", () => {
    for (const target of Object.values<string | Record<string, string>>(manifest.exports)) {
      for (const path of typeof target === "string" ? [target] : Object.values(target)) {
        expect(existsSync(join(ROOT, path)), path).toBe(true);
      }
    }
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.sideEffects).toBe(false);
  });

  it("ships what users need and nothing of how it is made", async () => {
    // Without scripts: a build now would pull the files from under other tests.
    const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: ROOT,
    });
    const paths: string[] = JSON.parse(stdout)[0].files.map((file: { path: string }) => file.path);
    const others = paths.filter((path) => !/^dist\/.+\.(js|d\.ts)$/.test(path));
    expect(others.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "package.json"]);
    expect(paths.filter((path) => path.includes(".test."))).toEqual([]);
  });

  it("loads only what Local needs", () => {
    const loaded = new Set<string>();
    const load = (file: string) => {
      if (loaded.has(file)) return;
      loaded.add(file);
      for (const specifier of importsOf(join(dist, file))) load(join(dirname(file), specifier));
    };
    load("index.js");
    expect(loaded.size).toBeGreaterThan(10);
    for (const file of loaded) expect(file).toMatch(/^(index|(core|strategy|local)\/[a-z-]+)\.js$/);
  });

  it("has types that compile in a strict program without any of ours", async () => {
    const folder = join(ROOT, ".build", "consumer");
    mkdirSync(folder, { recursive: true });
    const compilerOptions = {
      strict: true,
      lib: ["es2022"],
      types: [],
      module: "nodenext",
      skipLibCheck: false,
      noEmit: true,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    writeFileSync(
      join(folder, "main.ts"),
      `import { createLocalProvider, type LocalProvider, perSecond } from "trypema";
       import { createRedisProvider, type RedisClient } from "trypema/redis";
       const local: LocalProvider = createLocalProvider({ windowMs: 1_000 });
       export const limit: number = local.absolute.inc("key", perSecond(5)).limit;
       import { createFakeRedisProvider, manualClock } from "trypema/testing";
       const clock = manualClock();
       export const fake: Promise<number> = createFakeRedisProvider({ clock }).absolute.adjust("key", clock());
       export const allowed = async (client: RedisClient): Promise<boolean> =>
         (await createRedisProvider(client).suppressed.inc("key", perSecond(5))).allowed;`,
    );
    const compiled = promisify(execFile)("npx", ["tsc", "-p", folder], { cwd: ROOT });
    await expect(compiled.catch((error) => Promise.reject(new Error(error.stdout)))).resolves.toBeDefined();
  });

  it("works where nothing of Node is", async () => {
    const { stdout } = await runScript(`
      const log = console.log;
      const node = ["process", "Buffer", "global", "setImmediate", "clearImmediate", "setInterval", "queueMicrotask", "navigator"];
      for (const name of node) delete globalThis[name];
      const { createLocalProvider, perSecond } = await import("trypema");
      const limiter = createLocalProvider();
      log(limiter.absolute.inc("key", perSecond(1)).allowed, limiter.suppressed.inc("key", perSecond(1)).allowed);
    `);
    expect(stdout).toBe("true true\n");
  });
});
