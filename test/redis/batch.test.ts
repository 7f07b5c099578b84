// Many calls in one script, on a real server.

import fc from "fast-check";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { createLimits, createLocalProvider, type Decision, perMinute, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient, type RedisOptions } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { failureOf } from "../support/failing.ts";
import { inCrowd } from "../support/in-crowd.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();
const clients: Record<string, RedisClient> = {};
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  const port = redis.client.options.port!;
  const ioredis = new Redis(port);
  const nodeRedis = await createClient({ socket: { port } }).connect();
  Object.assign(clients, { ioredis, "node-redis": nodeRedis });
  closing.push(
    () => ioredis.disconnect(),
    () => nodeRedis.destroy(),
  );
});

afterAll(() => {
  for (const close of closing) close();
});

beforeEach(async () => {
  await redis.client.flushall();
});

/** How many scripts Redis ran while `work` went on. */
async function scriptsDuring(work: () => Promise<unknown>): Promise<number> {
  await redis.client.config("RESETSTAT");
  await work();
  const stats = await redis.client.info("commandstats");
  return Array.from(stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)).reduce(
    (sum, [, calls]) => sum + Number(calls),
    0,
  );
}

describe.each(["ioredis", "node-redis"])("%s", (name) => {
  function open(options: RedisOptions = {}) {
    // With a deadline that no busy machine misses.
    return createRedisProvider(clients[name]!, { timeoutMs: 30_000, ...options });
  }

  it("sends a call that is alone at once, and calls that are made together in few scripts", async () => {
    const { absolute } = open();
    await absolute.inc("k", perSecond(100));
    expect(await scriptsDuring(() => absolute.inc("k", perSecond(100)))).toBe(1);
    const together = () => Promise.all(Array.from({ length: 40 }, () => absolute.inc("k", perSecond(100))));
    // The server doesn't have the script yet.
    await together();
    expect(await scriptsDuring(together)).toBe(2);
    expect((await absolute.get("k")).total).toBe(82);
  });

  it("sends two or three calls at once, each alone, until it is busy, and again when it isn't", async () => {
    const { absolute } = open();
    const scriptsOf = (calls: number) =>
      scriptsDuring(() => Promise.all(Array.from({ length: calls }, () => absolute.inc("k", perSecond(100)))));
    await scriptsOf(40);
    await scriptsOf(2);
    for (let i = 0; i < 3; i++) expect(await scriptsOf(3)).toBe(3);
    expect(await scriptsOf(5)).toBe(3 + 1);
    for (let i = 0; i < 3; i++) expect(await scriptsOf(5)).toBe(1 + 1);
    expect(await scriptsOf(3)).toBe(1 + 1);
    expect(await scriptsOf(2)).toBe(1 + 1);
    expect(await scriptsOf(3)).toBe(3);
  });

  it("gives a script `maxCalls` calls at most, and each call its own where there is no batch", async () => {
    const hundred = (options: RedisOptions) => () => {
      const { absolute } = open(options);
      return Promise.all(Array.from({ length: 101 }, () => absolute.inc("k", perSecond(100))));
    };
    await hundred({})();
    // The first three go alone.
    expect(await scriptsDuring(hundred({ batch: { maxCalls: 10 } }))).toBe(3 + 10);
    expect(await scriptsDuring(hundred({ batch: false }))).toBe(101);
  });

  it("decides in the order in which the calls were made, whatever other keys and limits are among them", async () => {
    const { absolute, suppressed } = open();
    const other = open({ windowMs: 120_000 });
    const decisions: Promise<Decision>[] = [];
    for (let i = 0; i < 100; i++) {
      decisions.push(absolute.inc("k", perMinute(50)));
      void other.absolute.inc("k", perSecond(1_000));
      void suppressed.inc("k", perMinute(1_000));
      void absolute.inc(`k${i}`, perMinute(1 + i));
    }
    const remaining = (await Promise.all(decisions)).map((one) => (one.allowed ? one.remaining : "denied"));
    expect(remaining).toEqual(Array.from({ length: 100 }, (_, i) => (i < 50 ? 49 - i : "denied")));
    expect((await suppressed.get("k")).total).toBe(100);
    expect((await other.absolute.get("k")).total).toBe(100);
    expect((await absolute.get("k99")).total).toBe(1);
  });

  it("lets what is asked later see what was called earlier", async () => {
    const { absolute } = open();
    for (let i = 0; i < 10; i++) void absolute.inc("k", perMinute(50));
    expect((await absolute.get("k")).total).toBe(10);
    for (let i = 0; i < 10; i++) void absolute.inc("k", perMinute(50));
    expect(await absolute.adjust("k", -3)).toBe(17);
  });

  it("looks at several keys, or at several limits of one, in one script, after what was called before", async () => {
    const provider = open();
    const limits = createLimits(provider, {
      burst: { limit: 10, windowMs: 1_000_000 },
      day: { limit: 50, windowMs: 60_000 },
      all: { limit: 100, windowMs: 60_000, strategy: "suppressed" },
    });
    await limits.take("k", 3);
    const look = () => limits.peek("k", 8);
    // The server doesn't have the script yet.
    await look();
    let foreseen = await look();
    expect(
      await scriptsDuring(async () => {
        foreseen = await look();
      }),
    ).toBe(1);
    expect(foreseen).toMatchObject({ allowed: false, deniedBy: "burst" });
    expect(foreseen.decisions).toMatchObject({
      burst: { remaining: 7 },
      day: { remaining: 47 },
      all: { remaining: 97 },
    });
    expect((await limits.peek({ burst: "k", day: "unknown" })).decisions.day).toMatchObject({ remaining: 49 });
    await redis.client.lpush("trypema:a:60000:100:{:foreign}", "not ours");
    const totals: Promise<unknown>[] = [];
    for (let i = 1; i <= 5; i++) {
      void provider.absolute.inc("counted", perMinute(50));
      totals.push(provider.absolute.get("counted").then(({ total }) => total));
      totals.push(failureOf(provider.absolute.get("foreign")).then(({ code }) => code));
    }
    expect(await Promise.all(totals)).toEqual([1, 2, 3, 4, 5].flatMap((total) => [total, "BACKEND_SCRIPT"]));
  });

  it.each([
    ["the server's", {}],
    ["the callers'", { clock: manualClock(1_000_000) }],
  ])(
    "by %s clock, fails the calls to a key that holds something else, and counts those beside them once",
    async (_, options) => {
      const { absolute, suppressed } = open(options);
      await redis.client.lpush("trypema:a:60000:100:{:foreign}", "not ours");
      await redis.client.set("trypema:s:60000:100:{:odd}", "x".repeat(56).slice(1));
      const call = (index: number) => {
        const rate = perMinute(index % 8 < 4 ? 50 : 40);
        if (index % 4 === 1) return failureOf(absolute.inc("foreign", rate));
        if (index % 4 === 2) return failureOf(suppressed.inc("odd", rate));
        return (index % 4 === 3 ? suppressed : absolute).inc("k", perMinute(50));
      };
      const outcomes = await Promise.all(Array.from({ length: 80 }, (_, index) => call(index)));
      for (const [index, outcome] of outcomes.entries()) {
        const failures = [undefined, /^Redis: (ERR .*)?WRONGTYPE/, /too short/];
        const message = failures[index % 4];
        if (message === undefined) expect(outcome).toMatchObject({ allowed: true });
        else expect(outcome).toMatchObject({ code: "BACKEND_SCRIPT", message: expect.stringMatching(message) });
      }
      expect((await absolute.get("k")).total).toBe(20);
      expect((await suppressed.get("k")).total).toBe(20);
      expect(await redis.client.lrange("trypema:a:60000:100:{:foreign}", 0, -1)).toEqual(["not ours"]);
    },
  );

  it("sends calls again as a whole where the server has forgotten the script, and counts each once", async () => {
    const { absolute } = open();
    await redis.client.script("FLUSH");
    await Promise.all(Array.from({ length: 60 }, () => absolute.inc("k", perMinute(100))));
    expect((await absolute.get("k")).total).toBe(60);
  });

  it("sends reports of hybrid processes together, of which each succeeds or fails by itself", async () => {
    const provider = createHybridProvider(clients[name]!, { timeoutMs: 30_000, onFailure: "throw" });
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
    const asked = () => Promise.allSettled(keys.map(async (key) => provider.absolute.inc(key, perMinute(1_000))));
    await asked();
    await provider.absolute.clear();
    await redis.client.lpush("trypema:a:60000:100:{:k7}", "not ours");
    let outcomes: PromiseSettledResult<Decision>[] = [];
    const scripts = await scriptsDuring(async () => {
      outcomes = await asked();
    });
    expect(scripts).toBeLessThan(20);
    for (const [index, outcome] of outcomes.entries()) {
      expect(outcome.status).toBe(index === 7 ? "rejected" : "fulfilled");
    }
    expect(await provider.absolute.delete("k8")).toBe(1);
    await provider.close();
  });

  it("decides random batches as Local decides call by call", async () => {
    const call = fc.record({
      strategy: fc.constantFrom("absolute" as const, "suppressed" as const),
      key: fc.constantFrom("a", "b", "c"),
      capacity: fc.constantFrom(5, 12, 40),
      count: fc.constantFrom(1, 1, 1, 2, 7, 50),
      waitMs: fc.constantFrom(0, 0, 0, 1, 30, 400, 1_100),
    });
    const batches = fc.array(fc.array(call, { minLength: 1, maxLength: 25 }), { maxLength: 12 });
    // A script that the server doesn't have yet is sent again, and comes after what was sent meanwhile.
    const warm = open();
    for (const strategy of ["absolute", "suppressed"] as const) {
      await warm[strategy].inc("k", perSecond(1));
      await Promise.all([1, 2, 3, 4, 5].map(() => warm[strategy].inc("k", perSecond(1))));
    }
    let prefixes = 0;
    const property = fc.asyncProperty(batches, fc.double({ min: 0, max: 0.99, noNaN: true }), async (rounds, draw) => {
      const clock = manualClock();
      const options = { windowMs: 1_000, bucketMs: 25, random: () => draw, clock };
      const local = createLocalProvider(options);
      const provider = open({ ...options, prefix: `random-${name}-${++prefixes}` });
      for (const calls of rounds) {
        const expected: Decision[] = [];
        const asked: Promise<Decision>[] = [];
        for (const { strategy, key, capacity, count, waitMs } of calls) {
          clock.advance(waitMs);
          expected.push(local[strategy].inc(key, perSecond(capacity), count));
          asked.push(provider[strategy].inc(key, perSecond(capacity), count));
        }
        expect(await Promise.all(asked)).toEqual(expected);
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

it("replies once what is the same for calls that are denied alike, and each of them gets its own decision", async () => {
  const replies: unknown[] = [];
  const noting: RedisClient = {
    async sendCommand([command, ...args]: string[]) {
      const reply = await redis.client.call(command!, ...args);
      replies.push(...[reply].flat());
      return reply;
    },
  };
  // Each second draw admits. On the server's clock, so that all calls of a script are at one time.
  const draws = Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? 0 : 0.999));
  const options = {
    timeoutMs: 30_000,
    hardLimitFactor: 2,
    suppressionCacheMs: 60_000,
    random: () => draws.shift() ?? 0,
  };
  const { suppressed } = createRedisProvider(noting, options);
  const call = () => suppressed.inc("k", perMinute(10));
  await suppressed.inc("k", perMinute(10), 10);
  expect(await call()).toMatchObject({ outcome: "suppressed" });
  replies.length = 0;
  const decisions = await Promise.all(Array.from({ length: 41 }, call));
  const admitted = decisions.filter(({ allowed }) => allowed);
  const { total, declined } = await suppressed.get("k");
  expect(total).toBe(52);
  // The hard limit is reached, and beyond it the factor 1 denies all calls.
  expect(admitted).toHaveLength(10);
  expect(total - declined).toBe(20);
  for (const decision of decisions.slice(-10)) expect(decision).toMatchObject({ allowed: false, suppressionFactor: 1 });
  expect(replies.filter((reply) => reply === 0).length).toBeGreaterThan(10);
});

it("each call in the crowd that other tests make shares a script", async () => {
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000 });
  const { absolute } = inCrowd(provider);
  for (let i = 0; i < 3; i++) await absolute.inc("k", perMinute(100));
  const { scripts, scriptCalls } = provider.stats();
  expect(scriptCalls - scripts).toBeGreaterThanOrEqual(3);
});

it("goes on one by one where keys may not share a script, and counts each call once", async () => {
  const batches: string[][] = [];
  const strict: RedisClient = {
    async sendCommand([command, ...args]: string[]) {
      const keyCount = Number(args[1]);
      if (keyCount > 2) {
        batches.push(args);
        throw new Error("CROSSSLOT Keys in request don't hash to the same slot");
      }
      return redis.client.call(command!, ...args);
    },
  };
  const { absolute } = createRedisProvider(strict, { timeoutMs: 30_000 });
  const thirty = () => Promise.all(Array.from({ length: 30 }, (_, i) => absolute.inc(`k${i % 10}`, perMinute(100))));
  for (const decision of await thirty()) expect(decision.allowed).toBe(true);
  for (let i = 0; i < 10; i++) expect((await absolute.get(`k${i}`)).total).toBe(3);
  expect(batches).toHaveLength(1);
  await thirty();
  expect(batches).toHaveLength(1);
  expect((await absolute.get("k0")).total).toBe(6);
});

it("fails as a whole on a replica, so that the client notices that its server is no master any longer", async () => {
  const seen: string[] = [];
  const noting: RedisClient = {
    async sendCommand([command, ...args]: string[]) {
      return redis.client.call(command!, ...args).catch((error: Error) => {
        if (Number(args[1]) > 2) seen.push(error.message);
        throw error;
      });
    },
  };
  const { absolute } = createRedisProvider(noting, { timeoutMs: 30_000 });
  const ten = () => Promise.all(Array.from({ length: 10 }, (_, i) => failureOf(absolute.inc(`k${i}`, perMinute(100)))));
  await Promise.allSettled(Array.from({ length: 10 }, (_, i) => absolute.inc(`warm${i}`, perMinute(100))));
  await redis.client.call("REPLICAOF", "127.0.0.1", "1");
  try {
    for (const failure of await ten()) expect(failure).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  } finally {
    await redis.client.call("REPLICAOF", "NO", "ONE");
  }
  expect(seen).toHaveLength(1);
  expect(seen[0]).toContain("READONLY");
});

it("gives each call of a batch that gets no answer its own deadline and its own decision", async () => {
  const hang = () => new Promise<never>(() => {});
  const hung: RedisClient = { sendCommand: hang };
  const deadlines = createRedisProvider(hung, { timeoutMs: 20 });
  const failures = await Promise.all(
    Array.from({ length: 50 }, () => failureOf(deadlines.absolute.inc("k", perSecond(5)))),
  );
  for (const failure of failures) expect(failure).toMatchObject({ code: "BACKEND_TIMEOUT" });
  const { absolute } = createRedisProvider(hung, { timeoutMs: 20, onFailure: "local" });
  const decisions = await Promise.all(Array.from({ length: 50 }, () => absolute.inc("k", perMinute(20))));
  expect(decisions.filter(({ allowed, degraded }) => allowed && degraded)).toHaveLength(20);
});

it.each([
  ["is none", 7],
  ["is short", [1]],
  ["has nothing in it", [null, {}, "x", Number.NaN]],
])("refuses a reply to a batch that %s", async (_, reply) => {
  const client: RedisClient = {
    sendCommand: async ([, , keyCount]: string[]) => (Number(keyCount) > 2 ? reply : 60_001),
  };
  const { absolute } = createRedisProvider(client, { timeoutMs: 5_000 });
  const calls = ["a", "b", "c", "d", "e"].map((key) => absolute.inc(key, perSecond(5)));
  for (const call of calls.slice(0, 3)) expect((await call).allowed).toBe(true);
  for (const call of calls.slice(3)) expect(await failureOf(call)).toMatchObject({ code: "BACKEND_SCRIPT" });
});

it.each([0, 1.5, 1_001, "9", null])("refuses batches of %j calls", (maxCalls) => {
  const make = () => createRedisProvider(redis.client, { batch: { maxCalls: maxCalls as number } });
  expect(make).toThrow(/batch.maxCalls: got/);
});
