// Checks that comments, and all lines of Lua, are at most as wide as the code that biome formats. biome wraps no
// comments and reads no Lua. A line with a web address may be longer, because an address can't be wrapped.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const MAX_COLUMNS = 120;
const FOLDERS = ["src", "test", "bench", "scripts", "examples", "demo", "playground"];
const GENERATED = /\.generated\.ts$/;

/** A line that is all comment, or that ends with one. */
const COMMENT = /^\s*(\/\/|\/\*|\*)| \/\/ /;
const WEB_ADDRESS = /https?:\/\/\S/;

// New files count too: otherwise the check would pass until they are committed.
const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", ...FOLDERS], {
  encoding: "utf8",
});
const files = listed.split("\n").filter((file) => {
  if (!/\.(ts|js|lua)$/.test(file) || GENERATED.test(file)) return false;
  // Git still lists a file that was deleted or renamed until the change is staged.
  return existsSync(file);
});

for (const file of files) {
  for (const [index, line] of readFileSync(file, "utf8").split("\n").entries()) {
    const isChecked = file.endsWith(".lua") || COMMENT.test(line);
    if (line.length <= MAX_COLUMNS || !isChecked || WEB_ADDRESS.test(line)) continue;
    console.error(`${file}:${index + 1} has ${line.length} columns, expected at most ${MAX_COLUMNS}`);
    process.exitCode = 1;
  }
}
