// What the package gives to whom: what it exports, what it ships, what each entry loads, and how its types compile.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import * as trypema from "trypema";
import * as betterAuth from "trypema/better-auth";
import * as diagnostics from "trypema/diagnostics";
import * as express from "trypema/express";
import * as fastify from "trypema/fastify";
import * as fetch from "trypema/fetch";
import * as hono from "trypema/hono";
import * as http from "trypema/http";
import * as hybrid from "trypema/hybrid";
import * as koa from "trypema/koa";
import * as nestjs from "trypema/nestjs";
import * as node from "trypema/node";
import * as opentelemetry from "trypema/opentelemetry";
import * as prometheus from "trypema/prometheus";
import * as redis from "trypema/redis";
import * as testing from "trypema/testing";
import { describe, expect, it } from "vitest";
import { runScript } from "./support/built.ts";
import { ROOT } from "./support/process.ts";

const IMPORT = /\b(?:from|import|require)\s*\(?\s*"([^"]+)"/g;

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const entries = Object.keys(manifest.exports).filter((entry) => entry !== "./package.json");

function importsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(IMPORT)].map((match) => match[1]!);
}

describe("the package", () => {
  it("exports the functions and types that the documentation names, and nothing else", () => {
    expect(Object.keys(trypema).sort()).toEqual([
      "TrypemaError",
      "createLimits",
      "createLocalProvider",
      "days",
      "hours",
      "minutes",
      "perDay",
      "perHour",
      "perMinute",
      "perSecond",
      "perWeek",
      "seconds",
      "trackLimitedKeys",
      "unlimited",
    ]);
    expect(Object.keys(redis)).toEqual(["createRedisProvider"]);
    expect(Object.keys(hybrid)).toEqual(["createHybridProvider"]);
    expect(Object.keys(testing).sort()).toEqual(["createFakeRedisProvider", "manualClock", "seededRandom"]);
    const core = [
      "Guard",
      "clientAddress",
      "combined",
      "derivedKey",
      "pathOf",
      "prometheusMetrics",
      "requestHeader",
      "reservationOf",
    ];
    expect(Object.keys(http).sort()).toEqual(core);
    for (const adapter of [express, fastify, fetch, hono, koa]) {
      expect(Object.keys(adapter).sort()).toEqual([...core, "rateLimit"].sort());
    }
    expect(Object.keys(node).sort()).toEqual([...core, "messageClientAddress", "rateLimit"].sort());
    expect(Object.keys(opentelemetry)).toEqual(["openTelemetryMetrics"]);
    expect(Object.keys(betterAuth)).toEqual(["rateLimitStorage"]);
    expect(Object.keys(nestjs).filter((name) => !core.includes(name))).toEqual([
      "RateLimit",
      "RateLimitCost",
      "RateLimitException",
      "RateLimitGuard",
      "RateLimits",
      "SkipRateLimit",
      "TRYPEMA_PROVIDER",
      "TrypemaModule",
      "requestOf",
      "throttlerStorage",
    ]);
    expect(Object.keys(prometheus)).toEqual(["registerMetrics"]);
    expect(Object.keys(diagnostics)).toEqual(["publishEvents"]);
  });

  it("has what its manifest promises", () => {
    const targets = [...JSON.stringify(manifest.exports).matchAll(/"(\.\/[^"]+)"(?!:)/g)].map((match) => match[1]!);
    expect(targets.length).toBeGreaterThan(5 * entries.length);
    for (const path of [...targets, manifest.main, manifest.types]) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
    expect(readFileSync(join(ROOT, manifest.bin.trypema), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.sideEffects).toBe(false);
  });

  it("gives ES modules to all that can run them or bundle them, and CommonJS to Node, in one order of conditions", () => {
    for (const entry of entries) {
      const conditions = manifest.exports[entry];
      expect(Object.keys(conditions)).toEqual(["module", "worker", "production", "node", "require", "default"]);
      const { module, worker, production, node, require, default: rest } = conditions;
      // Nitro 2 puts what is under `production` in the place of `node`, in a package that has the ES modules only.
      expect([module, worker, production]).toEqual([rest, rest, { node: rest }]);
      expect([node.default, node.import]).toEqual([require, require.replace(/js$/, "mjs")]);
    }
  });

  it("has the same version and parts on JSR, except for Fastify's, because it adds to Fastify's own types", () => {
    const jsr = JSON.parse(readFileSync(join(ROOT, "jsr.json"), "utf8"));
    expect(jsr.version).toBe(manifest.version);
    expect(Object.keys(jsr.exports).sort()).toEqual(entries.filter((entry) => entry !== "./fastify").sort());
    for (const [entry, source] of Object.entries(jsr.exports)) {
      const built = manifest.exports[entry].default as string;
      expect(source).toBe(built.replace("./dist", "./src").replace(/js$/, "ts"));
    }
  });

  it("is not published before it says where it lives", async () => {
    const named = {
      repository: { type: "git", url: "git+https://git.example/a/b.git" },
      homepage: "https://b.example",
      bugs: { url: "https://git.example/a/b/issues" },
    };
    const check = (given: object) => {
      const file = join(ROOT, ".build", "addresses.json");
      writeFileSync(file, JSON.stringify(given));
      return promisify(execFile)(process.execPath, [join(ROOT, "scripts", "check-addresses.js"), file]);
    };
    await expect(check(named)).resolves.toBeDefined();
    for (const field of Object.keys(named)) {
      await expect(check({ ...named, [field]: undefined })).rejects.toThrow(`package.json has no ${field}`);
    }
    expect(manifest.scripts.prepublishOnly).toBe("node scripts/check-addresses.js");
  });

  it("ships what users need and nothing of how it is made", async () => {
    // Without scripts: a build now would pull the files from under other tests.
    const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: ROOT,
    });
    const paths: string[] = JSON.parse(stdout)[0].files.map((file: { path: string }) => file.path);
    const made = /^dist\/.+\.(m?js|d\.m?ts|(js|d\.ts)\.map)$/;
    const read =
      /^(docs\/.+\.(md|svg)|examples\/.+\.(md|tsx?|js|json)|src\/.+\.(ts|js|lua)|operations\/.+\.(yml|json))$/;
    const others = paths.filter((path) => !made.test(path) && !read.test(path));
    const folders = entries.filter((entry) => entry !== ".").map((entry) => `${entry.slice(2)}/package.json`);
    const texts = ["AGENTS.md", "llms.txt", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"];
    const expected = [...texts, "dist/cjs/package.json", "package.json", ...folders];
    expect(others.sort()).toEqual(expected.sort());
    expect(paths.filter((path) => path.includes(".test."))).toEqual([]);
  });

  it("gives a program one copy of its code, which it may import and require", async () => {
    const { stdout } = await runScript(`
      import { createRequire } from "node:module";
      const require = createRequire(import.meta.url);
      let compared = 0;
      for (const entry of ${JSON.stringify(entries)}) {
        const name = entry.replace(".", "trypema");
        const [required, imported] = [require(name), await import(name)];
        const names = Object.keys(required);
        if (names.sort().join() !== Object.keys(imported).sort().join()) console.log(name, names, imported);
        for (const one of names) if (required[one] !== imported[one]) console.log(name, one); else compared++;
      }
      console.log(compared);
    `);
    expect(stdout).toMatch(/^\d\d+\n$/);
  });

  /** The sources of everything that loading a file loads. */
  function loadedBy(form: string, file: string): Set<string> {
    const loaded = new Set<string>();
    const sourcesLoaded = new Set<string>();
    const load = (path: string) => {
      if (loaded.has(path)) return;
      loaded.add(path);
      const { sources }: { sources: string[] } = JSON.parse(readFileSync(`${path}.map`, "utf8"));
      for (const source of sources) sourcesLoaded.add(relative(join(ROOT, "src"), join(dirname(path), source)));
      for (const specifier of importsOf(path)) load(join(dirname(path), specifier));
    };
    load(join(ROOT, form, file));
    return sourcesLoaded;
  }

  describe.each(["dist", "dist/cjs"])("in %s", (form) => {
    it("loads only what Local needs", () => {
      const loaded = loadedBy(form, "index.js");
      expect(loaded.size).toBeGreaterThan(10);
      for (const file of loaded) expect(file).toMatch(/^(index|(core|strategy|local|limits)\/[a-z-]+)\.ts$/);
    });

    it.each(["express", "fastify", "fetch", "hono", "koa", "node"])(
      "loads no framework and no Redis for %s",
      (name) => {
        const loaded = loadedBy(form, `adapters/${name}.js`);
        expect(loaded.size).toBeGreaterThan(10);
        for (const file of loaded) {
          expect(file).toMatch(/^((core|strategy|local|limits|metrics|http)\/[a-z-]+|adapters\/[a-z-]+)\.ts$/);
          const shared = ["adapters/node-message.ts", "adapters/node-peer.ts", "adapters/web-response.ts"];
          if (file.startsWith("adapters/")) expect([`adapters/${name}.ts`, ...shared]).toContain(file);
        }
      },
    );
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

  it("has types for each framework by which nothing has to be cast", async () => {
    const folder = join(ROOT, ".build", "consumer-http");
    mkdirSync(folder, { recursive: true });
    const compilerOptions = { strict: true, types: ["node"], module: "nodenext", skipLibCheck: true, noEmit: true };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    writeFileSync(
      join(folder, "main.ts"),
      `import { createServer } from "node:http";
       import express from "express";
       import Fastify from "fastify";
       import { Hono } from "hono";
       import Koa from "koa";
       import { createLocalProvider, perMinute } from "trypema";
       import { rateLimit as forExpress, reservationOf } from "trypema/express";
       import { rateLimit as forFastify } from "trypema/fastify";
       import { rateLimit as forFetch } from "trypema/fetch";
       import { rateLimit as forHono } from "trypema/hono";
       import { rateLimit as forKoa } from "trypema/koa";
       import { rateLimit as forNode } from "trypema/node";
       const provider = createLocalProvider();
       const rate = perMinute(60);
       express().use(forExpress({ provider, rate, key: ({ raw }) => raw.get("x") })).get("/", (request, response) => {
         void reservationOf(request).adjust(1);
         response.end();
       });
       const app = Fastify();
       await app.register(forFastify, { provider, rate, key: ({ raw }) => raw.id });
       app.get("/", { config: { rateLimit: { name: "a", rate, key: ({ raw }) => raw.hostname } } }, () => "");
       app.get("/free", { config: { rateLimit: false } }, (request) => reservationOf(request).decisions);
       new Hono<{ Variables: { user: string } }>().use(forHono({ provider, rate, key: ({ raw }) => raw.get("user") }));
       new Koa().use(forKoa({ provider, limiters: [{ rate, key: ({ raw }) => raw.ip }] }));
       createServer(forNode({ provider, rate, key: ({ raw }) => raw.url }, (_, response) => response.end()));
       const fetch = forFetch(
         { provider, rate, key: ({ raw }) => raw.url, peerAddress: (_, info: { address: string }) => info.address },
         (request, info) => new Response(request.url + info.address),
       );
       export const response: Promise<Response> = fetch(new Request("http://localhost"), { address: "::1" });
       interface Env { readonly secret: string }
       const worker = forFetch(
         { provider, rate, peerAddress: (request) => request.headers.get("cf-connecting-ip") ?? undefined },
         (request: Request, env: Env, context: { waitUntil(promise: Promise<unknown>): void }) => {
           context.waitUntil(reservationOf(request).adjust(1));
           return new Response(env.secret);
         },
       );
       void worker(new Request("http://localhost"), { secret: "" }, { waitUntil() {} });
       // @ts-expect-error: the handler's context is missing
       void worker(new Request("http://localhost"));
       const both = forFetch(
         { provider, rate, peerAddress: (_, info) => info.address },
         (request: Request, info: { address: string }) => new Response(request.url + info.address),
       );
       void both(new Request("http://localhost"), { address: "::1" });
       const peer = { peerAddress: (_: Request, info: { address: string }) => info.address };
       void forFetch({ provider, rate, ...peer }, () => new Response(""))(new Request("http://localhost"), { address: "::1" });
       const short = { peerAddress: (request: Request) => request.url };
       void forFetch({ provider, rate, ...short }, (_: Request, env: Env) => new Response(env.secret))(new Request("http://localhost"), { secret: "" });
       const bun = forFetch({ provider, rate, key: () => "k" }, (request: Request, server: { upgrade(request: Request): boolean }) =>
         server.upgrade(request) ? undefined : new Response(""));
       export const upgraded: Promise<Response | undefined> = bun(new Request("http://localhost"), { upgrade: () => true });
       void forFetch({ provider, rate, key: () => "k", exposeHeaders: true }, async () => Response.json({}))(new Request("http://localhost"));
       // @ts-expect-error: a number is no rate
       forExpress({ provider, rate: 60 });
       // @ts-expect-error: one or the other
       forExpress({ provider });`,
    );
    const compiled = promisify(execFile)("npx", ["tsc", "-p", folder], { cwd: ROOT });
    await expect(compiled.catch((error) => Promise.reject(new Error(error.stdout)))).resolves.toBeDefined();
  });

  it("has types that take each real client of Redis, and refuse what is none", async () => {
    const folder = join(ROOT, ".build", "consumer-clients");
    mkdirSync(folder, { recursive: true });
    // The types of Bun bring those of Node.
    const compilerOptions = {
      strict: true,
      types: ["bun-types"],
      module: "nodenext",
      skipLibCheck: true,
      noEmit: true,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    writeFileSync(
      join(folder, "main.ts"),
      `import { Redis as Upstash } from "@upstash/redis";
       import { Redis as UpstashOfWorkers } from "@upstash/redis/cloudflare";
       import { Batch, type GlideClient, type GlideClusterClient } from "@valkey/valkey-glide";
       import type { RedisClient as BunClient } from "bun";
       import { Cluster, Redis } from "ioredis";
       import * as iovalkey from "iovalkey";
       import { createClient, createClientPool, createCluster, createSentinel } from "redis";
       import { createHybridProvider } from "trypema/hybrid";
       import { createRedisProvider, type RedisClient } from "trypema/redis";
       const upstash = new Upstash({ url: "https://x", token: "" });
       const nodeRedis = createClient();
       declare const glide: GlideClient;
       declare const glideCluster: GlideClusterClient;
       declare const bun: BunClient;
       createRedisProvider(new Redis());
       createRedisProvider(new Cluster([]));
       createRedisProvider(new iovalkey.Redis());
       createRedisProvider(new iovalkey.Cluster([]));
       createRedisProvider(nodeRedis);
       createRedisProvider(createClient({ RESP: 2, modules: {}, scripts: {} }));
       createRedisProvider(nodeRedis.withTypeMapping({ 36: Buffer }));
       createRedisProvider(nodeRedis.legacy());
       createRedisProvider(createClientPool());
       createRedisProvider(createCluster({ rootNodes: [] }));
       createRedisProvider(createSentinel({ name: "x", sentinelRootNodes: [] }));
       createRedisProvider(upstash);
       createRedisProvider(new UpstashOfWorkers({ url: "https://x", token: "" }));
       createRedisProvider(glide);
       createRedisProvider(glideCluster);
       createRedisProvider(bun);
       createRedisProvider({ sendCommand: async (args: string[]) => args.length });
       createHybridProvider(upstash);
       export const one: RedisClient = upstash;
       // @ts-expect-error: a pipeline
       createRedisProvider(new Redis().pipeline());
       // @ts-expect-error: a MULTI
       createRedisProvider(nodeRedis.multi());
       // @ts-expect-error: a MULTI
       createRedisProvider(nodeRedis.legacy().multi());
       // @ts-expect-error: a pipeline
       createRedisProvider(upstash.pipeline());
       // @ts-expect-error: a batch
       createRedisProvider(new Batch(false));
       // @ts-expect-error: a websocket
       createRedisProvider(new WebSocket("ws://localhost"));
       // @ts-expect-error: an address
       createRedisProvider("redis://localhost");
       // @ts-expect-error: a command as one text
       createRedisProvider({ sendCommand: async (command: string) => command });
       // @ts-expect-error: callbacks
       createRedisProvider({ sendCommand: (args: string[], callback: () => void) => callback() });
       // @ts-expect-error: the methods of scripts alone, whose arguments may be of any client
       createRedisProvider({ eval: async () => "", evalsha: async () => "" });`,
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
      const { Guard } = await import("trypema/http");
      const guard = new Guard({ provider: limiter, rate: perSecond(1 / 60) });
      const request = () => ({ raw: {}, method: "GET", path: "/", peerAddress: "2001:db8::1", header() {} });
      log(guard.check(request()).answer, (await guard.check(request())).answer.status);
    `);
    expect(stdout).toBe("true true\nundefined 429\n");
  });
});
