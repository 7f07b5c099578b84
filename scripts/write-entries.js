// Writes the small files by which Node and older tools find the CommonJS form of the package, `dist/cjs`, after the
// compiler has made it. docs/architecture.md says why the package has two forms and which of them runs where.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

function write(path, text) {
  writeFileSync(join(ROOT, path), text);
}

/** The module that Node gives to `import`. It has no code of its own, so that `import` and `require` get the same. */
function writeModule(path, compiled) {
  const from = `"./${basename(compiled)}"`;
  const names = Object.keys(require(join(ROOT, compiled))).sort();
  write(path, `export { ${names.join(", ")} } from ${from};\n`);
  write(path.replace(/\.mjs$/, ".d.mts"), `export * from ${from};\n`);
}

/** A folder with the name of an entry, for tools that don't read `exports` and look for a file of that name. */
function writeFolder(name, compiled) {
  mkdirSync(join(ROOT, name), { recursive: true });
  write(join(name, "package.json"), `${JSON.stringify({ main: join("..", compiled) })}\n`);
}

const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
write("dist/cjs/package.json", `${JSON.stringify({ type: "commonjs" })}\n`);
for (const [entry, { node }] of Object.entries(exports)) {
  if (node === undefined) continue;
  writeModule(node.import, node.default);
  if (entry !== ".") writeFolder(entry, node.default);
}
