// TypeScript programs in each of the ways in which the compiler finds modules. What it makes is run as well.

import { type Check, expectText, type Tool } from "./check.ts";
import type { Project } from "./project.ts";

/** Everything that the package exports, used by its types. It is the same text in both kinds of modules. */
const PROGRAM = `import type { Request } from "express";
import { createLocalProvider, type LocalProvider, type Provider, perSecond, TrypemaError } from "trypema";
import { rateLimit as forExpress } from "trypema/express";
import { rateLimit as forFastify, type FastifyRateLimitOptions } from "trypema/fastify";
import { rateLimit as forFetch } from "trypema/fetch";
import { rateLimit as forHono } from "trypema/hono";
import { Guard } from "trypema/http";
import { createHybridProvider } from "trypema/hybrid";
import { rateLimit as forKoa } from "trypema/koa";
import { rateLimit as forNode } from "trypema/node";
import { openTelemetryMetrics } from "trypema/opentelemetry";
import { createRedisProvider } from "trypema/redis";
import { createFakeRedisProvider, manualClock } from "trypema/testing";

const provider: LocalProvider = createLocalProvider({ windowMs: 1_000, clock: manualClock() });
const rate = perSecond(1);
const options: FastifyRateLimitOptions = { provider, rate, key: ({ raw }) => raw.id };
export const guard = new Guard<object>({ provider, rate });
export const others: Provider[] = [createFakeRedisProvider(), createRedisProvider({ sendCommand: async () => 0 })];
export const made: object[] = [
  forExpress({ provider, rate, key: ({ raw }: { raw: Request }) => raw.get("x") }),
  forHono({ provider, rate, key: ({ raw }) => raw.req.path }),
  forKoa({ provider, rate, key: ({ raw }) => raw.ip }),
  forNode({ provider, rate, key: ({ raw }) => raw.url }, (_, response) => response.end()),
  forFetch({ provider, rate, key: ({ raw }) => raw.url }, () => new Response("")),
  [forFastify, options, createHybridProvider, openTelemetryMetrics],
];
// @ts-expect-error: a number is no rate, so the types are not \`any\`
export const wrong = () => provider.absolute.inc("key", 1);
// @ts-expect-error: a context of Hono has no such field
forHono({ provider, rate, key: ({ raw }) => raw.nothing });

const allowed = [1, 2].map(() => provider.absolute.inc("key", rate).allowed);
try {
  perSecond(-1);
} catch (error) {
  if (error instanceof TrypemaError) console.log(...allowed, error.code, made.length);
}
`;

const OUTPUT = "true false INVALID_RATE 6";

/** A module that is imported and has a CommonJS one beside it. Types of one and the other have to fit. */
const MIXED_PROGRAM = `${PROGRAM}
import { guard as required } from "./required.cjs";
const guards: Guard<object>[] = [guard, required];
export const given: typeof required = guard;
console.log(required instanceof Guard, guards.length);
`;

/** Without a framework the declarations of the package itself are checked too. */
const PLAIN_PROGRAM = `import { createLocalProvider } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { createFakeRedisProvider } from "trypema/testing";
export const all = [createLocalProvider, createHybridProvider, createRedisProvider, createFakeRedisProvider];
`;

interface Mode {
  readonly typescript: "5.4" | "5.9" | "7";
  readonly module: string;
  readonly resolution: string;
}

const MODES: readonly Mode[] = [
  { typescript: "5.4", module: "commonjs", resolution: "node10" },
  { typescript: "5.4", module: "node16", resolution: "node16" },
  { typescript: "5.4", module: "nodenext", resolution: "nodenext" },
  { typescript: "5.4", module: "esnext", resolution: "bundler" },
  { typescript: "5.9", module: "commonjs", resolution: "node10" },
  { typescript: "5.9", module: "node16", resolution: "node16" },
  { typescript: "5.9", module: "node18", resolution: "node16" },
  { typescript: "5.9", module: "node20", resolution: "node16" },
  { typescript: "5.9", module: "nodenext", resolution: "nodenext" },
  { typescript: "5.9", module: "preserve", resolution: "bundler" },
  { typescript: "7", module: "commonjs", resolution: "bundler" },
  { typescript: "7", module: "node16", resolution: "node16" },
  { typescript: "7", module: "node18", resolution: "node16" },
  { typescript: "7", module: "node20", resolution: "node16" },
  { typescript: "7", module: "nodenext", resolution: "nodenext" },
  { typescript: "7", module: "preserve", resolution: "bundler" },
];

/** The files of a program, and those of them that are run, with what they print. */
function filesOf({ module }: Mode): { sources: Record<string, string>; outputs: Record<string, string> } {
  if (module === "commonjs") return { sources: { "main.ts": PROGRAM }, outputs: { "main.js": OUTPUT } };
  if (!module.startsWith("node")) return { sources: { "main.mts": PROGRAM }, outputs: { "main.mjs": OUTPUT } };
  return {
    sources: { "required.cts": PROGRAM, "imported.mts": MIXED_PROGRAM },
    outputs: { "required.cjs": OUTPUT, "imported.mjs": `${OUTPUT}\n${OUTPUT}\ntrue 2` },
  };
}

async function compile(project: Project, mode: Mode, folder: string, options: object): Promise<void> {
  const { typescript, module, resolution } = mode;
  const compilerOptions = {
    strict: true,
    target: "es2022",
    module,
    moduleResolution: resolution,
    esModuleInterop: true,
    rootDir: ".",
    outDir: "out",
    ...options,
  };
  project.write(`${folder}/tsconfig.json`, { compilerOptions, include: ["*.ts", "*.cts", "*.mts"] });
  await project.run(`node_modules/typescript-${typescript}/bin/tsc`, ["-p", folder]);
}

async function compileAndRun(project: Project, mode: Mode, folder: string): Promise<void> {
  const { sources, outputs } = filesOf(mode);
  for (const [name, text] of Object.entries(sources)) project.write(`${folder}/${name}`, text);
  await compile(project, mode, folder, { types: ["node"], skipLibCheck: true });
  for (const [name, output] of Object.entries(outputs)) expectText(await project.run(`${folder}/out/${name}`), output);
}

function checks(project: Project): readonly Check[] {
  return MODES.flatMap((mode) => {
    const { typescript, module, resolution } = mode;
    const folder = `${typescript}-${module}-${resolution}`;
    const name = `TypeScript ${typescript}, module ${module}, moduleResolution ${resolution}`;
    const compiles = { name, run: () => compileAndRun(project, mode, folder) };
    // What the oldest and the newest take, those between take too.
    if (typescript === "5.9") return [compiles];
    const declarations = {
      name: `${name}, with the library's declarations checked`,
      run: async () => {
        project.write(`${folder}-plain/main.ts`, PLAIN_PROGRAM);
        await compile(project, mode, `${folder}-plain`, { types: [], skipLibCheck: false });
      },
    };
    return [compiles, declarations];
  });
}

export const TYPESCRIPT: Tool = {
  name: "typescript",
  dependencies: {
    "typescript-5.4": "npm:typescript@5.4.5",
    "typescript-5.9": "npm:typescript@5.9.3",
    "typescript-7": "npm:typescript@7.0.2",
    "@opentelemetry/api": "1.9.0",
    "@types/express": "5.0.6",
    "@types/koa": "3.0.3",
    "@types/node": "20.19.43",
    fastify: "5.12.8",
    hono: "4.13.19",
  },
  checks,
};
