// The commands that go to Redis, as processes, with each of the clients that may be installed beside them.

import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createLimits, days, hours, minutes, perMinute, perSecond, trackLimitedKeys, unlimited } from "trypema";
import { createRedisProvider, type RedisProvider } from "trypema/redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ROOT } from "../support/process.ts";
import { RedisCluster, RedisServer } from "../support/redis.ts";
import { useRedis } from "../support/use-redis.ts";
import { type Ended, trypema, useFolder } from "./run.ts";

const redis = useRedis();
const folder = useFolder();

/** A folder in which one client is installed, and the other isn't. */
function folderWith(client: string): string {
  const path = join(folder.path, client);
  mkdirSync(join(path, "node_modules"), { recursive: true });
  symlinkSync(join(ROOT, "node_modules", client), join(path, "node_modules", client));
  return path;
}

const folders = { ioredis: folderWith("ioredis"), redis: folderWith("redis") };
const PATIENT = { timeoutMs: 30_000 };

function run(args: readonly string[], cwd = folders.ioredis): Promise<Ended> {
  return trypema(args, { cwd, env: { REDIS_URL: `redis://127.0.0.1:${redis.client.options.port}` } });
}

let provider: RedisProvider;

beforeEach(async () => {
  await redis.client.flushall();
  provider = createRedisProvider(redis.client, PATIENT);
});

describe.each(Object.entries(folders))("with the client %s", (_, cwd) => {
  it("tells what a key has used, blocks it and ends that, gives it a rate, and forgets it", async () => {
    // In windows that are over long after the test, however slowly the commands start.
    const { absolute } = provider.withWindow({ windowMs: 600_000 });
    await absolute.inc("user-1", perMinute(10), 30);
    await provider.withWindow({ windowMs: 3_600_000, bucketMs: 10_000 }).suppressed.inc("user-1", perSecond(1), 7);
    await absolute.inc("user-11", perMinute(10), 1);
    const { stdout, stderr, code } = await run(["get", "--json", "user-1"], cwd);
    expect([stderr, code]).toEqual(["", 0]);
    expect(JSON.parse(stdout)).toEqual({
      key: "user-1",
      limits: [
        {
          name: "",
          strategy: "absolute",
          windowMs: 600_000,
          bucketMs: 100,
          limit: 100,
          used: 30,
          declined: 0,
          remaining: 70,
          suppressionFactor: 0,
          retryAfterMs: 0,
          blockedMs: 0,
        },
        {
          name: "",
          strategy: "suppressed",
          windowMs: 3_600_000,
          bucketMs: 10_000,
          limit: 3_600,
          used: 7,
          declined: 0,
          remaining: 3_593,
          suppressionFactor: 0,
          retryAfterMs: 0,
          blockedMs: 0,
        },
      ],
    });
    const blocked = await run(["block", "user-1", "1h", "--strategy", "absolute"], cwd);
    expect(blocked).toEqual({ stdout: "blocked for 1 h: user-1 (absolute, 10 min)\n", stderr: "", code: 0 });
    expect(await absolute.isAllowed("user-1")).toMatchObject({ allowed: false, blocked: true });
    expect((await run(["get", "user-1"], cwd)).stdout).toMatch(
      /^absolute, 10 min {2,}30 +0 +100 +0 +100 % +[\d.]+ \w+ +[\d.]+ \w+$/m,
    );
    expect((await run(["unblock", "user-1"], cwd)).stdout.split("\n")).toHaveLength(3);
    expect((await absolute.isAllowed("user-1")).allowed).toBe(true);
    const rated = await run(["rate", "user-1", "20/min", "--window", "600s"], cwd);
    expect(rated.stdout).toBe("200 in place of 100: user-1 (absolute, 10 min)\n");
    expect((await absolute.get("user-1")).limit).toBe(200);
    const deleted = await run(["delete", "user-1"], cwd);
    expect(deleted.stdout).toMatch(/^deleted: user-1 \(absolute, 10 min\), which had 30\n.*, which had 7\n$/);
    expect(await redis.client.keys("*user-1}*")).toEqual([]);
    expect((await absolute.get("user-11")).total).toBe(1);
  });
});

