// Bundles of esbuild, webpack and vite, for programs that import the package, and for those that require it.

import { readFileSync } from "node:fs";
import { type Check, expectText, type Tool } from "./check.ts";
import { FORMS, type Form, getting, LOCAL_OUTPUT, localProgram } from "./programs.ts";
import type { Project } from "./project.ts";

interface Bundler {
  readonly name: string;
  /** The text of a module for Node that bundles the file of its first argument into that of its second. */
  readonly program: string;
  /** What the name of a bundle ends with, so that Node runs it as the kind of module that it is. */
  readonly ending: "mjs" | "cjs";
}

const ARGUMENTS = `import { basename, dirname } from "node:path";
const [entry, file] = process.argv.slice(2);
`;

function esbuild(options: string): string {
  return `${ARGUMENTS}import { build } from "esbuild";
await build({ entryPoints: [entry], outfile: file, bundle: true, minify: true, logLevel: "error", ${options} });
`;
}

function webpack(target: string): string {
  return `${ARGUMENTS}import webpack from "webpack";
const output = { path: dirname(file), filename: basename(file) };
webpack({ mode: "production", target: "${target}", entry, output }, (error, stats) => {
  if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString());
});
`;
}

function vite(isServer: boolean): string {
  return `${ARGUMENTS}import { build } from "vite";
const rolldownOptions = { input: entry, output: { entryFileNames: basename(file) } };
const options = { outDir: dirname(file), emptyOutDir: false, modulePreload: false, ssr: ${isServer}, rolldownOptions };
await build({ configFile: false, logLevel: "error", build: options, ssr: { noExternal: true } });
`;
}

const BUNDLERS: readonly Bundler[] = [
  { name: "esbuild for browsers", program: esbuild(`format: "esm"`), ending: "mjs" },
  { name: "esbuild for Node", program: esbuild(`format: "cjs", platform: "node"`), ending: "cjs" },
  {
    // As wrangler calls it. Where a program names conditions, esbuild leaves out `module`.
    name: "esbuild for workers",
    program: esbuild(`format: "esm", conditions: ["workerd", "worker", "browser"]`),
    ending: "mjs",
  },
  { name: "webpack for browsers", program: webpack("web"), ending: "cjs" },
  { name: "webpack for Node", program: webpack("node"), ending: "cjs" },
  { name: "vite for browsers", program: vite(false), ending: "mjs" },
  { name: "vite for servers", program: vite(true), ending: "mjs" },
];

/** Only code for Redis has this text. */
const REDIS = /redis\.call/;
/** The name of an option of Local, which no other code has. */
const LOCAL = /maxKeys/;

const REDIS_PROGRAM = `import { createRedisProvider } from "trypema/redis";
console.log(typeof createRedisProvider({ sendCommand: async () => 0 }).absolute.inc);
`;
const RATE_PROGRAM = `import { perSecond } from "trypema";
console.log(typeof perSecond(5));
`;
const MIXED_PROGRAM = `import { createLocalProvider } from "trypema";
import { createLocalProvider as required } from "./required.cjs";
console.log(createLocalProvider === required);
`;

function checksOf(project: Project, { name, program, ending }: Bundler): readonly Check[] {
  const folder = name.replaceAll(" ", "-");
  project.write(`${folder}/bundle.mjs`, program);
  project.write(
    `${folder}/required.cjs`,
    `${getting("require", "createLocalProvider", "trypema")}
module.exports = { createLocalProvider };
`,
  );

  /** Bundles a program, runs the bundle, and returns its text. */
  async function bundle(source: string, text: string, output: string): Promise<string> {
    const entry = project.write(`${folder}/${source}`, text);
    const file = `${folder}/out/${source}.${ending}`;
    await project.run(`${folder}/bundle.mjs`, [entry, project.path(file)]);
    expectText(await project.run(file), output);
    return readFileSync(project.path(file), "utf8");
  }

  const bundleLocal = async (form: Form) => {
    const source = form === "import" ? "import.mjs" : "require.cjs";
    const text = await bundle(source, localProgram(form), LOCAL_OUTPUT);
    expectHas(text, LOCAL, true);
    expectHas(text, REDIS, false);
  };
  return [
    ...FORMS.map((form) => ({
      name: `${name}: ${form} of Local brings no code for Redis`,
      run: () => bundleLocal(form),
    })),
    {
      name: `${name}: a program for Redis has its code`,
      run: async () => expectHas(await bundle("redis.mjs", REDIS_PROGRAM, "function"), REDIS, true),
    },
    {
      name: `${name}: a program that uses only rates has no code of Local`,
      run: async () => expectHas(await bundle("rate.mjs", RATE_PROGRAM, "number"), LOCAL, false),
    },
    {
      name: `${name}: import and require in one program get one copy`,
      run: () => bundle("mixed.mjs", MIXED_PROGRAM, "true"),
    },
  ];
}

function expectHas(text: string, part: RegExp, expected: boolean): void {
  if (part.test(text) !== expected) throw new Error(`the bundle has ${expected ? "no" : "code with"} ${part}`);
}

export const BUNDLING: Tool = {
  name: "bundlers",
  dependencies: { esbuild: "0.28.2", vite: "8.3.8", webpack: "5.113.0" },
  checks: (project) => BUNDLERS.flatMap((bundler) => checksOf(project, bundler)),
};
