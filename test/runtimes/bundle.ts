// The package as users get it, and the suite in one file, for runtimes that have no test runner of ours.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { ROOT } from "../support/process.ts";

/** Packs the package, and installs it in `folder`, which becomes a package that depends on it. */
export function unpackPackage(folder: string): void {
  const home = join(folder, "node_modules", "trypema");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  const flags = ["--json", "--ignore-scripts", "--pack-destination", folder];
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", ...flags], { cwd: ROOT, encoding: "utf8" }));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", dependencies: { trypema: "*" } }));
  execFileSync("tar", ["-xzf", join(folder, filename), "-C", home, "--strip-components=1"]);
}

/**
 * Bundles `test/runtimes/<name>.ts` into `<folder>/<name>.js`.
 *
 * @param whole with the package inside it; else the runtime finds it in node_modules, as a program does
 */
export async function bundle(name: string, folder: string, whole: boolean): Promise<string> {
  const vitest = join(ROOT, "test", "runtimes", "vitest.ts");
  const dist = join(folder, "node_modules", "trypema", "dist");
  const inside = [
    { find: /^trypema$/, replacement: join(dist, "index.js") },
    { find: /^trypema\/fetch$/, replacement: join(dist, "adapters", "fetch.js") },
    { find: /^trypema\/(\w+)$/, replacement: join(dist, "$1", "index.js") },
  ];
  await build({
    configFile: false,
    logLevel: "error",
    resolve: { alias: [{ find: /^vitest$/, replacement: vitest }, ...(whole ? inside : [])] },
    build: {
      outDir: folder,
      emptyOutDir: false,
      minify: false,
      target: "es2022",
      lib: { entry: join(ROOT, "test", "runtimes", `${name}.ts`), formats: ["es"], fileName: () => `${name}.js` },
      rolldownOptions: {
        external: whole ? [] : [/^trypema(\/|$)/],
        output: { codeSplitting: false },
      },
    },
  });
  return join(folder, `${name}.js`);
}