describe("the commands about a key", () => {
  it("find the limits of createLimits by their names, under another prefix too", async () => {
    const other = createRedisProvider(redis.client, { ...PATIENT, prefix: "shop:*" });
    const limits = createLimits(other, {
      burst: { limit: 10, windowMs: minutes(10) },
      "a:day": { limit: 5_000, windowMs: days(1), bucketMs: minutes(1) },
    });
    await limits.take("{x}:*?[\u001b]}", 2);
    const ended = await run(["get", "--prefix", "shop:*", "{x}:*?[\u001b]}"]);
    expect(ended.stderr).toBe("");
    expect(ended.stdout).toMatch(/^burst, absolute, 10 min +2 +0 +10 +/m);
    expect(ended.stdout).toMatch(/^a:day, absolute, 1 d, buckets of 1 min +2 +0 +5 000 +/m);
    const one = await run(["get", "--prefix", "shop:*", "--limit", "a:day", "--json", "{x}:*?[\u001b]}"]);
    expect(JSON.parse(one.stdout).limits).toHaveLength(1);
    expect(await run(["get", "{x}:*?[\u001b]}"])).toEqual({
      ...{ stdout: "", code: 1, stderr: "trypema get: nothing is stored of {x}:*?[\\u{1b}]}\n" },
    });
  });

  it("block a key before its first call, in the limit that is named", async () => {
    const unnamed = await run(["block", "new", "1h"]);
    expect(unnamed.code).toBe(1);
    expect(unnamed.stderr).toMatch(
      /^trypema block: nothing is stored of new; .* say in which limit: --window TIME.*\n$/,
    );
    expect((await run(["block", "new", "90s", "--window", "1min"])).stdout).toBe(
      "blocked for 90 s: new (absolute, 1 min)\n",
    );
    expect(await provider.absolute.inc("new", perMinute(5))).toMatchObject({ allowed: false, blocked: true });
    const limits = createLimits(provider, { login: { limit: 5, windowMs: minutes(15), strategy: "suppressed" } });
    await run(["block", "new", "1d", "--window", "15min", "--strategy", "suppressed", "--limit", "login"]);
    expect(await limits.take("new")).toMatchObject({ allowed: false, deniedBy: "login" });
    expect((await run(["rate", "new", "7/min"])).stdout).toMatch(/^has no rate, because it has used nothing: new/m);
  });

  it("show what is unlimited, and refuse a rate that a window is too short for", async () => {
    await provider.absolute.inc("key", unlimited(), 3);
    expect((await run(["get", "key"])).stdout).toMatch(/^absolute, 1 min +3 +0 +- +- +0 % +- +-$/m);
    expect((await run(["rate", "key", "30/min"])).stdout).toBe("30 in place of unlimited: key (absolute, 1 min)\n");
    const { stderr, code } = await run(["rate", "key", "5/d"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^trypema rate: Redis at 127\.0\.0\.1:\d+: rate .*: a window of 60000 ms holds less than one request.*\n$/,
    );
  });

  it("show the keys that use most of their limits, once where stdout is no terminal", async () => {
    const day = provider.withWindow({ windowMs: 86_400_000, bucketMs: 60_000 });
    for (let i = 0; i < 250; i++) void provider.absolute.inc(`key-${i}`, perMinute(1_000), i + 1);
    await day.suppressed.inc("busy \u001b[2J", perSecond(1), 80_000);
    await provider.absolute.inc("over", perMinute(100), 100);
    await provider.absolute.block("only blocked", 60_000);
    const { stdout, stderr, code } = await run(["top", "--rows", "3"]);
    expect([stderr, code]).toEqual(["", 0]);
    expect(stdout.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["key", "limit", "used", "declined", "of", "share"],
      ["over", "absolute, 1 min", "100", "0", "100", "100 %"],
      ["busy \\u{1b}[2J", "suppressed, 1 d, buckets of 1 min", "80 000", "0", "86 400", "92.6 %"],
      ["key-249", "absolute, 1 min", "250", "0", "1 000", "25 %"],
      [""],
    ]);
    const json = JSON.parse(
      (await run(["top", "--json", "--by", "used", "--strategy", "absolute", "--rows", "2"])).stdout,
    );
    expect(json.keys).toBe(251);
    expect(json.top.map(({ key, used }: { key: string; used: number }) => [key, used])).toEqual([
      ["key-249", 250],
      ["key-248", 249],
    ]);
  });

  it("show the other keys where one holds something else, and count it", async () => {
    await provider.absolute.inc("user-1", perMinute(100), 30);
    await redis.client.hset("trypema:a:60000:100:{:junk}", "a", "b");
    const { stdout, stderr, code } = await run(["top"]);
    expect([stderr, code]).toEqual(["", 0]);
    expect(stdout).toMatch(/^1 key holds something else\nkey .*\nuser-1 .* 30 %\n$/);
    expect(JSON.parse((await run(["top", "--json"])).stdout)).toMatchObject({ keys: 1, foreignKeys: 1 });
  });

  it("tell no suppression that the program can't have, unless they are told its factor for the hard limit", async () => {
    const generous = createRedisProvider(redis.client, { ...PATIENT, hardLimitFactor: 3 });
    await generous.suppressed.inc("key", perMinute(100), 200);
    expect((await run(["get", "key"])).stdout).toMatch(/^suppressed, 1 min +200 +0 +100 +0 +- /m);
    const suppressionOf = async (...args: string[]) =>
      JSON.parse((await run(["get", "--json", "key", ...args])).stdout).limits[0].suppressionFactor;
    expect(await suppressionOf()).toBeNull();
    // Twice the limit, and at first more by the rate of the last second.
    const suppressionFactor = await suppressionOf("--hard-limit-factor", "3");
    expect(suppressionFactor).toBeGreaterThanOrEqual(0.5);
    expect(suppressionFactor).toBeLessThan(1);
  });

  it("reckon lengths of time without the errors of binary fractions", async () => {
    await run(["block", "key", "1h", "--window", "16.1s"]);
    expect((await redis.client.keys("*{:key}")).map((name) => name.split(":")[2])).toEqual(["16100"]);
  });

  it.each([
    [["top", "--rows", "0"], "--rows 0: expected a whole number from 1 to 9999"],
    [["top", "key"], "expected no argument; --url names the server"],
    [["doctor", "key"], "expected no argument; --url names the server"],
    [["get"], "expected one argument, KEY"],
    [["block", "key"], "expected two arguments, KEY and TIME"],
    [["block", "key", "1 hour"], "TIME 1 hour: expected a length of time, such as 90s, 15min, 1h or 2d"],
    [["rate", "key", "100"], "100 is no rate: expected such as 100/min, 5/s, 1000/h, 20000/d, or unlimited"],
    [["get", ""], "name a key"],
    [["get", "x".repeat(256)], "key: got "],
    [["get", "key", "--window", "0s"], "--window 0s: expected a length of time"],
    [
      ["block", "key", "1h", "--window", "60s", "--bucket", "2h"],
      "no limit has such a --window and --bucket: bucketMs",
    ],
    [["get", "key", "--hard-limit-factor", "0.9"], "--hard-limit-factor 0.9: expected a number of at least 1"],
    [["get", "key", "--strategy", "soft"], "--strategy soft: expected one of absolute, suppressed"],
    [["get", "key", "--prefix", "{"], "--prefix {: expected 1 to 100 characters without { and }"],
    [["get", "key", "--url", "127.0.0.1"], "the URL of the server is none: expected redis://HOST:PORT"],
    [["get", "key", "--url", ""], "name the server with --url redis://HOST, or in REDIS_URL"],
  ])("%j is wrong usage", async (args, message) => {
    const { stdout, stderr, code } = await run(args);
    expect([stdout, code]).toEqual(["", 2]);
    expect(stderr).toMatch(/^trypema \w+: .*\n$/);
    expect(stderr).toContain(message);
  });

  it.each(Object.entries(folders))(
    "with %s say in one line that no server answers, and no password",
    async (_, cwd) => {
      const { stdout, stderr, code } = await run(["get", "key", "--url", "redis://:secret@127.0.0.1:1"], cwd);
      expect([stdout, code]).toEqual(["", 1]);
      expect(stderr).toMatch(/^trypema get: Redis at 127\.0\.0\.1:1 can't be reached: .*\n$/);
      expect(stderr).not.toContain("secret");
    },
  );
});

it("limited shows the keys that are denied most now, and names those that it is given", async () => {
  const nothing = "nothing was denied lately, or no process tracks it by trackLimitedKeys\n";
  expect((await run(["limited"])).stdout).toBe(nothing);
  trackLimitedKeys(provider);
  const limits = createLimits(provider, { login: { limit: 2, windowMs: minutes(15) } });
  for (let i = 0; i < 1_236; i++) await limits.take("ann");
  for (let i = 0; i < 7; i++) await provider.absolute.inc("b\u001bob", perMinute(5));
  await provider.close();
  const { stdout, stderr, code } = await run(["limited", "ann", "b\u001bob", "someone"]);
  expect([stderr, code]).toEqual(["", 0]);
  expect(stdout).toBe(
    "key        limit                    denied  at least\n" +
      "ann        login, absolute, 15 min   1 234     1 234\n" +
      "b\\u{1b}ob  absolute, 1 min               2         2\n",
  );
  const json = JSON.parse((await run(["limited", "--json", "b\u001bob"])).stdout);
  expect(json.limited.map(({ key, name, denied }: Record<string, unknown>) => [key, name, denied])).toEqual([
    ["49915e0d7d4b402e", "login", 1_234],
    ["b\u001bob", "", 2],
  ]);
  expect((await run(["limited", "--prefix", "other"])).stdout).toBe(nothing);
});

it("unblock says what it did, and that a key at its limit would be blocked again", async () => {
  const login = { limit: 2, windowMs: minutes(15), blockMs: hours(1) };
  const limits = createLimits(provider, { login });
  for (let i = 0; i < 3; i++) await limits.take("ann");
  const name = "(login, absolute, 15 min)";
  const atLimit =
    "which is at its limit: the next call is denied, and blocks again if the limit has a blockMs; see delete";
  expect((await run(["unblock", "ann"])).stdout).toBe(`unblocked: ann ${name}, ${atLimit}\n`);
  expect((await limits.peek("ann")).decisions.login).not.toHaveProperty("blocked");
  expect((await run(["unblock", "ann"])).stdout).toBe(`was not blocked: ann ${name}, ${atLimit}\n`);
  await limits.take("bob");
  expect((await run(["unblock", "bob"])).stdout).toBe(`was not blocked: bob ${name}\n`);
  await limits.limiter("login").block("bob", hours(1));
  expect((await run(["unblock", "bob"])).stdout).toBe(`unblocked: bob ${name}\n`);
});

it("walk nothing for a limit that is named in full", async () => {
  await redis.client.acl("SETUSER", "walker", "on", ">word", "~*", "+@all", "-scan");
  const url = ["--url", `redis://walker:word@127.0.0.1:${redis.client.options.port}`];
  const limits = createLimits(provider, { login: { limit: 2, windowMs: minutes(15) } });
  await limits.take("ann");
  const named = ["--limit", "login", "--strategy", "absolute", "--window", "15min", "--bucket", "100ms", ...url];
  expect((await run(["get", "ann", ...url])).code).toBe(1);
  expect((await run(["get", "ann", ...named])).stdout).toContain("login, absolute, 15 min     1");
  expect((await run(["block", "ann", "1h", ...named])).stdout).toContain("blocked for 1 h: ann");
  expect((await run(["unblock", "ann", ...named])).stdout).toContain("unblocked: ann");
  expect((await run(["delete", "ann", ...named])).stdout).toContain("which had 1");
  expect((await run(["get", "ann", ...named])).stderr).toBe("trypema get: nothing is stored of ann in such a limit\n");
  expect((await run(["get", "ann", ...named, "--limit", ""])).code).toBe(1);
});

describe("with a Redis that hangs", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
    server.signal("SIGSTOP");
  });
  afterAll(() => server.stop());

  it.each(Object.entries(folders))("with %s every command says so and ends", async (_, cwd) => {
    const target = ["--url", `redis://127.0.0.1:${server.port}`];
    const commands = [["get", "key"], ["top"], ["limited"], ["doctor"], ["block", "key", "1h", "--window", "1min"]];
    await Promise.all(
      commands.map(async ([name = "", ...args]) => {
        const { stdout, stderr, code } = await run([name, ...args, ...target], cwd);
        expect([stdout, code]).toEqual(["", 1]);
        expect(stderr).toMatch(/^trypema \w+: Redis at 127\.0\.0\.1:\d+ .*doesn't answer within 5 s\n$/);
      }),
    );
  });
});

