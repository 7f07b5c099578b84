// The demo as its users run it: real processes. `npm run build` has compiled it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RedisServer } from "../test/support/redis.ts";
import { startServer } from "./server.ts";

const MAIN = fileURLToPath(new URL("../.build/demo/main.js", import.meta.url));

/** What the demo's processes find in theirs. */
let environment: NodeJS.ProcessEnv & { REDIS_URL?: string };

beforeEach(() => {
  environment = { ...process.env };
  delete environment.REDIS_URL;
});

const running = new Set<ChildProcess>();

afterEach(async () => {
  // A demo that is killed can't stop the Redis server that it has started.
  const ended = Array.from(running, (child) => once(child, "exit"));
  for (const child of running) child.kill("SIGTERM");
  await Promise.all(ended);
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], env: environment });
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

it.each([
  { args: [], provider: /trypema's Local provider$/m },
  { args: ["--redis"], provider: /trypema's Redis provider on 127.0.0.1:\d+ \(a server of the demo's own\)$/m },
  { args: ["--hybrid"], provider: /trypema's Hybrid provider on 127.0.0.1:\d+ \(a server of the demo's own\)$/m },
])("$args drives each strategy below, at and over the limit, and ends with a table of that", async (given) => {
  const { stdout, stderr, exitCode } = await run(...given.args, "--phase-seconds", "1");
  expect(stdout).toMatch(given.provider);
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

describe("--redis", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("%s ends its server too", async (signal) => {
    const { child, match } = await startUntil(/Redis provider on 127.0.0.1:(\d+) /, "--redis");
    const own = new Redis(Number(match[1]), { retryStrategy: () => null });
    own.on("error", () => {});
    const closed = new Promise((resolve) => own.once("end", resolve));
    expect(await own.ping()).toBe("PONG");
    child.kill(signal);
    await Promise.all([once(child, "exit"), closed]);
  });

  it("counts in the Redis of REDIS_URL, and leaves it running", async () => {
    const server = await RedisServer.start();
    environment.REDIS_URL = `redis://127.0.0.1:${server.port}/1`;
    const serving = await startUntil(/curl -i (\S+)\/absolute/, "--redis", "--serve", "--port", "0");
    expect((await fetch(`${serving.match[1]}/absolute`)).status).toBe(200);
    serving.child.kill("SIGINT");
    expect(await once(serving.child, "exit")).toEqual([0, null]);
    const client = new Redis(server.port, { db: 1 });
    expect(await client.keys("*")).toEqual(["trypema-demo:a:10000:100:{:127.0.0.1}"]);
    client.disconnect();
    await server.stop();
  });

  it("says in one sentence that the Redis of REDIS_URL doesn't answer, and why", async () => {
    const gone = await RedisServer.start();
    await gone.stop();
    environment.REDIS_URL = `redis://:secret@127.0.0.1:${gone.port}`;
    const { stdout, stderr, exitCode } = await run("--redis");
    const where = `127.0.0.1:${gone.port}`;
    expect(stderr).toBe(`no answer from Redis on ${where}: connect ECONNREFUSED ${where}\n`);
    expect([stdout, exitCode]).toEqual(["", 1]);
  });

  it("says in one sentence that the Redis of REDIS_URL wants a password", async () => {
    const server = await RedisServer.start(undefined, "--requirepass", "secret");
    environment.REDIS_URL = `redis://127.0.0.1:${server.port}`;
    const { stderr, exitCode } = await run("--redis");
    await server.stop();
    expect(stderr).toMatch(/^no answer from Redis on 127.0.0.1:\d+: .*NOAUTH.*\n$/);
    expect(exitCode).toBe(1);
  });
});

describe("--hybrid", () => {
  it("shows what each of four processes admits, and that together they hold the limit", async () => {
    const { child, match } = await startUntil(/^absolute at 10x/m, "--hybrid", "--phase-seconds", "2");
    const beganMs = performance.now();
    let phase = match.input.slice(match.index);
    for await (const chunk of child.stdout) {
      phase += chunk;
      if (/^suppressed at/m.test(phase)) break;
    }
    const windows = Math.floor((performance.now() - beganMs) / 3_000) + 1;
    const absolute = /^[\s\S]*?\n\n/.exec(phase)![0];
    const seconds = absolute.match(/^ +\d+ .*$/gm)!.map((row) => row.match(/[\d.]+/g)!.map(Number));
    expect(seconds).toHaveLength(2);
    let total = 0;
    for (const [, , admitted, , ...byServer] of seconds) {
      expect(byServer).toHaveLength(4);
      expect(byServer.reduce((sum, count) => sum + count)).toBe(admitted);
      total += admitted!;
    }
    // Where the machine is busy, two seconds of requests take longer, and the header is read late. Four limits of their
    // own would let four times the capacity of 300 in at once.
    expect(total).toBeLessThanOrEqual((windows + 1) * 300);
    expect(total).toBeGreaterThan(100);
  });

  it.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)("%s ends its servers too", async (signal) => {
    const server = await RedisServer.start();
    environment.REDIS_URL = `redis://127.0.0.1:${server.port}`;
    const { child, match } = await startUntil(/^http:.*$(?=[\s\S]*offered)/m, "--hybrid");
    const urls = match[0].split(" ");
    expect(urls).toHaveLength(4);
    const isAlive = (url: string) =>
      fetch(url).then(
        () => true,
        () => false,
      );
    expect(await Promise.all(urls.map(isAlive))).toEqual([true, true, true, true]);
    child.kill(signal);
    await expect.poll(() => Promise.all(urls.map(isAlive))).toEqual([false, false, false, false]);
    await server.stop();
  });

  it("--serve: several of them hold one limit", async () => {
    const server = await RedisServer.start();
    environment.REDIS_URL = `redis://127.0.0.1:${server.port}`;
    const args = ["--hybrid", "--serve", "--port", "0"];
    const serving = await Promise.all([1, 2].map(() => startUntil(/curl -i (\S+)\/absolute/, ...args)));
    const statuses: number[] = [];
    const beganMs = performance.now();
    for (let i = 0; i < 20; i++) statuses.push((await fetch(`${serving[i % 2]!.match[1]}/absolute`)).status);
    // On a busy machine this takes longer than the window of ten seconds.
    const windows = Math.ceil((performance.now() - beganMs) / 10_000);
    const admitted = statuses.filter((status) => status === 200).length;
    expect(admitted).toBeLessThanOrEqual(10 * windows);
    // One may be denied what the other one has leased.
    expect(admitted).toBeGreaterThanOrEqual(7);
    for (const { child } of serving) child.kill("SIGINT");
    for (const { child } of serving) expect(child.exitCode ?? (await once(child, "exit"))[0]).toBe(0);
    await server.stop();
  });
});

describe("--serve", () => {
  it("prints its address and how to try it, lets 10 requests in and answers 429 until an interrupt", async () => {
    const { child, match } = await startUntil(/curl -i (\S+)\/absolute[\s\S]*\/suppressed\n/, "--serve", "--port", "0");
    // At the same time, so that a slow machine needs no more than the ten seconds of the window for them.
    const ask = (path: string, times: number) =>
      Promise.all(Array.from({ length: times }, () => fetch(`${match[1]}${path}`)));
    for (const { status } of await ask("/suppressed", 10)) expect(status).toBe(200);
    const denied = (await ask("/absolute", 11)).filter(({ status }) => status !== 200);
    expect(denied.map(({ status }) => status)).toEqual([429]);
    expect(Number(denied[0]!.headers.get("retry-after"))).toBeGreaterThan(0);
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
  for (const option of ["--phase-seconds", "--serve", "--port", "--redis", "--hybrid", "--help"])
    expect(stdout).toContain(`  ${option}`);
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
