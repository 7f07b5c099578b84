// The command as users get it: the packed package, installed in an empty folder, and run by npx.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../support/process.ts";
import { runProgram, useFolder } from "./run.ts";

const folder = useFolder();

it("runs by npx from an installed tarball, with nothing else installed", async () => {
  // Without scripts: a build now would pull the files from under other tests.
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder.path];
  const [{ filename, version }] = JSON.parse(execFileSync("npm", args, { cwd: ROOT, encoding: "utf8" }));
  folder.write("package.json", JSON.stringify({ private: true }));
  const flags = ["--offline", "--no-audit", "--no-fund", "--omit=peer", "--loglevel=error"];
  execFileSync("npm", ["install", ...flags, join(folder.path, filename)], { cwd: folder.path });
  const npx = (...words: string[]) =>
    runProgram("npx", ["--offline", "trypema", ...words], { cwd: folder.path, input: "1790000000,a\n1790000001,b\n" });
  expect(await npx("--version")).toEqual({ stdout: `${version}\n`, stderr: "", code: 0 });
  const { stdout, stderr, code } = await npx("size", "-");
  expect([stderr, code]).toEqual(["", 0]);
  expect(stdout).toContain("2 requests of 2 clients");
  expect(await npx("get", "--url", "redis://127.0.0.1:1", "user-1")).toEqual({
    stdout: "",
    stderr: "trypema get: no client of Redis is installed here: npm install ioredis, or npm install redis\n",
    code: 1,
  });
});
