// Many keys in one script, each called once. Most of these calls are counted in a short way, which has to decide and to
// store what the usual way does.

import fc from "fast-check";
import { createLocalProvider, type Decision, perSecond } from "trypema";
import { createRedisProvider, type RedisOptions } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { FEW_CALLS } from "../../src/redis/call-queue.ts";
import { failureOf } from "../support/failing.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();
const WINDOW_MS = 1_000;
/** Keys whose calls are sent alone, so that the calls made after them share a script. */
const ALONE = Array.from({ length: FEW_CALLS }, (_, i) => `alone ${i}`);

beforeEach(async () => {
  await redis.client.flushall();
});

describe.each(["absolute", "suppressed"] as const)("%s", (strategy) => {
  /** With a deadline that no busy machine misses. */
  function open(options: RedisOptions = {}) {
    return createRedisProvider(redis.client, { windowMs: WINDOW_MS, bucketMs: 25, timeoutMs: 30_000, ...options });
  }

  /** Calls all keys in one script. */
  async function callEach(provider: ReturnType<typeof open>, keys: readonly string[]): Promise<Decision[]> {
    const limiter = provider[strategy];
    const before = provider.stats();
    const decisions = await Promise.all([...ALONE, ...keys].map((key) => limiter.inc(key, perSecond(1_000))));
    const { scripts, scriptCalls } = provider.stats();
    expect(scripts - before.scripts).toBeLessThanOrEqual(scriptCalls - before.scriptCalls - (keys.length - 1));
    return decisions.slice(ALONE.length);
  }

  /** Calls two keys in one script: the call to "k" fails, the call to "other" is admitted. */
  async function failBesideOther(limiter: ReturnType<typeof open>["absolute" | "suppressed"]): Promise<void> {
    const alone = Promise.all(ALONE.map((key) => limiter.inc(key, perSecond(1_000))));
    const [failure, decision] = await Promise.all([
      failureOf(limiter.inc("k", perSecond(1_000))),
      limiter.inc("other", perSecond(1_000)),
    ]);
    await alone;
    expect(failure).toMatchObject({ code: "BACKEND_SCRIPT" });
    expect(decision).toMatchObject({ allowed: true });
  }

  it("decides about many keys as Local does, whatever their histories are", async () => {
    const keys = ["a", "b", "c", "d"];
    const round = fc.record({
      keys: fc.shuffledSubarray(keys, { minLength: 1 }),
      capacity: fc.constantFrom(30, 30, 30, 29),
      count: fc.constantFrom(1, 1, 1, 2, 9),
      waitMs: fc.constantFrom(0, 1, 10, 26, 26, 63, 400, 950),
      before: fc.constantFrom("nothing", "nothing", "nothing", "adjust", "block", "delete"),
    });
    let prefixes = 0;
    const property = fc.asyncProperty(fc.array(round, { maxLength: 40 }), async (rounds) => {
      const clock = manualClock();
      const options = { windowMs: WINDOW_MS, bucketMs: 25, random: () => 0.5, clock };
      const local = createLocalProvider(options)[strategy];
      const shared = open({ ...options, prefix: `random-${++prefixes}` })[strategy];
      for (const { keys: called, capacity, count, waitMs, before } of rounds) {
        clock.advance(waitMs);
        const rate = perSecond(capacity);
        for (const limiter of [local, shared]) {
          if (before === "adjust") await limiter.adjust("a", -1);
          if (before === "block") await limiter.block("b", 30);
          if (before === "delete") await limiter.delete("c");
        }
        const made = [...ALONE, ...called];
        const expected = made.map((key) => local.inc(key, rate, count));
        expect(await Promise.all(made.map((key) => shared.inc(key, rate, count)))).toEqual(expected);
      }
      for (const key of keys) expect(await shared.get(key)).toEqual(local.get(key));
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it("counts nothing any longer that is a window old, however close the calls are", async () => {
    const clock = manualClock(1_000_000);
    const provider = open({ clock });
    const remaining = [];
    for (const waitMs of [10, 20, 972, 13, 5]) {
      clock.advance(waitMs);
      for (const decision of await callEach(provider, ["k", "other"])) remaining.push(decision.remaining);
    }
    expect(remaining).toEqual([999, 999, 998, 998, 997, 997, 997, 997, 996, 996]);
  });

  it("tells denied calls how long to wait for buckets that calls in one script have begun", async () => {
    const options = { windowMs: WINDOW_MS, bucketMs: 10, clock: manualClock(1_000_000), random: () => 0 };
    const provider = open(options);
    const local = createLocalProvider(options)[strategy];
    for (let i = 0; i < 6; i++) {
      options.clock.advance(10);
      await callEach(provider, ["k", "other"]);
      local.inc("k", perSecond(1_000));
    }
    for (const count of [1, 2, 3, 4, 5, 6]) {
      expect(await provider[strategy].inc("k", perSecond(6), count)).toEqual(local.inc("k", perSecond(6), count));
    }
  });

  it("heals where the server has evicted the list of buckets of a key", async () => {
    const clock = manualClock(1_000_000);
    const provider = open({ clock });
    const call = async (times: number) => {
      for (let i = 0; i < times; i++) {
        clock.advance(25);
        await callEach(provider, ["k", "other"]);
      }
    };
    await call(3);
    expect(await redis.client.del(`trypema:${strategy[0]}:${WINDOW_MS}:25:{:k}b`)).toBe(1);
    await call(1);
    // What the list held is forgotten: the bucket between the oldest one and the one that was the newest.
    expect((await provider[strategy].get("k")).total).toBe(3);
    await call(5);
    expect((await provider[strategy].get("k")).total).toBe(8);
    expect((await provider[strategy].get("other")).total).toBe(9);
    clock.advance(WINDOW_MS - 25);
    expect((await provider[strategy].get("k")).total).toBe(1);
  });

  it("keeps keys in Redis for as long as their newest hits live", async () => {
    const clock = manualClock(1_000_000);
    const provider = open({ clock, bucketMs: 10 });
    const keys = ["k", "other"];
    for (let i = 0; i < 4; i++) {
      clock.advance(10);
      await callEach(provider, keys);
    }
    const names = await redis.client.keys("*:{:k}*");
    expect(names).toHaveLength(2);
    for (const name of names) {
      expect(await redis.client.pttl(name)).toBeGreaterThan(40_000);
      await redis.client.pexpire(name, 30_000);
    }
    // Each sixteenth of a window there is a first call, which has Redis keep the key anew.
    clock.advance(WINDOW_MS / 16);
    await callEach(provider, keys);
    for (const name of names) expect(await redis.client.pttl(name)).toBeGreaterThan(40_000);
  });

  it("lets hits live for a window from the latest of several clocks on", async () => {
    const [early, late] = [manualClock(1_000_000), manualClock(1_000_020)];
    await callEach(open({ clock: late }), ["k", "other"]);
    await callEach(open({ clock: early }), ["k", "other"]);
    early.advance(WINDOW_MS + 10);
    expect((await open({ clock: early })[strategy].get("k")).total).toBe(2);
  });

  it("fails the call to a key whose list holds something else, and counts those beside it", async () => {
    const clock = manualClock(1_000_000);
    const provider = open({ clock });
    const limiter = provider[strategy];
    for (let i = 0; i < 3; i++) {
      clock.advance(25);
      await callEach(provider, ["k", "other"]);
    }
    await redis.client.set(`trypema:${strategy[0]}:${WINDOW_MS}:25:{:k}b`, "not ours");
    clock.advance(25);
    await failBesideOther(limiter);
    expect((await limiter.get("other")).total).toBe(4);
    expect(await redis.client.get(`trypema:${strategy[0]}:${WINDOW_MS}:25:{:k}b`)).toBe("not ours");
  });

  it("fails the call to a key that holds something else, and leaves that as it is", async () => {
    const limiter = open()[strategy];
    const state = `trypema:${strategy[0]}:${WINDOW_MS}:25:{:k}`;
    await redis.client.hset(state, "not", "ours");
    await failBesideOther(limiter);
    expect(await redis.client.hgetall(state)).toEqual({ not: "ours" });
  });
});
