// What is in Redis: how many keys, for how long, and whose.

import { setTimeout as sleep } from "node:timers/promises";
import { createLimits, createLocalProvider, type Limiter, perMinute, perSecond } from "trypema";
import { createRedisProvider, type RedisOptions } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { KeyNames } from "../../src/redis/keys.ts";
import { readStored } from "../support/stored-state.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

/** With a deadline that no busy machine misses. */
function open(options: RedisOptions = {}) {
  return createRedisProvider(redis.client, { timeoutMs: 30_000, ...options });
}

beforeEach(async () => {
  await redis.client.flushall();
});

describe.each(["absolute", "suppressed"] as const)("%s", (strategy) => {
  it("keeps at most two Redis keys, each with a time to live of the window and a sixteenth", async () => {
    const limiter = open({ windowMs: 60_000, bucketMs: 1 })[strategy];
    for (let i = 0; i < 30; i++) {
      await limiter.inc("k", perMinute(10), 3);
      await limiter.adjust("k", -1);
      await sleep(2); // so that there are many buckets
    }
    await limiter.setIf("k", perMinute(10), { op: "always" }, 15, "preserve-newest");
    const keys = await redis.client.keys("*");
    expect(keys.length).toBeLessThanOrEqual(2);
    for (const key of keys) {
      expect(await redis.client.pttl(key)).toBeGreaterThan(0);
      expect(await redis.client.pttl(key)).toBeLessThanOrEqual(60_000 * (1 + 1 / 16) + 1);
    }
  });

  it("leaves nothing behind for calls that record nothing", async () => {
    const limiter = open({ windowMs: 1_000 })[strategy];
    await limiter.isAllowed("k");
    await limiter.get("k");
    await limiter.adjust("k", 5);
    await limiter.delete("k");
    await limiter.setIf("k", perSecond(2), { op: "gt", value: 0 }, 1);
    if (strategy === "absolute") await limiter.inc("k", perSecond(2), 3);
    await limiter.block("k", 60_000);
    await limiter.unblock("k");
    expect(await redis.client.keys("*")).toEqual([]);
  });

  it.each([1, 30])("leaves nothing behind of %d buckets that are taken back, set to 0 or deleted", async (buckets) => {
    const clock = manualClock(1_000_000);
    const limiter = open({ windowMs: 1_000, bucketMs: 10, clock })[strategy];
    const endings = [
      () => limiter.adjust("k", -3 * buckets),
      () => limiter.adjust("k", -1_000),
      () => limiter.setIf("k", perSecond(1_000), { op: "always" }, 0),
      () => limiter.delete("k"),
    ];
    for (const end of endings) {
      for (let i = 0; i < buckets; i++) {
        clock.advance(10);
        await limiter.inc("k", perSecond(1_000), 3);
      }
      await end();
      expect(await redis.client.keys("*")).toEqual([]);
    }
  });

  it("is gone after its window, with nobody there", async () => {
    const limiter = open({ windowMs: 50, bucketMs: 1 })[strategy];
    for (let i = 0; i < 20; i++) await limiter.inc("k", perSecond(100));
    await expect.poll(() => redis.client.dbsize()).toBe(0);
  });

  it("shares a key with whoever has the same prefix and window, and with nobody else", async () => {
    const same = { prefix: "p", windowMs: 60_000, bucketMs: 100 };
    const limiter = open(same)[strategy];
    await limiter.inc("k", perSecond(1), 4);
    expect((await open(same)[strategy].get("k")).total).toBe(4);
    for (const other of [
      { ...same, prefix: "q" },
      { ...same, prefix: "p*" },
      { ...same, windowMs: 120_000 },
      { ...same, bucketMs: 200 },
    ]) {
      const stranger = open(other)[strategy];
      expect((await stranger.get("k")).total).toBe(0);
      await stranger.inc("k", perSecond(1), 7);
      await stranger.clear();
    }
    const sibling = open(same)[strategy === "absolute" ? "suppressed" : "absolute"];
    expect((await sibling.get("k")).total).toBe(0);
    await sibling.clear();
    expect((await limiter.get("k")).total).toBe(4);
    await limiter.clear();
    expect(await redis.client.keys("*")).toEqual([]);
  });

  it("takes any key, whatever braces and wildcards it has", async () => {
    const limiter = open()[strategy];
    const keys = ["}", "{", "{}", "}b", "k", "k}b", "k}", "a{b}c", "*", "k*", "[::1]:80", "é€😀", "\0", "\r\n"];
    for (const [index, key] of keys.entries()) await limiter.inc(key, perSecond(10), index + 1);
    for (const [index, key] of keys.entries()) expect((await limiter.get(key)).total).toBe(index + 1);
  });

  it("works with a window of 20 000 live buckets", async () => {
    const clock = manualClock(1_000_000);
    const options = { windowMs: 20_000, bucketMs: 1, clock, hardLimitFactor: 1e6, random: () => 0.999_999 };
    const limiter = open(options)[strategy];
    const rate = perSecond(1_000);
    const calls = [];
    for (let i = 0; i < 20_000; i++) {
      clock.advance(1);
      calls.push(limiter.inc("k", rate));
    }
    const decisions = await Promise.all(calls);
    expect(decisions.every(({ allowed }) => allowed)).toBe(true);
    expect(await limiter.get("k")).toMatchObject({ total: 20_000, limit: 20_000 });
    if (strategy === "absolute") {
      expect(await limiter.inc("k", rate, 10_000)).toMatchObject({ allowed: false, retryAfterMs: 10_000 });
    }
    expect(await limiter.adjust("k", -19_000)).toBe(1_000);
    expect((await limiter.setIf("k", rate, { op: "eq", value: 1_000 }, 500, "preserve-oldest")).matched).toBe(true);
    clock.advance(19_000);
    expect((await limiter.get("k")).total).toBeLessThan(500);
  });

  it("heals when the server evicts one of its two keys", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ windowMs: 10_000, bucketMs: 10, clock })[strategy];
    const hit = async (times: number) => {
      for (let i = 0; i < times; i++) {
        clock.advance(10);
        await limiter.inc("k", perSecond(1_000));
      }
    };
    await hit(20);
    const [list] = await redis.client.keys("*}b");
    expect(await redis.client.del(list!)).toBe(1);
    await hit(20);
    expect((await limiter.get("k")).total).toBeLessThan(40);
    await limiter.inc("k", perSecond(1_000), 9_990);
    expect((await limiter.inc("k", perSecond(0.1), 1)).outcome).not.toBe("allowed");
    await limiter.delete("k");
    await hit(20);
    const [state] = await redis.client.keys("*}");
    await redis.client.del(state!);
    expect(await redis.client.exists(list!)).toBe(1);
    await hit(20);
    expect((await limiter.get("k")).total).toBe(20);
    clock.advance(9_900);
    expect((await limiter.get("k")).total).toBe(10);
  });

  it.each([
    ["before the oldest has expired", 20, 0, 1],
    ["after that", 28, 9_730, 1 + 7],
  ])("refunds the buckets that are left where the server has evicted the list, %s", async (_, hits, waitMs, left) => {
    const clock = manualClock(1_000_000);
    const limiter = open({ windowMs: 10_000, bucketMs: 10, clock })[strategy];
    for (let i = 0; i < hits; i++) {
      clock.advance(10);
      await limiter.inc("k", perSecond(1_000), 5);
    }
    clock.advance(waitMs);
    await limiter.adjust("k", 0);
    const [list] = await redis.client.keys("*}b");
    await redis.client.del(list!);
    // The state has the newest bucket and the two before it, and the oldest with those that came from the list.
    expect(await limiter.adjust("k", -15)).toBe(5 * left);
    expect(await limiter.get("k")).toMatchObject({ total: 5 * left, accepted: 5 * left });
    expect((await readStored(redis.client, list!.slice(0, -1))).state).toMatchObject({ chunks: 0 });
    clock.advance(5);
    await limiter.inc("k", perSecond(1_000), 2);
    expect(await limiter.adjust("k", -3)).toBe(5 * left - 1);
  });

  it("counts nothing of a list whose state the server has evicted", async () => {
    const clock = manualClock(1_000_000);
    const limiter = open({ windowMs: 1_000, bucketMs: 10, clock })[strategy];
    const hit = async (times: number) => {
      for (let i = 0; i < times; i++) {
        clock.advance(10);
        await limiter.inc("k", perSecond(1_000));
      }
    };
    await hit(20);
    const [state] = await redis.client.keys("*}");
    await redis.client.del(state!);
    await hit(2);
    expect(await limiter.adjust("k", -1)).toBe(1);
    // What was counted after the state was gone lives on when all of the list has expired.
    clock.advance(989);
    expect((await limiter.get("k")).total).toBe(1);
    clock.advance(1);
    expect((await limiter.get("k")).total).toBe(0);
  });
});

