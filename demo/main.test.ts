// The demo as its users run it: real processes. `npm run build` has compiled it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { startServer } from "./server.ts";

const MAIN = fileURLToPath(new URL("../.build/demo/main.js", import.meta.url));

const running = new Set<ChildProcess>();

afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

async function run(...args: string[]) {
  const child = start(...args);
  const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { stdout, stderr, exitCode: exitCode as number | null };
}

/** Starts the demo and reads on until `pattern` has appeared. */
async function startUntil(pattern: RegExp, ...args: string[]) {
  const child = start(...args);
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    output += chunk;
    const match = pattern.exec(output);
    if (match) return { child, match };
  }
  throw new Error(`${pattern} did not appear in: ${output}`);
}

it("drives each strategy below, at and over the limit, in plain lines, and ends with a table of that", async () => {
  const { stdout, stderr, exitCode } = await run("--phase-seconds", "1");
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  const [charts = "", table = ""] = stdout.split(/^(?=strategy )/m);
  const rows = table.split("\n\n")[0]!.split("\n").slice(1);
  const cells = rows.map((row) => row.split(/ {2,}/));
  expect(cells.map(([strategy, load]) => `${strategy} ${load}`)).toEqual([
    "absolute 0.5x",
    "absolute 1x",
    "absolute 10x",
    "suppressed 0.5x",
    "suppressed 1x",
    "suppressed 10x",
  ]);
  for (const [, , offered, admitted] of cells) {
    expect(Number(admitted)).toBeGreaterThan(0);
    expect(Number(offered)).toBeGreaterThanOrEqual(Number(admitted));
  }
  expect(charts.match(/^ +1 +\d+ +\d+ /gm)).toHaveLength(6);
  expect(stdout).not.toContain("failed");
  expect(stdout).not.toContain("\r");
  expect(stdout).not.toContain("\u001b");
});

it("an interrupt ends it", async () => {
  const { child } = await startUntil(/offered/, "--phase-seconds", "600");
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
});

describe("--serve", () => {
  it("prints its address and how to try it, lets 10 requests in and answers 429 until an interrupt", async () => {
    const { child, match } = await startUntil(/curl -i (\S+)\/absolute[\s\S]*\/suppressed\n/, "--serve", "--port", "0");
    for (const strategy of ["absolute", "suppressed"]) {
      const url = `${match[1]}/${strategy}`;
      for (let i = 0; i < 10; i++) expect((await fetch(url)).status).toBe(200);
    }
    const denied = await fetch(`${match[1]}/absolute`);
    expect(denied.status).toBe(429);
    expect(Number(denied.headers.get("retry-after"))).toBeGreaterThan(0);
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("says in one sentence that a port is taken", async () => {
    const taken = await startServer(() => Promise.reject(new Error("unexpected")));
    const { port } = new URL(taken.url);
    const { stderr, exitCode } = await run("--serve", "--port", port);
    await taken.close();
    expect(stderr).toBe(`port ${port} is in use: choose another with --port <n>, or 0 for any free one\n`);
    expect(exitCode).toBe(1);
  });
});

it("--help explains every option", async () => {
  const { stdout, stderr, exitCode } = await run("--help");
  for (const option of ["--phase-seconds", "--serve", "--port", "--help"]) expect(stdout).toContain(`  ${option}`);
  expect([stderr, exitCode]).toEqual(["", 0]);
});

it("a mistake on the command line is answered with one sentence and exit code 1", async () => {
  const { stdout, stderr, exitCode } = await run("--sevre");
  expect({ stdout, stderr, exitCode }).toEqual({
    stdout: "",
    stderr: "Unknown option '--sevre'; --help lists the options\n",
    exitCode: 1,
  });
});

it("ends quietly when nobody reads on", async () => {
  const { child } = await startUntil(/offered/, "--phase-seconds", "600");
  const stderr = text(child.stderr);
  child.stdout.destroy();
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(await stderr).toBe("");
});
