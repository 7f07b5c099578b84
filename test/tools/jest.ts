// Jest as it comes, with ts-jest, and with ES modules.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/process.ts";
import type { Check, Tool } from "./check.ts";
import { ENTRIES, type Form, getting } from "./programs.ts";
import type { Project } from "./project.ts";

function test(form: Form, more = ""): string {
  return `${getting(form, "createLocalProvider, perSecond, TrypemaError", "trypema")}
${getting(form, "createFakeRedisProvider, manualClock", "trypema/testing")}

test("limits", async () => {
  const clock = manualClock();
  for (const provider of [createLocalProvider({ clock }), createFakeRedisProvider({ clock })]) {
    const allowed = [];
    for (let call = 0; call < 3; call++) {
      allowed.push((await provider.absolute.inc("key", perSecond(2 / 60))).allowed);
    }
    expect(allowed).toEqual([true, true, false]);
  }
});

test("throws errors that can be told", () => {
  expect(() => perSecond(-1)).toThrow(TrypemaError);
});
${more}`;
}

/** The rest of a test in CommonJS. */
const REQUIRED = `
test.each(${JSON.stringify(ENTRIES)})("gives %s", (entry) => {
  expect(Object.keys(require(entry)).length).toBeGreaterThan(0);
});

test("has errors that are told from others also by a copy of the package", () => {
  jest.isolateModules(() => {
    const copy = require("trypema");
    expect(copy.TrypemaError).not.toBe(TrypemaError);
    expect(() => copy.perSecond(-1)).toThrow(TrypemaError);
  });
});
`;

/** The rest of a test of ES modules. */
const IMPORTED = `
import { createRequire } from "node:module";

test.each(${JSON.stringify(ENTRIES)})("gives one copy of %s to import and require", async (entry) => {
  const imported = await import(entry);
  const required = createRequire(import.meta.url)(entry);
  for (const name of Object.keys(required)) expect(imported[name]).toBe(required[name]);
  expect(Object.keys(imported).sort()).toEqual(Object.keys(required).sort());
});
`;

/** The test that the guide shows. */
const DOCUMENTED = /^```js\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, "docs", "testing.md"), "utf8"))![1]!;

/** The same test as TypeScript. */
const DOCUMENTED_AS_IMPORT = DOCUMENTED.replaceAll(/const (\{.*\}) = require\((.*)\);/g, "import $1 from $2;");

/** How the tests are run, each with the settings that its documentation tells, and no more. */
const WAYS = [
  { name: "as it comes", file: "required.test.js", text: test("require", REQUIRED), config: {} },
  {
    name: "with the conditions of a browser, as jsdom sets them",
    file: "required.test.js",
    text: test("require", REQUIRED),
    config: { testEnvironmentOptions: { customExportConditions: ["browser"] } },
  },
  { name: "runs the guide's test as it comes", file: "guide.test.js", text: DOCUMENTED, config: {} },
  {
    name: "runs the guide's test with ts-jest",
    file: "guide.test.ts",
    text: DOCUMENTED_AS_IMPORT,
    config: { preset: "ts-jest" },
  },
  { name: "with ts-jest", file: "compiled.test.ts", text: test("import"), config: { preset: "ts-jest" } },
  {
    name: "with ES modules",
    file: "imported.test.mjs",
    text: test("import", IMPORTED),
    config: { testMatch: ["**/*.mjs"], transform: {} },
    flags: "--experimental-vm-modules",
  },
];

function checks(project: Project, version: string): readonly Check[] {
  // What `tsc --init` of TypeScript 5 makes.
  const compilerOptions = {
    target: "es2016",
    module: "commonjs",
    esModuleInterop: true,
    forceConsistentCasingInFileNames: true,
    strict: true,
    skipLibCheck: true,
  };
  project.write("tsconfig.json", { compilerOptions });
  return WAYS.map(({ name, file, text, config, flags = "" }, index) => ({
    name: `Jest ${version} ${name}`,
    run: async () => {
      const path = project.write(file, text);
      const configPath = project.write(`jest-${index}.json`, { rootDir: ".", ...config });
      const args = ["--config", configPath, "--ci", "--no-cache", "--runTestsByPath", path];
      const printed = await project.run("node_modules/jest/bin/jest.js", args, { flags });
      // A test of ES modules that Jest doesn't find ends well too.
      if (!/^Tests: +\d+ passed, \d+ total$/m.test(printed)) throw new Error(printed);
    },
  }));
}

/** Nest 12 has ES modules only, which Jest doesn't load in CommonJS. */
const NEST = { "@nestjs/common": "11.2.10", "@nestjs/core": "11.2.10", "reflect-metadata": "0.2.2", rxjs: "7.8.2" };

function jest(version: string, types: string): Tool {
  const tools = { "ts-jest": "29.4.15", typescript: "5.9.3" };
  const dependencies = { jest: version, "@types/jest": types, ...tools, ...NEST };
  return { name: `jest-${version}`, dependencies, checks: (project) => checks(project, version) };
}

export const JESTS: readonly Tool[] = [jest("29.7.0", "29.5.14"), jest("30.5.2", "30.0.0")];