describe.each([
  ["a letter", "x"],
  ["a long text", "a text of another program, each letter of which cmsgpack reads as a number"],
  ["a text of as many letters as a chunk has values", "x".repeat(27)],
  ["no text at all", Buffer.of(0xc1)],
  ["the values of a chunk, but for a letter,", Buffer.of(0, 0xa1, 0x78, ...Buffer.alloc(24), 0xcc, 193)],
])("a list that has %s of somebody else for a chunk", (_name, entry) => {
  const clock = manualClock(1_000_000);
  const rate = perSecond(10);
  const options = { windowMs: 10_000, bucketMs: 10, clock, hardLimitFactor: 1, random: () => 0 };

  async function hit(limiter: Limiter, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      clock.advance(10);
      await limiter.inc("k", rate);
    }
  }

  const calls: Record<string, (limiter: Limiter) => unknown> = {
    "a look": (limiter) => limiter.isAllowed("k", 70, rate),
    "a call that is denied": (limiter) => limiter.inc("k", rate, 70),
    "a refund": (limiter) => limiter.adjust("k", -30),
    "a smaller total that keeps the oldest": (limiter) =>
      limiter.setIf("k", rate, { op: "always" }, 5, "preserve-oldest"),
    "a smaller total that keeps the newest": (limiter) =>
      limiter.setIf("k", rate, { op: "always" }, 15, "preserve-newest"),
    "a time at which all of the list has expired": () => clock.advance(9_900),
  };

  it.each(Object.entries(calls))("fails nothing and is as good as evicted for %s", async (_call, make) => {
    for (const strategy of ["absolute", "suppressed"] as const) {
      const limiter = open(options)[strategy];
      const [state, list] = new KeyNames("trypema", { name: "", strategy, ...options }).of("k");
      for (const at of [0, 1, -1]) {
        await hit(limiter, 40);
        // Under suppression, what a refund takes is below these.
        if (strategy === "suppressed") await limiter.inc("k", rate, 90);
        expect(await redis.client.llen(list)).toBe(4);
        await redis.client.lset(list, at, entry);
        await make(limiter);
        await hit(limiter, 30);
        // Now the entry is the next to expire.
        clock.advance(9_650);
        await hit(limiter, 30);
        const { state: stored, chunks } = await readStored(redis.client, state);
        expect(stored!.chunks).toBe(chunks.length);
        expect(await limiter.get("k")).toMatchObject({
          total: stored!.buckets.reduce((sum, { count }) => sum + count, 0),
          declined: stored!.buckets.reduce((sum, { declined }) => sum + declined, 0),
        });
        clock.advance(options.windowMs);
        expect((await limiter.get("k")).total).toBe(0);
      }
    }
  });
});

