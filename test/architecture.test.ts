// Which part of the sources may know which: the table of layers in docs/architecture.md, held by a test.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./support/process.ts";

/** A row of the table of layers: a folder of src, what it is, and those that it may import from. */
const ROW = /^\| `([a-z]+)` \| [^|]+ \|([a-z, ]*)\|$/gm;

const architecture = readFileSync(join(ROOT, "docs/architecture.md"), "utf8");
const rows = Array.from(architecture.matchAll(ROW), ([, folder = "", imports = ""]) => ({
  folder,
  imports: imports.match(/[a-z]+/g) ?? [],
}));

/** Each folder of src, with those that it may import from. The files beside the folders are the entry `trypema`. */
const LAYERS: Readonly<Record<string, readonly string[]>> = Object.fromEntries([
  ["", ["core", "local", "limits"]],
  ...rows.map(({ folder, imports }) => [folder, [...imports, folder]]),
]);

/** Nest has the packages for sockets and microservices loaded only where a handler needs their exceptions. */
const FROM_NEST = /^import .* from "@nestjs\/(common|core)";$|import\("@nestjs\/(websockets|microservices)"\)/gm;

/**
 * What an adapter adapts, which it knows by its types; only Nest, OpenTelemetry's API and Node's channels are called.
 * The command line runs in Node alone.
 */
const OUTSIDE: Record<string, RegExp> = {
  cli: /^import .* from "node:[a-z_/]+";$/gm,
  "adapters/express.ts": /^import type .* from "express";$/gm,
  "adapters/fastify.ts": /^(import type .* from|declare module) "fastify"/gm,
  "adapters/hono.ts": /^import type .* from "hono";$/gm,
  "adapters/koa.ts": /^import type .* from "koa";$/gm,
  "adapters/nestjs/decorators.ts": FROM_NEST,
  "adapters/nestjs/exceptions.ts": FROM_NEST,
  "adapters/nestjs/guard.ts": FROM_NEST,
  "adapters/nestjs/limiters.ts": FROM_NEST,
  "adapters/nestjs/module.ts": FROM_NEST,
  "adapters/nestjs/options.ts": FROM_NEST,
  "adapters/nestjs/rate-limits.ts": FROM_NEST,
  "adapters/nestjs/request.ts": /^import type .* from "(node:http|@nestjs\/common)";$/gm,
  "adapters/node.ts": /^import type .* from "node:http";$/gm,
  "adapters/node-message.ts": /^import type .* from "node:(http|http2)";$/gm,
  "adapters/node-peer.ts": /^import type .* from "node:(http|net)";$/gm,
  "adapters/prometheus.ts": /^import type .* from "prom-client";$/gm,
  "adapters/diagnostics.ts": /^import .* from "node:diagnostics_channel";$/gm,
  "adapters/opentelemetry.ts": /^import .* from "@opentelemetry\/api";$/gm,
};

/** The parts of Hybrid that can be read and tested alone, and those that are made of them. */
const HYBRID_LEAVES = [
  "lease",
  "wants",
  "outbox",
  "snapshot",
  "protocol",
  "timing",
  "serving",
  "scheduler",
  "demand",
  "draws",
  "rows",
  "cells",
];
const MADE_OF_LEAVES = [
  "pieces",
  "holder",
  "fallback",
  "waiting-calls",
  "exchanges",
  "short-way",
  "holders",
  "limiter",
];

/** What is imported, or exported from elsewhere, and from where. A text with an import in it begins no line. */
const IMPORT = /^(?:import|export)\b([^;"]*?)\bfrom\s*"([^"]+)"|(?:^import\s*|\bimport\s*\(\s*)"([^"]+)"/gm;
const ONLY_TYPES = /^\s*type\s|^\s*\{(\s*type\s[^,}]*,?)+\s*\}\s*$/;

interface Import {
  readonly from: string;
  /** Whether nothing of the import is left when TypeScript is compiled. */
  readonly isOnlyTypes: boolean;
}

const src = join(ROOT, "src");
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => /(?<!\.test)\.ts$/.test(file));

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), "utf8").replace(OUTSIDE[file] ?? OUTSIDE[layerOf(file)] ?? /$^/g, "");
  return [...text.matchAll(IMPORT)].map(([, names = "", from, bare]) => ({
    from: (from ?? bare)!,
    isOnlyTypes: ONLY_TYPES.test(names),
  }));
}

/** The file of src that an import leads to. */
function targetOf(file: string, { from }: Import): string {
  return relative(src, resolve(src, dirname(file), from));
}

function layerOf(file: string): string {
  return dirname(file) === "." ? "" : file.split("/")[0]!;
}

/** The first cycle that is met on the way from `file`, as the files on it; undefined without one. */
function cycleFrom(file: string, way: readonly string[], done: Set<string>): readonly string[] | undefined {
  if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
  // A generated file is missing until the first build.
  if (done.has(file) || !files.includes(file)) return undefined;
  const neededAtRunTime = importsOf(file).filter(({ isOnlyTypes }) => !isOnlyTypes);
  for (const target of neededAtRunTime.map((one) => targetOf(file, one))) {
    const cycle = cycleFrom(target, [...way, file], done);
    if (cycle !== undefined) return cycle;
  }
  done.add(file);
  return undefined;
}

describe("the sources", () => {
  it("are found, with what they import", () => {
    expect(files.length).toBeGreaterThan(80);
    expect(files.flatMap(importsOf).length).toBeGreaterThan(3 * files.length);
  });

  it("are in layers: each folder may import only from folders further down in the table", () => {
    expect(rows.length).toBeGreaterThan(8);
    for (const [i, { imports }] of rows.entries()) {
      expect(rows.slice(i + 1).map(({ folder }) => folder)).toEqual(expect.arrayContaining(imports));
    }
  });

  it.each(files)(
    "%s imports in the direction of the layers, and from outside nothing but types of what it adapts",
    (file) => {
      const allowed = LAYERS[layerOf(file)];
      expect(allowed, "a folder that LAYERS doesn't know").toBeDefined();
      for (const one of importsOf(file)) {
        expect(one.from).toMatch(/^\.\.?\//);
        expect(allowed, `${file} imports ${one.from}`).toContain(layerOf(targetOf(file, one)));
      }
    },
  );

  // A file may name the types of a file that imports it: that is gone at run time, and says only what the two agree on.
  it("import each other in no circle, except for types", () => {
    const done = new Set<string>();
    for (const file of files) expect(cycleFrom(file, [], done)).toBeUndefined();
  });

  it("decide, in src/strategy, by nothing but numbers and the public types of core", () => {
    const strategy = files.filter((file) => layerOf(file) === "strategy");
    expect(strategy.length).toBeGreaterThan(4);
    const others = strategy.flatMap((file) => importsOf(file).map((one) => layerOf(targetOf(file, one))));
    expect(new Set(others)).toEqual(new Set(["core", "strategy"]));
  });

  it.each(HYBRID_LEAVES)("hybrid/%s.ts knows nothing of what is made of it, not even types", (leaf) => {
    const file = `hybrid/${leaf}.ts`;
    expect(files).toContain(file);
    const above = MADE_OF_LEAVES.map((name) => `hybrid/${name}.ts`);
    for (const one of importsOf(file)) expect(above).not.toContain(targetOf(file, one));
  });
});
