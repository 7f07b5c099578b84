// The programs that are tried with each tool.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/process.ts";

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** What a program can ask for: `trypema`, `trypema/redis` and so on. */
export const ENTRIES: readonly string[] = Object.keys(manifest.exports)
  .filter((entry) => entry !== "./package.json")
  .map((entry) => entry.replace(".", "trypema"));

/** How a program gets the package. */
export type Form = "import" | "require";

export const FORMS: readonly Form[] = ["import", "require"];

/** A statement by which a program gets `names` of an entry. */
export function getting(form: Form, names: string, entry: string): string {
  return form === "import" ? `import { ${names} } from "${entry}";` : `const { ${names} } = require("${entry}");`;
}

/** A program that uses Local, and what it prints. */
export function localProgram(form: Form): string {
  return `${getting(form, "createLocalProvider, perSecond, TrypemaError", "trypema")}
const { absolute } = createLocalProvider({ windowMs: 60_000 });
const allowed = [1, 2].map(() => absolute.inc("key", perSecond(1 / 60)).allowed);
try {
  perSecond(-1);
} catch (error) {
  console.log(...allowed, error instanceof TrypemaError, error.code);
}
`;
}

export const LOCAL_OUTPUT = "true false true INVALID_RATE";

/** A program that requires and imports each entry, and compares what it gets. It is an ES module that runs in Node. */
export const BOTH_PROGRAM = `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const different = [];
for (const entry of ${JSON.stringify(ENTRIES)}) {
  const [required, imported] = [require(entry), await import(entry)];
  const names = Object.keys(required);
  if (names.length === 0) different.push(entry);
  if (names.sort().join() !== Object.keys(imported).sort().join()) different.push(entry + ": " + Object.keys(imported));
  for (const name of names) if (required[name] !== imported[name]) different.push(entry + " " + name);
}
console.log(different.length === 0 ? "one copy" : different.join("\\n"));
`;