describe.each([0, 1, 2])("a list that has something of somebody else for chunk %d", (at) => {
  it.each(["a call", "a call with others", "a take"])(
    "is as good as evicted where that expires, for %s",
    async (asked) => {
      const clock = manualClock(1_000_000);
      const options = { windowMs: 10_000, bucketMs: 10 };
      const limits = createLimits(open({ clock }), { day: { limit: 40, ...options } });
      const inc = (key = "k") => limits.limiter("day").inc(key, perSecond(4));
      for (let i = 0; i < 40; i++) {
        clock.advance(10);
        await inc();
      }
      const [state, list] = new KeyNames("trypema", { name: "day", strategy: "absolute", ...options }).of("k");
      expect(await redis.client.llen(list)).toBe(4);
      await redis.client.lset(list, at, "not ours");
      // The oldest bucket has expired, and so have all chunks before the entry.
      clock.advance(9_625 + 80 * at);
      if (asked === "a take") await limits.take("k");
      else await Promise.all([...(asked === "a call" ? [] : ["1", "2", "3", "4", "5"]), "k"].map((key) => inc(key)));
      const { state: stored } = await readStored(redis.client, state);
      // What is left are the inline buckets, the newest one, and that of the call.
      expect(stored).toMatchObject({ total: 8, chunks: 0 });
    },
  );
});

