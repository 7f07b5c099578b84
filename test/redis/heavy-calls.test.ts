// Denied calls that fit only once many buckets have expired. What they are told is exact, and Redis reads few of the
// buckets for it.

import fc from "fast-check";
import { createLocalProvider, perSecond, unlimited } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { beforeEach, expect, it } from "vitest";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

beforeEach(async () => {
  await redis.client.flushall();
});

const WINDOW = { windowMs: 60_000, bucketMs: 10 };

const count = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 3 }), weight: 8 },
  { arbitrary: fc.integer({ min: 1, max: 2 ** 30 }), weight: 1 },
  { arbitrary: fc.constant(2 ** 52), weight: 1 },
);

const step = fc.oneof(
  {
    arbitrary: fc.record({ does: fc.constant("hits" as const), counts: fc.array(count, { maxLength: 40 }) }),
    weight: 3,
  },
  { arbitrary: fc.record({ does: fc.constant("adjusts" as const), by: fc.integer({ min: -30, max: 5 }) }), weight: 2 },
  { arbitrary: fc.record({ does: fc.constant("waits" as const), ms: fc.integer({ min: 0, max: 70_000 }) }), weight: 1 },
  {
    arbitrary: fc.record({
      does: fc.constant("sets" as const),
      part: fc.double({ min: 0, max: 1.5, noNaN: true }),
      history: fc.constantFrom("preserve-newest" as const, "preserve-oldest" as const),
    }),
    weight: 1,
  },
);

it("a denied call is told by Redis as by Local how long it has to wait, however many buckets that takes", async () => {
  let denied = 0;
  const parts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 8, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), parts, async (steps, asked) => {
      await redis.client.flushall();
      const clock = manualClock(1_000_000);
      const options = { ...WINDOW, clock };
      const exact = createRedisProvider(redis.client, { ...options, timeoutMs: 30_000 }).absolute;
      const local = createLocalProvider(options).absolute;
      const ample = unlimited();
      for (const each of steps) {
        if (each.does === "waits") clock.advance(each.ms);
        if (each.does === "adjusts") expect(await exact.adjust("k", each.by)).toBe(local.adjust("k", each.by));
        if (each.does === "sets") {
          const total = Math.floor(local.get("k").total * each.part);
          if (total === 0 || total > Number.MAX_SAFE_INTEGER) continue;
          const set = ["k", ample, { op: "always" }, total, each.history] as const;
          expect(await exact.setIf(...set)).toEqual(local.setIf(...set));
        }
        if (each.does !== "hits") continue;
        for (const hit of each.counts) {
          clock.advance(20);
          expect(await exact.inc("k", ample, hit)).toEqual(local.inc("k", ample, hit));
        }
      }
      const { total } = local.get("k");
      if (total === 0) return;
      // A capacity that is used to the last, so that a call of a part of it needs that part to expire.
      const limit = Math.min(total, 2 ** 50);
      const rate = perSecond(limit / (WINDOW.windowMs / 1_000));
      for (const part of asked) {
        const weight = Math.max(1, Math.floor(limit * part));
        const decision = await exact.inc("k", rate, weight);
        expect(decision).toEqual(local.inc("k", rate, weight));
        if (!decision.allowed) denied++;
      }
    }),
    { numRuns: 60 },
  );
  expect(denied).toBeGreaterThan(100);
});

it("Redis answers as Local does where totals have stopped at the largest one, so that buckets may count nothing", async () => {
  const call = fc.record({
    waitMs: fc.constantFrom(0, 0, 1, 30, 60, 95),
    weight: fc.constantFrom(1, 1, 1, 2 ** 52, Number.MAX_SAFE_INTEGER),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 40 }), fc.boolean(), async (calls, isCached) => {
      await redis.client.flushall();
      const clock = manualClock(1_000_000);
      const suppressionCacheMs = isCached ? 60_000 : 0;
      const options = {
        windowMs: 100,
        bucketMs: 10,
        hardLimitFactor: 1e9,
        random: () => 0.5,
        suppressionCacheMs,
        clock,
      };
      const { suppressed } = createRedisProvider(redis.client, { ...options, timeoutMs: 30_000 });
      const local = createLocalProvider(options).suppressed;
      for (const { waitMs, weight } of calls) {
        clock.advance(waitMs);
        expect(await suppressed.inc("k", perSecond(10), weight)).toEqual(local.inc("k", perSecond(10), weight));
        expect(await suppressed.get("k")).toEqual(local.get("k"));
      }
    }),
    { numRuns: 150 },
  );
});

it("the wait is exact also where a key that was never idle has counted more than 2^53 in all", async () => {
  const clock = manualClock(1_000_000);
  const options = { ...WINDOW, clock };
  const exact = createRedisProvider(redis.client, { ...options, timeoutMs: 30_000 }).absolute;
  const local = createLocalProvider(options).absolute;
  for (let second = 0; second < 100; second++) {
    clock.advance(1_000);
    const weight = second === 10 || second === 80 ? 2 ** 52 : 1;
    for (const limiter of [exact, local]) await limiter.inc("k", unlimited(), weight);
  }
  // The bucket of 2^52 and those of 1 before it and after it are the whole capacity.
  const rate = perSecond(local.get("k").total / 60);
  for (const weight of [2, 10, 39, 40, 41, 2 ** 51, 2 ** 52, 2 ** 52 + 45, 2 ** 52 + 58]) {
    const decision = await exact.inc("k", rate, weight);
    expect(decision).toMatchObject({ allowed: false });
    expect(decision).toEqual(local.inc("k", rate, weight));
  }
});