describe("in a Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await RedisCluster.start();
  });
  afterAll(() => cluster.stop());

  it.each(Object.entries(folders))("with %s say in one line that no node can be reached", async (_, cwd) => {
    const announced = ["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", "1"];
    const server = await RedisServer.start(undefined, "--cluster-enabled", "yes", ...announced);
    const admin = new Redis(server.port);
    await admin.cluster("ADDSLOTS", ...Array.from({ length: 16_384 }, (_, slot) => slot));
    admin.disconnect();
    const { stdout, stderr, code } = await run(["top", "--cluster", "--url", `redis://127.0.0.1:${server.port}`], cwd);
    await server.stop();
    expect([stdout, code]).toEqual(["", 1]);
    expect(stderr).toMatch(/^trypema top: Redis at 127\.0\.0\.1:\d+ can't be reached: .*\n$/);
  });

  it.each(Object.entries(folders))("with %s wait for a node that is slow", async (_, cwd) => {
    const [node] = cluster.servers;
    node!.signal("SIGSTOP");
    const ended = run(["get", "key", "--cluster", "--url", `redis://127.0.0.1:${node!.port}`], cwd);
    // Less than the command waits, however late it asks.
    await sleep(3_000);
    node!.signal("SIGCONT");
    const stderr = "trypema get: nothing is stored of key\n";
    expect(await ended).toEqual({ stdout: "", stderr, code: 1 });
  });

  it.each(Object.entries(folders))("with %s a key is found on whichever node it is", async (_, cwd) => {
    const target = ["--cluster", "--url", `redis://127.0.0.1:${cluster.servers[0]!.port}`];
    for (const key of ["a", "b"]) {
      expect((await run(["block", key, "1h", "--window", "1min", ...target], cwd)).stderr).toBe("");
      expect((await run(["get", key, ...target], cwd)).stdout).toMatch(/^absolute, 1 min .* [\d.]+ (h|min)$/m);
      expect((await run(["delete", key, ...target], cwd)).stdout).toContain(
        `deleted: ${key} (absolute, 1 min), which had 0`,
      );
    }
  });
});
