// docs/cli.md shows what the commands print. Each is run here, and prints just that.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../support/process.ts";
import { MAIN, runProgram, useFolder } from "./run.ts";
import { combinedLine, sampleRequests } from "./samples.ts";

const folder = useFolder();
folder.write("access.log", `${sampleRequests().map(combinedLine).join("\n")}\n`);

const guide = readFileSync(join(ROOT, "docs", "cli.md"), "utf8");
const sessions = [...guide.matchAll(/^```console\n\$ ([^\n]*)\n(.*?)^```$/gms)].map(
  ([, command = "", output = ""]) => ({
    command,
    output,
  }),
);

it.each(sessions)("$command", async ({ command, output }) => {
  const line = command.replaceAll("npx trypema", `"${process.execPath}" "${MAIN}"`);
  const { stdout, stderr, code } = await runProgram("sh", ["-c", line], { cwd: folder.path });
  expect(stdout + stderr).toBe(output);
  expect(code).toBe(0);
});

it("finds them", () => {
  expect(sessions.length).toBe(guide.split("```console\n$ ").length - 1);
  expect(sessions.length).toBeGreaterThan(0);
});
