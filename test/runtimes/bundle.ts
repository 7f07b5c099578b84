// The package as users get it, and the suite in one file, for runtimes that have no test runner of ours.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { ROOT } from "../support/process.ts";
import { pack, unpack } from "../support/tarball.ts";

/** Packs the package, and installs it in `folder`, which becomes a package that depends on it. */
export async function installPackage(folder: string): Promise<void> {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", dependencies: { trypema: "*" } }));
  await unpack(pack(folder), folder);
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
