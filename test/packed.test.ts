// What the tarball is to somebody who has only that: links lead somewhere, and "go to definition" ends in a source.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import ts from "typescript-5";
import { beforeAll, expect, it } from "vitest";
import { anchorsOf } from "../scripts/slug.js";
import { ROOT } from "./support/process.ts";

const run = promisify(execFile);
const folder = join(ROOT, ".build", "packed");
const packed = join(folder, "node_modules", "trypema");

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(packed, { recursive: true });
  // Without it the repository's own manifest would be the next one, and the package would be found there.
  writeFileSync(join(folder, "package.json"), "{}");
  // Without scripts: a build now would pull the files from under other tests.
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
    cwd: ROOT,
  });
  const [{ filename }] = JSON.parse(stdout);
  await run("tar", ["xzf", join(folder, filename), "--strip-components=1", "-C", packed]);
});

/** All Markdown texts, from the root of the package. */
function documents(under = packed): string[] {
  return readdirSync(under, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.md$|^llms\.txt$/.test(entry.name))
    .map((entry) => relative(packed, join(entry.parentPath, entry.name)));
}

/** Where a link of a document leads to that isn't in the package; undefined when it is. */
function deadEnd(document: string, link: string): string | undefined {
  const [path, anchor] = link.split("#") as [string, string?];
  const target = path === "" ? join(packed, document) : join(packed, dirname(document), path);
  if (!existsSync(target)) return `${document}: ${link}`;
  if (anchor === undefined || statSync(target).isDirectory()) return undefined;
  return anchorsOf(readFileSync(target, "utf8")).includes(anchor) ? undefined : `${document}: ${link}`;
}

it("has no link that leads nowhere", () => {
  const all = documents().flatMap((document) => {
    const prose = readFileSync(join(packed, document), "utf8").replaceAll(/^```.*?^```/gms, "");
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => ({ document, link: match[1]! }));
  });
  const own = all.filter(({ link }) => !/^https?:/.test(link));
  expect(own.length).toBeGreaterThan(100);
  expect(own.flatMap(({ document, link }) => deadEnd(document, link) ?? [])).toEqual([]);
});

it("has the sources that its maps name", () => {
  const maps = readdirSync(join(packed, "dist"), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.name.endsWith(".map"))
    .map((entry) => join(entry.parentPath, entry.name));
  expect(maps.filter((map) => map.endsWith(".d.ts.map")).length).toBeGreaterThan(100);
  const missing = maps.flatMap((map) => {
    const { sources } = JSON.parse(readFileSync(map, "utf8")) as { sources: string[] };
    return sources.map((source) => join(dirname(map), source)).filter((source) => !existsSync(source));
  });
  expect(missing).toEqual([]);
});

const DEFINITIONS = [
  ["createLocalProvider", "trypema", "src/local/provider.ts"],
  ["perSecond", "trypema", "src/core/rate.ts"],
  ["createHybridProvider", "trypema/hybrid", "src/hybrid/provider.ts"],
  ["rateLimit", "trypema/fetch", "src/adapters/fetch.ts"],
] as const;

/** What an editor knows of a program that imports all of these. */
function openInEditor(program: string): ts.LanguageService {
  writeFileSync(program, DEFINITIONS.map(([name, entry]) => `import { ${name} } from "${entry}";\n`).join(""));
  const moduleResolution = ts.ModuleResolutionKind.NodeNext;
  const options = { module: ts.ModuleKind.NodeNext, moduleResolution, noLib: true, types: [], skipLibCheck: true };
  const { fileExists, readFile, readDirectory, directoryExists, getDirectories } = ts.sys;
  return ts.createLanguageService({
    getScriptFileNames: () => [program],
    getScriptVersion: () => "1",
    getScriptSnapshot: (file) => {
      return existsSync(file) ? ts.ScriptSnapshot.fromString(readFileSync(file, "utf8")) : undefined;
    },
    getCurrentDirectory: () => folder,
    getCompilationSettings: () => options,
    getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
    fileExists,
    readFile,
    readDirectory,
    directoryExists,
    getDirectories,
  });
}

/** Where the editor goes from a definition: by the map that lies beside the declaration. */
function sourceOf({ fileName, textSpan }: ts.DefinitionInfo): { file: string; line: string } {
  const declared = readFileSync(fileName, "utf8").slice(0, textSpan.start).split("\n");
  const map = new SourceMap(JSON.parse(readFileSync(`${fileName}.map`, "utf8")));
  const entry = map.findEntry(declared.length - 1, declared.at(-1)!.length);
  if (!("originalSource" in entry)) throw new Error("the map has no entry for the definition");
  const file = join(dirname(fileName), entry.originalSource);
  return { file, line: readFileSync(file, "utf8").split("\n")[entry.originalLine]! };
}

it.each(["mts", "cts"])("lets go to definition end in a source: %s", (extension) => {
  const program = join(folder, `program.${extension}`);
  const editor = openInEditor(program);
  const text = readFileSync(program, "utf8");
  for (const [name, , file] of DEFINITIONS) {
    const [definition] = editor.getDefinitionAtPosition(program, text.indexOf(name))!;
    const source = sourceOf(definition!);
    expect(relative(packed, source.file)).toBe(file);
    expect(source.line).toContain(`export function ${name}`);
  }
});
