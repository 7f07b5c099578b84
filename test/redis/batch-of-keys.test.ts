// Many keys in one script, each called once, or each with a take of one limit. Most of these calls are counted in a
// short way, which has to decide and to store what the usual way does.

import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { createLimits, createLocalProvider, type Decision, type Provider, perSecond, type Rate } from "trypema";
import { createRedisProvider, type RedisOptions } from "trypema/redis";
import { type ManualClock, manualClock } from "trypema/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { KeyNames } from "../../src/redis/keys.ts";
import { failureOf } from "../support/failing.ts";
import { ALONE } from "../support/in-crowd.ts";
import { BUCKETS_OF_CHUNK, readStored } from "../support/stored-state.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();
const WINDOW = { windowMs: 1_000, bucketMs: 25 };
const RATE = perSecond(1_000);
/** How many buckets a key has when its first list begins: the oldest, a chunk of those after it, and two newer ones. */
const TO_LIST = BUCKETS_OF_CHUNK + 3;

beforeEach(async () => {
  await redis.client.flushall();
});

describe.each([
  ["calls", "absolute"],
  ["calls", "suppressed"],
  ["takes", "absolute"],
  ["takes", "suppressed"],
] as const)("%s, %s", (way, strategy) => {
  const name = way === "calls" ? "" : "limit";

  /** With a deadline that no busy machine misses. */
  function open(options: RedisOptions = {}) {
    return limiterOf(createRedisProvider(redis.client, { ...WINDOW, timeoutMs: 30_000, ...options }), options.windowMs);
  }

  function limiterOf(
    provider: Provider,
    windowMs = WINDOW.windowMs,
  ): Omit<Provider["absolute"], "inc"> & {
    inc(key: string, rate: Rate, count?: number): Decision | Promise<Decision>;
  } {
    if (way === "calls") return provider[strategy];
    const limits = createLimits(provider, { limit: { rate: RATE, strategy, ...WINDOW, windowMs } });
    const limiter = limits.limiter("limit");
    const inc = async (key: string, rate: Rate, count = 1) => {
      const { decisions } = await limits.take(key, count, { limit: { rate } });
      return decisions.limit;
    };
    return new Proxy(limiter, { get: (target, method) => (method === "inc" ? inc : bound(target, method)) });
  }

  const bound = (target: object, method: string | symbol) => Reflect.get(target, method).bind(target);

  const nameOfState = (key: string) => new KeyNames("trypema", { name, strategy, ...WINDOW }).of(key)[0];
  const nameOfList = (key: string) => `${nameOfState(key)}b`;

  /** Calls all keys in one script. */
  async function callEach(limiter: ReturnType<typeof open>, keys: readonly string[]): Promise<Decision[]> {
    const decisions = await Promise.all([...ALONE, ...keys].map((key) => limiter.inc(key, RATE)));
    return decisions.slice(ALONE.length);
  }

  /** Calls two keys, each time in one script that begins a bucket. */
  async function callEachOften(limiter: ReturnType<typeof open>, clock: ManualClock, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      clock.advance(25);
      await callEach(limiter, ["k", "other"]);
    }
  }

  /** What is stored of a key that isn't blocked, but for what the fields of the state mean only at times. */
  async function storedOf(names: KeyNames, key: string): Promise<unknown> {
    const { state, chunks, timesToLiveMs } = await readStored(redis.client, names.of(key)[0]);
    const { rate, buckets, front, back, total, blockedUntilMs = 0 } = state ?? {};
    if (blockedUntilMs > 0) return "a block";
    return { rate, buckets, front, chunks, back, total, redisKeys: timesToLiveMs.length };
  }

  /** Calls two keys in one script: the call to "k" fails, the call to "other" is admitted. */
  async function failBesideOther(limiter: ReturnType<typeof open>): Promise<void> {
    const alone = ALONE.map((key) => limiter.inc(key, RATE));
    const [failure, decision] = await Promise.all([
      failureOf(limiter.inc("k", RATE) as Promise<Decision>),
      limiter.inc("other", RATE),
    ]);
    await Promise.all(alone);
    expect(failure).toMatchObject({ code: "BACKEND_SCRIPT" });
    expect(decision).toMatchObject({ allowed: true });
  }

  it("makes calls that share a script", async () => {
    const provider = createRedisProvider(redis.client, { ...WINDOW, timeoutMs: 30_000 });
    await callEach(limiterOf(provider), ["k", "other"]);
    const { scripts, scriptCalls } = provider.stats();
    expect(scriptCalls - scripts).toBeGreaterThanOrEqual(1);
  });

  it("decides about many keys as Local does, and stores what calls made alone store, whatever came before", async () => {
    const keys = ["a", "b", "c", "d"];
    const roundsOf = (waits: readonly number[], mostCount: number, mostRounds: number) =>
      fc.array(
        fc.record({
          keys: fc.shuffledSubarray(keys, { minLength: 1 }),
          capacity: fc.constantFrom(30, 30, 30, 29),
          count: fc.constantFrom(1, 1, 1, 2, mostCount),
          waitMs: fc.constantFrom(...waits),
          before: fc.constantFrom("nothing", "nothing", "nothing", "nothing", "adjust", "block", "delete"),
        }),
        { maxLength: mostRounds },
      );
    const few = roundsOf([0, 1, 10, 26, 26, 63, 400, 950, 990, 1_010], 9, 40);
    // So that keys have lists, which begin with the eleventh live bucket. A call of 29 is denied unless the key is
    // empty, also where it takes a chunk from the list before.
    const many = roundsOf([0, 10, ...Array.from({ length: 20 }, () => 26), 63, 63, 400, 950], 29, 100);
    let prefixes = 0;
    let lists = 0;
    const property = fc.asyncProperty(fc.oneof(few, many), async (rounds) => {
      const clock = manualClock();
      const options = { ...WINDOW, random: () => 0.5, clock };
      const local = limiterOf(createLocalProvider(options));
      const [together, apart] = [`together-${++prefixes}`, `apart-${prefixes}`];
      const shared = open({ ...options, prefix: together });
      const single = { timeoutMs: 30_000, prefix: apart, batch: false } as const;
      const alone = createRedisProvider(redis.client, { ...options, ...single })[strategy];
      const names = new KeyNames(together, { name, strategy, ...WINDOW });
      const namesOfSingle = new KeyNames(apart, { name: "", strategy, ...WINDOW });
      for (const { keys: called, capacity, count, waitMs, before } of rounds) {
        clock.advance(waitMs);
        const rate = perSecond(capacity);
        for (const limiter of [local, shared, alone]) {
          if (before === "adjust") await limiter.adjust("a", -1);
          if (before === "block") await limiter.block("b", 30);
          if (before === "delete") await limiter.delete("c");
        }
        const expected = await Promise.all([...ALONE, ...called].map((key) => local.inc(key, rate, count)));
        expect(await Promise.all([...ALONE, ...called].map((key) => shared.inc(key, rate, count)))).toEqual(expected);
        await Promise.all(called.map((key) => alone.inc(key, rate, count)));
        for (const key of called) {
          expect(await storedOf(names, key)).toEqual(await storedOf(namesOfSingle, key));
        }
        lists += await redis.client.exists(called.map((key) => names.of(key)[1]));
      }
      for (const key of keys) expect(await shared.get(key)).toEqual(local.get(key));
    });
    await fc.assert(property, { numRuns: 60 });
    expect(lists).toBeGreaterThan(0);
  });

  it("counts nothing any longer that is a window old, however close the calls are", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ clock });
    const remaining = [];
    for (const waitMs of [10, 20, 972, 13, 5]) {
      clock.advance(waitMs);
      for (const decision of await callEach(limiter, ["k", "other"])) remaining.push(decision.remaining);
    }
    expect(remaining).toEqual([999, 999, 998, 998, 997, 997, 997, 997, 996, 996]);
  });

  it("tells denied calls how long to wait for buckets that calls in one script have begun", async () => {
    const options = { ...WINDOW, clock: manualClock(1_000_000), random: () => 0 };
    const limiter = open(options);
    const local = limiterOf(createLocalProvider(options));
    for (let i = 0; i < 6; i++) {
      options.clock.advance(25);
      await callEach(limiter, ["k", "other"]);
      await local.inc("k", RATE);
    }
    for (const count of [1, 2, 3, 4, 5, 6]) {
      expect(await limiter.inc("k", perSecond(6), count)).toEqual(await local.inc("k", perSecond(6), count));
    }
  });

  it("heals where the server has evicted the list of a key", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ clock });
    await callEachOften(limiter, clock, TO_LIST);
    expect(await redis.client.del(nameOfList("k"))).toBe(1);
    await callEachOften(limiter, clock, BUCKETS_OF_CHUNK - 1);
    expect((await limiter.get("k")).total).toBe(TO_LIST + BUCKETS_OF_CHUNK - 1);
    // What the list held is forgotten when the next chunk is listed.
    await callEachOften(limiter, clock, 1);
    expect((await limiter.get("k")).total).toBe(TO_LIST);
    await callEachOften(limiter, clock, 5);
    expect((await limiter.get("k")).total).toBe(TO_LIST + 5);
    expect((await limiter.get("other")).total).toBe(TO_LIST + BUCKETS_OF_CHUNK + 5);
    clock.advance(WINDOW.windowMs - 25);
    expect((await limiter.get("k")).total).toBe(1);
  });

  it("heals where the list is evicted whose bucket is the next to be the oldest", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ clock });
    await callEachOften(limiter, clock, TO_LIST);
    await redis.client.del(nameOfList("k"));
    clock.advance(WINDOW.windowMs - 25 * (TO_LIST - 1));
    const [ofK, ofOther] = await callEach(limiter, ["k", "other"]);
    // The oldest bucket has expired, and those of the list are forgotten: two and the call are left.
    expect([ofK!.remaining, ofOther!.remaining]).toEqual([997, 1_000 - TO_LIST]);
    expect((await limiter.get("k")).total).toBe(3);
  });

  it("begins a key anew all of whose buckets have expired, wherever they lie", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ clock });
    const names = new KeyNames("trypema", { name, strategy, ...WINDOW });
    const calls = TO_LIST + BUCKETS_OF_CHUNK;
    await callEachOften(limiter, clock, calls);
    // The oldest bucket expires, and so the first chunk lies before the list from now on.
    clock.advance(WINDOW.windowMs - 25 * (calls - 1));
    await callEach(limiter, ["k", "other"]);
    const { state, chunks } = await readStored(redis.client, names.of("k")[0]);
    expect([state?.front, chunks.length, state?.back]).toEqual([BUCKETS_OF_CHUNK - 1, 1, 2]);
    clock.advance(WINDOW.windowMs);
    await callEach(limiter, ["k", "other"]);
    for (const key of ["k", "other"]) {
      expect(await storedOf(names, key)).toMatchObject({ front: 0, chunks: [], back: 0, total: 1, redisKeys: 1 });
    }
    await callEachOften(limiter, clock, 2);
    expect((await limiter.get("k")).total).toBe(3);
  });

  it.each([
    ["a bucket expires", TO_LIST, 1_000 - 25 * (TO_LIST - 1), 3],
    ["a chunk is listed", TO_LIST + BUCKETS_OF_CHUNK - 1, 25, TO_LIST],
  ])("heals where an entry of the list is none of its chunks when %s", async (_, calls, waitMs, total) => {
    const clock = manualClock(1_000_000);
    const limiter = open({ clock });
    await callEachOften(limiter, clock, calls);
    // cmsgpack refuses this byte.
    await redis.client.lset(nameOfList("k"), 0, Buffer.of(0xc1));
    clock.advance(waitMs);
    for (const { allowed } of await callEach(limiter, ["before", "k", "other"])) expect(allowed).toBe(true);
    expect((await limiter.get("k")).total).toBe(total);
    await callEachOften(limiter, clock, 2 * BUCKETS_OF_CHUNK);
    clock.advance(WINDOW.windowMs - 25);
    expect((await limiter.get("k")).total).toBe(1);
  });

  it("denies a call after a bucket has expired, and stores both", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ clock });
    const keys = ["k", "other"];
    const call = (count: number) =>
      Promise.all([...ALONE, ...keys].map((key) => limiter.inc(key, perSecond(10), count)));
    for (const count of [1, 1, 1, 7]) {
      await call(count);
      clock.advance(25);
    }
    clock.advance(WINDOW.windowMs - 100);
    for (const { remaining } of await call(20)) expect(remaining).toBe(1);
    clock.advance(25);
    for (const key of keys) expect((await limiter.get(key)).accepted).toBe(8);
  });

  it("keeps keys in Redis for as long as their newest hits live", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ clock });
    await callEachOften(limiter, clock, TO_LIST);
    const names = await redis.client.keys("*:{:k}*");
    expect(names).toHaveLength(2);
    for (const name of names) {
      expect(await redis.client.pttl(name)).toBeGreaterThan(40_000);
      await redis.client.pexpire(name, 30_000);
    }
    // Each sixteenth of a window there is a first call, which has Redis keep the state anew; and each chunk the list.
    clock.advance(WINDOW.windowMs / 16);
    await callEach(limiter, ["k", "other"]);
    expect(await redis.client.pttl(nameOfState("k"))).toBeGreaterThan(40_000);
    await callEachOften(limiter, clock, BUCKETS_OF_CHUNK);
    for (const name of names) expect(await redis.client.pttl(name)).toBeGreaterThan(40_000);
  });

  it("lets Redis forget a key a window and a sixteenth after its newest hit at most, on the server's clock", async () => {
    const windowMs = 60_000;
    const limiter = open({ windowMs });
    // The waits begin buckets, so that there is a list too.
    for (let i = 0; i < TO_LIST; i++) {
      await sleep(30);
      await callEach(limiter, ["k", "other"]);
    }
    const names = await redis.client.keys("*{:k}*");
    expect(names).toHaveLength(2);
    for (const name of names) {
      const leftMs = await redis.client.pttl(name);
      expect(leftMs).toBeGreaterThan(0);
      expect(leftMs).toBeLessThanOrEqual(windowMs * (1 + 1 / 16));
    }
  });

  it("lets hits live for a window from the latest of several clocks on", async () => {
    const [early, late] = [manualClock(1_000_000), manualClock(1_000_020)];
    await callEach(open({ clock: late }), ["k", "other"]);
    await callEach(open({ clock: early }), ["k", "other"]);
    early.advance(WINDOW.windowMs + 10);
    expect((await open({ clock: early }).get("k")).total).toBe(2);
  });

  it.each([
    ["a chunk is listed", TO_LIST + BUCKETS_OF_CHUNK - 1, 25, TO_LIST + BUCKETS_OF_CHUNK],
    ["a bucket expires", TO_LIST, 1_000 - 25 * (TO_LIST - 1), TO_LIST],
  ])(
    "fails the call to a key whose list is none when %s, and counts those beside it",
    async (_, calls, waitMs, total) => {
      const clock = manualClock(1_000_000);
      const limiter = open({ clock });
      await callEachOften(limiter, clock, calls);
      await redis.client.set(nameOfList("k"), "not ours");
      clock.advance(waitMs);
      await failBesideOther(limiter);
      expect((await limiter.get("other")).total).toBe(total);
      expect(await redis.client.get(nameOfList("k"))).toBe("not ours");
    },
  );

  it("fails the call to a key that holds something else, and leaves that as it is", async () => {
    const limiter = open();
    const state = nameOfState("k");
    await redis.client.hset(state, "not", "ours");
    await failBesideOther(limiter);
    expect(await redis.client.hgetall(state)).toEqual({ not: "ours" });
  });
});
