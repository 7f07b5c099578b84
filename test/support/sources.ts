// Lets tests import the library as its users do, by the package's name, and still get the sources as they are on disk:
// an edit is tested at once, without a build.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Alias, Plugin } from "vite";
import { packLua } from "../../scripts/pack-lua.js";

const ROOT = join(import.meta.dirname, "..", "..");
const LUA = join(ROOT, "src", "redis", "lua");
const GENERATED = join(ROOT, "src", "redis", "lua.generated.ts");

/** Each name that the package exports with the source behind it: `trypema/redis` is src/redis/index.ts. */
export function exportedSources(): Alias[] {
  const { name, exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return Object.entries<{ default?: string }>(exports).flatMap(([path, { default: built }]) => {
    if (built === undefined) return [];
    const source = built.replace(/^\.\/dist\//, "src/").replace(/\.js$/, ".ts");
    return { find: new RegExp(`^${path.replace(".", name)}$`), replacement: join(ROOT, source) };
  });
}

/** Packs the Lua in memory, so that the scripts too are those on disk, whether the generated file is there or not. */
export function packedLua(): Plugin {
  return {
    name: "packed-lua",
    enforce: "pre",
    resolveId: (specifier) => (specifier.endsWith("/lua.generated.ts") ? GENERATED : undefined),
    load(id) {
      if (id !== GENERATED) return undefined;
      for (const file of readdirSync(LUA, { recursive: true, encoding: "utf8" })) this.addWatchFile(join(LUA, file));
      return packLua();
    },
  };
}
