// What the tests of the projects have in common. The runner copies this file to their parent folder.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { connect, createServer } from "node:net";

/** A bound for what hangs, and not for a machine that is slow. */
const HANG_MS = 120_000;

/** Runs what makes sure of a promise, and prints whether it holds. */
export async function check(promise: string, run: () => unknown): Promise<void> {
  try {
    await run();
    console.log(`✓ ${promise}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`× ${promise}\n${String((error as Error).stack).replaceAll(/^/gm, "    ")}`);
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export interface Server {
  readonly url: string;
  stop(): void;
}

/**
 * Starts a program that listens on the port in its variable PORT.
 *
 * @param args what Node runs: a file of the project, and its arguments
 * @returns once it accepts connections
 * @throws with what it has printed, when it ends before that
 */
export async function startServer(...args: string[]): Promise<Server> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, args, {
    env: { ...process.env, PORT: String(port), HOST: "127.0.0.1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.on("data", (chunk) => (printed += chunk));
  child.stderr.on("data", (chunk) => (printed += chunk));
  const endMs = Date.now() + HANG_MS;
  while (!(await accepts(port))) {
    if (hasEnded(child) || Date.now() > endMs) {
      child.kill();
      throw new Error(`${args.join(" ")} doesn't listen:\n${printed}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { url, stop: () => child.kill() };
}

/** Checks a server with 60 requests a minute for each address and a greeting at /hello, until `least` are left. */
export async function checkCountdown(url: string, least: number): Promise<void> {
  await check("each address has 60 requests a minute, and is told what is left", async () => {
    for (let left = 59; left >= least; left--) {
      const response = await fetch(`${url}/hello`);
      assert.deepEqual(await response.json(), { hello: "world" });
      assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], `"default";r=${left}`);
    }
  });
}

/** Checks the same server when one request is left. */
export async function checkLastAndDenied(url: string): Promise<void> {
  await check("a request that no route answers counts, and has the fields", async () => {
    const response = await fetch(`${url}/nowhere`);
    assert.equal(response.status, 404);
    assert.equal(response.headers.get("ratelimit")?.split(";t=")[0], '"default";r=0');
  });
  await check("over the limit the answer is a 429 with the wait", async () => {
    const denied = await fetch(`${url}/hello`);
    assert.equal(denied.status, 429);
    assert.equal(denied.headers.get("content-type"), "application/problem+json");
    assert.ok(Number(denied.headers.get("retry-after")) > 0);
  });
}

/** Runs a program of Node to its end. @throws with what it has printed, unless it ends with 0 */
export function runProgram(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    child.stdout.on("data", (chunk) => (printed += chunk));
    child.stderr.on("data", (chunk) => (printed += chunk));
    child.once("error", reject);
    child.once("exit", (code) => {
      if (code === 0) resolve(printed);
      else reject(new Error(`${args.join(" ")} ended with ${code}:\n${printed}`));
    });
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Without a request, because a request would be counted. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.end();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
