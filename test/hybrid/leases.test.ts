// What hybrid providers send to Redis, what they share there, and what is left of them.

import { setTimeout as sleep } from "node:timers/promises";
import { createLocalProvider, type Decision, perHour, perMinute, perSecond, type SuppressedLimiter } from "trypema";
import { createHybridProvider, type HybridOptions, type HybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { runScript } from "../support/built.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();
const opened: HybridProvider[] = [];
/** For how long Redis counts a lease at a `timeoutMs` of 30 s, before the window of its last hits. */
const LONG_LEASE_MS = 60_050;

beforeEach(async () => {
  await redis.client.flushall();
  await redis.client.config("RESETSTAT");
});

afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close();
});

function open(options: HybridOptions = {}): HybridProvider {
  const provider = createHybridProvider(redis.client, { timeoutMs: 30_000, ...options });
  opened.push(provider);
  return provider;
}

/** Who never comes to a round neither reports nor gives back by itself. */
const NO_ROUNDS = { syncIntervalMs: 1_000_000 };

/** Waits until the provider has reported what it has counted. */
async function reported(provider: HybridProvider): Promise<void> {
  await expect.poll(() => provider.stats().unconfirmedKeys).toBe(0);
}

/** Waits until the provider has given back what it has leased, and reported what it has counted. */
async function settled(provider: HybridProvider): Promise<void> {
  await expect.poll(() => provider.stats()).toMatchObject({ leased: 0, unconfirmedKeys: 0 });
}

