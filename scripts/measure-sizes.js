// Measures what the package adds to a bundle, as a bundler for browsers and workers makes it: minified, only what is
// used, then gzip. `--write` puts the table into docs/benchmarks.md. `--check` fails when a figure there is wrong by
// more than TOLERANCE, or when a bundle is larger than its bound. Raise a bound only with a reason in the commit.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = join(ROOT, "docs", "benchmarks.md");
const TOLERANCE = 0.05;

const LOCAL = 'export { createLocalProvider, perSecond } from "trypema";';
const PROGRAMS = [
  { name: "Local", code: LOCAL, maxKb: 16 },
  { name: "Local and `createLimits`", code: `${LOCAL} export { createLimits } from "trypema";`, maxKb: 18 },
  { name: "Redis", code: 'export { createRedisProvider } from "trypema/redis";', maxKb: 61 },
  { name: "Hybrid", code: 'export { createHybridProvider } from "trypema/hybrid";', maxKb: 73 },
  { name: "Local and `trypema/fetch`", code: `${LOCAL} export { rateLimit } from "trypema/fetch";`, maxKb: 31 },
];

const PROGRAM = "program.js";
const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** The file that a bundler takes for a part of the package. */
function entryOf(id) {
  const target = exports[id.replace(/^trypema/, ".")];
  return target === undefined ? undefined : join(ROOT, target.module);
}

async function bytesOf(code) {
  const result = await build({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    plugins: [
      {
        name: "program",
        enforce: "pre",
        resolveId: (id) => (id === PROGRAM ? id : entryOf(id)),
        load: (id) => (id === PROGRAM ? code : undefined),
      },
    ],
    build: {
      write: false,
      minify: true,
      target: "es2022",
      rollupOptions: { input: PROGRAM, preserveEntrySignatures: "strict", output: { format: "es" } },
    },
  });
  const [{ output }] = [result].flat();
  const text = output.map((chunk) => chunk.code ?? "").join("");
  return { minified: Buffer.byteLength(text), gzipped: gzipSync(text, { level: 9 }).length };
}

const kb = (bytes) => (bytes / 1_000).toFixed(1);

const rows = [];
for (const { name, code, maxKb } of PROGRAMS) {
  const { minified, gzipped } = await bytesOf(code);
  if (gzipped > maxKb * 1_000) {
    console.error(`${name}: ${kb(gzipped)} kB, expected at most ${maxKb} kB`);
    process.exitCode = 1;
  }
  rows.push({ name, figures: [kb(minified), kb(gzipped)], maxKb });
}
const lines = rows.map(({ name, figures, maxKb }) => `| ${name} | ${figures.join(" | ")} | ${maxKb} |`);
const table = `| a program with | minified, kB | and gzip, kB | at most |\n| --- | ---: | ---: | ---: |\n${lines.join("\n")}\n`;

const PART = /(<!-- npm run docs:sizes: from here -->\n)(.*?)(<!-- to here -->)/s;
const page = readFileSync(PAGE, "utf8");
const written = PART.exec(page)?.[2] ?? "";

function isNear(written, measured) {
  return Math.abs(Number(written) / Number(measured) - 1) <= TOLERANCE;
}

if (!process.argv.includes("--check")) {
  writeFileSync(
    PAGE,
    page.replace(PART, (_, before, __, after) => `${before}\n${table}\n${after}`),
  );
  console.log(table);
} else {
  for (const { name, figures, maxKb } of rows) {
    const line = written.split("\n").find((each) => each.startsWith(`| ${name} |`)) ?? "";
    const cells = line
      .split("|")
      .slice(2, -1)
      .map((cell) => cell.trim());
    if (cells.length === 3 && figures.every((figure, at) => isNear(cells[at], figure)) && cells[2] === `${maxKb}`)
      continue;
    console.error(`docs/benchmarks.md: ${name} is ${figures.join(" and ")} kB: run npm run docs:sizes`);
    process.exitCode = 1;
  }
}
