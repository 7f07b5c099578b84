// Packs the Lua of src/redis/lua into src/redis/lua.generated.ts: each command with its parts in place,
// without comments, and with its SHA-1. `--check` only tells whether the file is what this would write.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = new URL("../src/redis/lua/", import.meta.url);
const target = new URL("../src/redis/lua.generated.ts", import.meta.url);

function read(name) {
  return readFileSync(new URL(name, folder), "utf8");
}

function withParts(name) {
  return read(name).replaceAll(/^[ ]*-- include (\w+)\n/gm, (_, part) => withParts(`lib/${part}.lua`));
}

function pack(name) {
  return withParts(name)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("--"))
    .join("\n");
}

/** The text of lua.generated.ts. The tests take it from here, so that they run the Lua as it is on disk. */
export function packLua() {
  const scripts = readdirSync(folder)
    .filter((name) => name.endsWith(".lua"))
    .sort()
    .map((name) => {
      const source = pack(name);
      const sha1 = createHash("sha1").update(source).digest("hex");
      const constant = name.slice(0, -".lua".length).toUpperCase();
      return `export const ${constant}: Script = {\n  sha1: "${sha1}",\n  source: ${JSON.stringify(source)},\n};\n`;
    });
  return `// Made by scripts/pack-lua.js from the files in lua/.\n\nimport type { Script } from "./script.ts";\n\n${scripts.join("\n")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes("--check")) {
    writeFileSync(target, packLua());
  } else if (readFileSync(target, "utf8") !== packLua()) {
    console.error("src/redis/lua.generated.ts is not what its sources make: run npm run pack:lua");
    process.exitCode = 1;
  }
}