/** How many scripts Redis has run. */
async function scriptsRun(): Promise<number> {
  const stats = await redis.client.info("commandstats");
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

it("who calls at the same time shares a round trip", async () => {
  const { absolute } = open(NO_ROUNDS);
  await absolute.inc("other", perSecond(1));
  const before = await scriptsRun();
  const decisions = await Promise.all(Array.from({ length: 1_000 }, () => absolute.inc("k", perSecond(10))));
  expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(600);
  expect((await scriptsRun()) - before).toBeLessThanOrEqual(2);
});

it("a key over its limit costs Redis nothing, and neither does an idle one", async () => {
  const provider = open();
  const { absolute } = provider;
  for (let i = 0; i < 20; i++) await absolute.inc("k", perSecond(1 / 6));
  await settled(provider);
  const before = await scriptsRun();
  for (let i = 0; i < 1_000; i++) {
    const decision = absolute.inc("k", perSecond(1 / 6));
    expect(decision).toMatchObject({ outcome: "rejected", degraded: false });
    if (i % 100 === 0) await sleep(20);
  }
  await sleep(200);
  expect(await scriptsRun()).toBe(before);
});

it("tryInc decides what inc would decide at once, and starts no request where Redis had to be asked", async () => {
  const { absolute, suppressed } = open();
  for (const limiter of [absolute, suppressed]) {
    expect(limiter.tryInc("k", perSecond(1_000))).toBeUndefined();
    expect(limiter.getEstimate("k")).toBeUndefined();
    expect(() => limiter.tryInc("", perSecond(1))).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
    expect(() => limiter.tryInc("k", 0 as never)).toThrow(expect.objectContaining({ code: "INVALID_RATE" }));
    expect(() => limiter.tryInc("k", perSecond(1), 0)).toThrow(expect.objectContaining({ code: "INVALID_COUNT" }));
    expect(() => limiter.getEstimate("")).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
  }
  await sleep(50);
  expect(await scriptsRun()).toBe(0);
  for (let call = 0; call < 20; call++) await absolute.inc("k", perSecond(1_000));
  while ((absolute.getEstimate("k")?.leased ?? 0) < 10) await absolute.inc("k", perSecond(1_000));
  const { remaining } = absolute.tryInc("k", perSecond(1_000), 2)!;
  expect(absolute.inc("k", perSecond(1_000))).toMatchObject({ allowed: true, remaining: remaining - 1 });
  expect(absolute.getEstimate("k")).toMatchObject({ used: 60_000 - remaining + 1, limit: 60_000 });
  // A new rate is for Redis to hear of.
  expect(absolute.tryInc("k", perSecond(500))).toBeUndefined();
  expect(absolute.tryInc("k", perSecond(1_000), 60_001)).toMatchObject({ outcome: "rejected" });
});

it("tryInc and getEstimate know nothing after close", async () => {
  const provider = open();
  while (provider.absolute.inc("k", perSecond(1_000)) instanceof Promise) await sleep(1);
  await provider.close();
  expect(provider.absolute.tryInc("k", perSecond(1_000))).toBeUndefined();
  expect(provider.absolute.getEstimate("k")).toBeUndefined();
});

it("a call heavier than the capacity is denied at once, without asking Redis", async () => {
  const { absolute } = open();
  await absolute.inc("k", perSecond(1));
  const decision = absolute.inc("k", perSecond(1), 61);
  expect(decision).toMatchObject({ outcome: "rejected", remaining: 59, retryAfterMs: Number.POSITIVE_INFINITY });
});

it.each(["absolute", "suppressed"] as const)("%s: limits a key together with the Redis provider", async (strategy) => {
  const settings = { windowMs: 3_600_000, hardLimitFactor: 1 };
  const provider = open(settings);
  const hybrid = provider[strategy];
  const other = createRedisProvider(redis.client, { ...settings, timeoutMs: 30_000 })[strategy];
  const rate = perHour(50);
  let admitted = 0;
  for (let i = 0; i < 40; i++) {
    for (const limiter of [hybrid, other]) if ((await limiter.inc("k", rate)).allowed) admitted++;
  }
  // Leases that weren't spent when the other one asked are given back.
  await settled(provider);
  for (let i = 0; i < 10; i++) if ((await hybrid.inc("k", rate)).allowed) admitted++;
  expect(admitted).toBe(50);
  expect((await hybrid.get("k")).accepted).toBe(50);
  expect((await other.get("k")).accepted).toBe(50);
});

it("a call that there is no room for takes nothing from those that there is room for", async () => {
  const [{ absolute }, { absolute: other }] = [open(), open()];
  await absolute.inc("k", perSecond(10));
  expect(await absolute.inc("k", perSecond(10), 600)).toMatchObject({ outcome: "rejected", remaining: 599 });
  expect(await other.inc("k", perSecond(10), 599)).toMatchObject({ allowed: true, remaining: 0 });
});

it("what is leased at one rate is not for calls at another", async () => {
  const { absolute } = open();
  while (absolute.inc("k", perSecond(1_000)) instanceof Promise) await sleep(1);
  const decision = absolute.inc("k", perSecond(1 / 60));
  expect(decision).toBeInstanceOf(Promise);
  expect(await decision).toMatchObject({ outcome: "rejected", limit: 1 });
  expect(absolute.inc("k", perSecond(1_000))).toBeInstanceOf(Promise);
});

it("suppressed: a factor is used for suppressionCacheMs, and then Redis is asked for another", async () => {
  const clock = manualClock();
  // A call that is denied needs no headroom.
  const random = () => 0;
  const { suppressed } = open({ windowMs: 1_000, suppressionCacheMs: 100, hardLimitFactor: 1_000, clock, random });
  // A soft limit of 1, and far more than that.
  for (let i = 0; i < 20; i++) await suppressed.inc("k", perSecond(1));
  clock.advance(100);
  await suppressed.inc("k", perSecond(1));
  clock.advance(50);
  expect(suppressed.inc("k", perSecond(1))).toMatchObject({ outcome: "suppressed" });
  clock.advance(49);
  expect(suppressed.inc("k", perSecond(1))).toMatchObject({ outcome: "suppressed" });
  clock.advance(1);
  const decision = suppressed.inc("k", perSecond(1));
  expect(decision).toBeInstanceOf(Promise);
  expect(await decision).toMatchObject({ outcome: "suppressed" });
  expect(suppressed.inc("k", perSecond(1))).not.toBeInstanceOf(Promise);
});

it("what a crash strands is free again after its lease and a window", async () => {
  const clock = manualClock();
  const settings = { windowMs: 60_000, clock };
  const crashed = open({ ...settings, ...NO_ROUNDS }).absolute;
  for (let i = 0; i < 4; i++) await crashed.inc("k", perMinute(10));
  const others = createRedisProvider(redis.client, { ...settings, timeoutMs: 30_000 }).absolute;
  const first = await others.inc("k", perMinute(10), 2);
  // Two that it reported, two that it had leased, and these two.
  expect(first.remaining).toBe(10 - 2 - 2 - 2);
  clock.advance(LONG_LEASE_MS);
  expect((await others.isAllowed("k", 9, perMinute(10))).allowed).toBe(false);
  clock.advance(60_000 + 100);
  expect((await others.inc("k", perMinute(10), 10)).allowed).toBe(true);
});

it("closing reports everything, and leaves no lease", async () => {
  const provider = open({ syncIntervalMs: 1_000_000 });
  for (let i = 0; i < 100; i++) await provider.absolute.inc("k", perSecond(1_000));
  await provider.close();
  const { absolute } = createRedisProvider(redis.client, { timeoutMs: 30_000 });
  expect((await absolute.get("k")).total).toBe(100);
  expect((await absolute.isAllowed("k")).remaining).toBe(60_000 - 101);
  expect(await provider.absolute.inc("k", perSecond(1_000))).toMatchObject({ allowed: true, remaining: 60_000 - 101 });
});

it("a process that forgets to close ends", async () => {
  const { port } = redis.client.options;
  const { stdout } = await runScript(`
    import { Redis } from "ioredis";
    import { perSecond } from "trypema";
    import { createHybridProvider } from "trypema/hybrid";
    const client = new Redis(${port});
    const { absolute, suppressed } = createHybridProvider(client, { timeoutMs: 10_000 });
    for (let i = 0; i < 100; i++) for (const limiter of [absolute, suppressed]) await limiter.inc("k", perSecond(1));
    client.disconnect();
    console.log("ends");
  `);
  expect(stdout).toBe("ends\n");
});

it("whatever is in Redis of it has a time to live", async () => {
  const { absolute, suppressed } = open({ windowMs: 60_000 });
  for (let i = 0; i < 100; i++) for (const limiter of [absolute, suppressed]) await limiter.inc("k", perMinute(50));
  const keys = await redis.client.keys("*");
  expect(keys.length).toBeGreaterThan(2);
  for (const key of keys) {
    const ttlMs = await redis.client.pttl(key);
    expect(ttlMs).toBeGreaterThan(0);
    expect(ttlMs).toBeLessThanOrEqual(LONG_LEASE_MS + 60_000 + 60_000 / 16 + 100);
  }
});

/** A hundred calls, in a window that is over long after the test. */
const HUNDRED = { windowMs: 600_000 };
const RATE = perMinute(10);
/** Keeps a lease that nobody spends for half of its time. */
const LEASING = { ...HUNDRED, timeoutMs: 600_000 };
const LEASING_MS = 2 * LEASING.timeoutMs + 50;

/** Calls until a call is covered by a lease. */
async function lease(limiter: HybridProvider["absolute" | "suppressed"]): Promise<void> {
  for (;;) {
    const decision = limiter.inc("k", RATE);
    if (!(decision instanceof Promise)) return;
    await decision;
  }
}

const TO_NOTHING = {
  adjust: (provider: HybridProvider, total: number) => provider.absolute.adjust("k", -total),
  setIf: (provider: HybridProvider) => provider.absolute.setIf("k", RATE, { op: "always" }, 0),
  delete: (provider: HybridProvider) => provider.absolute.delete("k"),
};

it.each(Object.entries(TO_NOTHING))("%s takes nothing from who has leased it", async (_, makeNothing) => {
  const [leasing, correcting, other] = [open(LEASING), open(HUNDRED), open(HUNDRED)];
  await lease(leasing.absolute);
  await reported(leasing);
  await makeNothing(correcting, (await other.absolute.get("k")).total);
  let admitted = 0;
  for (let i = 0; i < 100; i++) if ((await other.absolute.inc("k", RATE)).allowed) admitted++;
  expect(admitted).toBeGreaterThan(50);
  let spent = 0;
  for (;;) {
    const decision = leasing.absolute.inc("k", RATE);
    if (decision instanceof Promise || !decision.allowed) break;
    spent++;
  }
  expect(spent).toBeGreaterThan(0);
  expect(admitted + spent).toBeLessThanOrEqual(100);
});

it("what is free after a wait counts what was used once", async () => {
  const settings = { ...HUNDRED, bucketMs: HUNDRED.windowMs };
  const other = createRedisProvider(redis.client, { ...settings, timeoutMs: 30_000 }).absolute;
  await other.inc("k", RATE, 60);
  await lease(open({ ...settings, ...LEASING }).absolute);
  const denied = await other.inc("k", RATE, 100);
  expect(denied.allowed).toBe(false);
  expect(denied.remainingAfterWaiting).toBeLessThan(100);
  expect((await other.isAllowed("k", 100)).remainingAfterWaiting).toBeLessThan(100);
});

it.each(["absolute", "suppressed"] as const)(
  "%s: isAllowed with a rate sees what is leased of a key whose history is gone",
  async (strategy) => {
    const settings = { ...HUNDRED, hardLimitFactor: 1 };
    const leasing = open({ ...settings, ...LEASING });
    await lease(leasing[strategy]);
    await reported(leasing);
    const other = createRedisProvider(redis.client, { ...settings, timeoutMs: 30_000 })[strategy];
    await other.delete("k");
    const { remaining } = await other.isAllowed("k", 1, RATE);
    expect(remaining).toBeLessThan(99);
    const denied = await other.isAllowed("k", remaining + 2, RATE);
    expect(denied).toMatchObject({ allowed: false, remaining: remaining + 1 });
    expect(denied.retryAfterMs).toBeGreaterThan(0);
    expect(denied.retryAfterMs).toBeLessThanOrEqual(LEASING_MS + HUNDRED.windowMs);
    expect((await other.isAllowed("k")).remaining).toBe(Number.POSITIVE_INFINITY);
    expect((await other.inc("k", RATE)).remaining).toBe(remaining);
  },
);

it("calls that can never fit are leased nothing", async () => {
  const { absolute } = open();
  await absolute.inc("k", perSecond(1));
  for (let i = 0; i < 10; i++) {
    for (let j = 0; j < 100; j++) await absolute.inc("k", perSecond(1), 61);
    await sleep(10);
    await absolute.inc("k", perSecond(1));
  }
  const other = createRedisProvider(redis.client, { timeoutMs: 30_000 }).absolute;
  // 11 are used, and twice that is leased at most.
  expect((await other.isAllowed("k")).remaining).toBeGreaterThanOrEqual(60 - 11 - 22 - 1);
});

it("who was rejected asks again before long, for others may have corrected that", async () => {
  const clock = manualClock();
  const { absolute } = open({ timeoutMs: 10_000, clock });
  await absolute.inc("k", perSecond(1), 60);
  expect(await absolute.inc("k", perSecond(1))).toMatchObject({ allowed: false, retryAfterMs: 60_000 });
  await open({ clock }).absolute.delete("k");
  clock.advance(19_999);
  expect(absolute.inc("k", perSecond(1))).toMatchObject({ allowed: false });
  clock.advance(1);
  expect(await absolute.inc("k", perSecond(1))).toMatchObject({ allowed: true, degraded: false });
});

it("a program that sets a false date loses its leases by that, and nothing else", async () => {
  const { absolute } = open();
  const lease = async () => {
    for (let i = 0; absolute.tryInc("k", perSecond(100)) === undefined && i < 100; i++) {
      await absolute.inc("k", perSecond(100));
      await sleep(1);
    }
  };
  await lease();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
  try {
    await sleep(5);
    expect(absolute.tryInc("k", perSecond(100))).toBe(undefined);
    expect(await absolute.inc("k", perSecond(100))).toMatchObject({ allowed: true, degraded: false });
    await lease();
    expect(absolute.tryInc("k", perSecond(100))).toMatchObject({ allowed: true });
  } finally {
    vi.useRealTimers();
  }
  await sleep(5);
  expect(await absolute.inc("k", perSecond(100))).toMatchObject({ allowed: true, degraded: false });
});

it("a rate is given by calls, and not by what is reported of them later", async () => {
  const { absolute } = open();
  for (let i = 0; i < 3; i++) await absolute.inc("k", perSecond(10));
  await sleep(100);
  await open().absolute.inc("k", perSecond(100));
  await absolute.get("k"); // gives the lease back first
  expect((await absolute.get("k")).limit).toBe(6_000);
});

const FORGETS_FACTOR = {
  setIf: (limiter: SuppressedLimiter) => limiter.setIf("k", perSecond(10), { op: "always" }, 0),
  delete: (limiter: SuppressedLimiter) => limiter.delete("k"),
  adjust: (limiter: SuppressedLimiter) => limiter.adjust("k", -1_000_000),
  rate: () => {},
};

it.each(Object.entries(FORGETS_FACTOR))(
  "suppressed: %s makes the factor be computed anew, as in Local",
  async (how, forget) => {
    const clock = manualClock();
    const settings = { windowMs: 10_000, clock, random: () => 0.9 };
    const rate = perSecond(how === "rate" ? 1_000 : 10);
    const outcomes = [];
    for (const { suppressed } of [createLocalProvider(settings), open(settings)]) {
      for (let i = 0; i < 20; i++) await suppressed.inc("k", perSecond(10), 25);
      await forget(suppressed);
      await suppressed.inc("k", rate, 3);
      outcomes.push(await suppressed.inc("k", rate, how === "rate" ? 10_000 : 100));
    }
    const [local, hybrid] = outcomes as [Decision, Decision];
    expect(local.suppressionFactor).toBeLessThan(0.9);
    expect(hybrid).toEqual(local);
  },
);

it("suppressed: a heavy call is no call over the hard limit where Redis has set a part of its room aside for this process", async () => {
  const clock = manualClock();
  const settings = { windowMs: 7, bucketMs: 1, hardLimitFactor: 4, suppressionCacheMs: 100_000, clock };
  const rate = perSecond(2_000 / 7);
  const hybrid = open({ ...settings, random: () => 0.5 });
  const local = createLocalProvider({ ...settings, random: () => 0.5 });
  const both = async (count: number) =>
    expect(await hybrid.suppressed.inc("k", rate, count)).toEqual(local.suppressed.inc("k", rate, count));
  for (let i = 0; i < 3; i++) await both(1);
  clock.advance(6);
  await both(12);
  clock.advance(1);
  // The answer to the report brings a lease of 2 and some headroom, so Redis has less than 7 left.
  await reported(hybrid);
  await both(7);
});

it("clear forgets also what is learnt meanwhile", async () => {
  const { absolute } = open();
  await absolute.inc("k", perSecond(1), 60);
  const clearing = absolute.clear();
  const decision = absolute.inc("k", perSecond(1));
  await clearing;
  await decision;
  expect((await absolute.inc("k", perSecond(1))).allowed).toBe(true);
});
