// The package as the registry would have it.

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./process.ts";

/** Packs what was built into `folder`, and returns the path of the tarball. */
export function pack(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const [{ filename }] = JSON.parse(execFileSync("npm", args, { cwd: ROOT, encoding: "utf8" }));
  return join(folder, filename);
}

/** Puts the package into the node_modules of a project, in place of one that was there. */
export async function unpack(tarball: string, project: string): Promise<void> {
  const home = join(project, "node_modules", "trypema");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  await promisify(execFile)("tar", ["-xzf", tarball, "-C", home, "--strip-components=1"]);
}