it("sheds by what is still known where the server has evicted the list", async () => {
  const clock = manualClock(1_000_000);
  const options = { windowMs: 500, bucketMs: 10, suppressionCacheMs: 0, hardLimitFactor: 1e6, random: () => 0, clock };
  const { suppressed } = open(options);
  for (let i = 0; i < 11; i++) {
    await suppressed.inc("k", perSecond(2), 10);
    clock.advance(40);
  }
  const [list] = await redis.client.keys("*}b");
  await redis.client.del(list!);
  clock.advance(60);
  // The oldest bucket has expired, and eight are lost with the list.
  expect(await suppressed.inc("k", perSecond(2), 10)).toMatchObject({ suppressionFactor: 1 - 2 / 40 });
  expect(await suppressed.get("k")).toMatchObject({ total: 30, declined: 30 });
});

it("sheds by what is still known where the server has evicted a list in which the last second begins", async () => {
  const clock = manualClock(1_000_000);
  const options = {
    windowMs: 2_000,
    bucketMs: 10,
    suppressionCacheMs: 0,
    hardLimitFactor: 1e6,
    random: () => 0,
    clock,
  };
  const { suppressed } = open(options);
  for (let i = 0; i < 20; i++) {
    await suppressed.inc("k", perSecond(2), 10);
    clock.advance(99);
  }
  const [list] = await redis.client.keys("*}b");
  await redis.client.del(list!);
  // No bucket has expired, so the total is what it was.
  expect(await suppressed.getSuppressionFactor("k")).toBe(1 - 2 / 100);
  expect(await suppressed.inc("k", perSecond(2), 10)).toMatchObject({ suppressionFactor: 1 - 2 / 100 });
});

it("sees the rate of the last second also by the buckets that came from the list", async () => {
  const clock = manualClock(1_000_000);
  const options = {
    windowMs: 10_000,
    bucketMs: 10,
    suppressionCacheMs: 0,
    hardLimitFactor: 1e6,
    random: () => 0,
    clock,
  };
  const local = createLocalProvider(options).suppressed;
  const { suppressed } = open(options);
  const inc = async () => expect(await suppressed.inc("k", perSecond(1))).toEqual(local.inc("k", perSecond(1)));
  await inc();
  clock.advance(9_400);
  for (let i = 0; i < 13; i++) {
    await inc();
    clock.advance(10);
  }
  clock.advance(9);
  // The first bucket expires meanwhile, and with it the first chunk leaves the list.
  for (let i = 0; i < 120; i++) {
    clock.advance(i < 100 ? 10 : 1);
    if (i % 5 > 0) expect(await suppressed.getSuppressionFactor("k")).toBe(local.getSuppressionFactor("k"));
    else await inc();
  }
});

it("tells a factor that is just below 1 without rounding it", async () => {
  const clock = manualClock(1_000_000);
  const options = { windowMs: 60_000, hardLimitFactor: 1e6, clock, random: () => 0 };
  const local = createLocalProvider(options).suppressed;
  const { suppressed } = open(options);
  for (let tens = 12; tens < 15.9; tens += 0.1) {
    for (const count of [Math.floor(10 ** tens), 1, 1]) {
      expect(await suppressed.inc(`${tens}`, perMinute(1), count)).toEqual(local.inc(`${tens}`, perMinute(1), count));
    }
  }
});

it("on a caller's clock that is before 0, Redis keeps a key no longer than on any other", async () => {
  const clock = manualClock(-1e9);
  const { suppressed } = open({ windowMs: 1_000, bucketMs: 10, clock });
  for (let call = 0; call < 12; call++) {
    await suppressed.inc("k", perSecond(5), 4);
    clock.advance(50);
  }
  const keys = await redis.client.keys("*");
  expect(keys).toHaveLength(2);
  // A window, a sixteenth of it, and the minute to spare.
  for (const key of keys) expect(await redis.client.pttl(key)).toBeLessThan(61_100);
});