it.each([1, 0.5, 0.01])("Redis reads few of 3 000 buckets for a denied call of %d of the capacity", async (part) => {
  const buckets = 3_000;
  const clock = manualClock(1_000_000);
  const { absolute } = createRedisProvider(redis.client, { ...WINDOW, clock, timeoutMs: 30_000 });
  const rate = perSecond(buckets / (WINDOW.windowMs / 1_000));
  const filling: Promise<unknown>[] = [];
  for (let i = 0; i < buckets; i++) {
    clock.advance(10);
    filling.push(absolute.inc("k", rate));
  }
  await Promise.all(filling);
  await redis.client.config("RESETSTAT");
  const { allowed, retryAfterMs } = await absolute.inc("k", rate, buckets * part);
  const stats = await redis.client.info("commandstats");
  expect(allowed).toBe(false);
  // The buckets are 10 ms apart, and the newest was hit just now.
  expect(retryAfterMs).toBe(WINDOW.windowMs - (buckets - buckets * part) * 10);
  const callsOf = (command: string) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  expect(callsOf("lrange")).toBe(0);
  expect(callsOf("lindex")).toBeLessThanOrEqual(1 + Math.log2(buckets));
});

it("Redis reads no more of the list for a look than its decision needs", async () => {
  const clock = manualClock(1_000_000);
  const options = {
    ...WINDOW,
    clock,
    random: () => 0.999,
    hardLimitFactor: 1e6,
    suppressionCacheMs: 0,
    timeoutMs: 30_000,
  };
  const { absolute, suppressed } = createRedisProvider(redis.client, options);
  const filling: Promise<unknown>[] = [];
  for (let i = 0; i < 1_000; i++) {
    clock.advance(10);
    filling.push(absolute.inc("k", perSecond(1_000)), suppressed.inc("k", perSecond(1)));
  }
  await Promise.all(filling);
  const readsOf = async (look: () => Promise<unknown>) => {
    await redis.client.config("RESETSTAT");
    await look();
    return Number(/cmdstat_lindex:calls=(\d+)/.exec(await redis.client.info("commandstats"))?.[1] ?? 0);
  };
  // The last second has more buckets than a state, but only a factor follows from them.
  expect(await readsOf(() => absolute.get("k"))).toBe(0);
  expect(await readsOf(() => absolute.isAllowed("k"))).toBe(0);
  expect(await readsOf(() => absolute.isAllowed("k", 60_000 - 500))).toBeGreaterThan(0);
  expect(await readsOf(() => suppressed.isAllowed("k", 1, perSecond(1_000)))).toBe(0);
  // What the last second has counted is known from the call before.
  expect(await readsOf(() => suppressed.isAllowed("k"))).toBe(1);
});

it("Redis reads few of 3 000 buckets for a refund below those in which nothing is accepted", async () => {
  const clock = manualClock(1_000_000);
  const options = { ...WINDOW, clock, random: () => 0, hardLimitFactor: 1e6, timeoutMs: 30_000 };
  const { suppressed } = createRedisProvider(redis.client, options);
  const rate = perSecond(1);
  const filling: Promise<unknown>[] = [];
  for (let i = 0; i < 3_000; i++) {
    clock.advance(10);
    filling.push(suppressed.inc("k", rate));
  }
  await Promise.all(filling);
  const { accepted } = await suppressed.get("k");
  expect(accepted).toBeGreaterThan(WINDOW.windowMs / 1_000 - 5);
  for (let left = accepted - 1; left >= accepted - 20; left--) {
    await redis.client.config("RESETSTAT");
    await suppressed.adjust("k", -1);
    const stats = await redis.client.info("commandstats");
    expect(Number(/cmdstat_lindex:calls=(\d+)/.exec(stats)?.[1] ?? 0)).toBeLessThanOrEqual(2);
    expect((await suppressed.get("k")).accepted).toBe(left);
  }
});

it.each([
  { windowMs: 10_000, buckets: 103, accepted: 25 },
  // The oldest of the first chunk expire, then all of it; and it is the only chunk, or the next one is begun.
  ...Array.from({ length: 10 }, (_, i) => ({ windowMs: 2_000, buckets: 40 + i, accepted: 29 + i })),
])("the factor is Local's after a refund of hits from before the last second: %j", async (drawn) => {
  const { windowMs, buckets, accepted } = drawn;
  const clock = manualClock(1_000_000);
  const options = { windowMs, bucketMs: 100, clock, random: () => 0, hardLimitFactor: 1e6, suppressionCacheMs: 0 };
  const { suppressed } = createRedisProvider(redis.client, { ...options, timeoutMs: 30_000 });
  const local = createLocalProvider(options).suppressed;
  // The denied hits on top are the heaviest, so that the rate of the last second is above that of the window.
  for (let i = 0; i < buckets; i++) {
    const [rate, count] = i < accepted ? [perSecond(1_000), 1] : [perSecond(1), i < buckets - 10 ? 1 : 9];
    expect(await suppressed.inc("k", rate, count)).toEqual(local.inc("k", rate, count));
    clock.advance(100);
  }
  for (let left = local.get("k").accepted; left > 0; left--) {
    expect(await suppressed.adjust("k", -1)).toBe(local.adjust("k", -1));
    const expected = local.isAllowed("k", 30);
    expect(expected.suppressionFactor).toBeGreaterThan(0.9);
    expect(await suppressed.isAllowed("k", 30)).toEqual(expected);
  }
});
