// The faked Redis beside a real one: what a program gets from either is the same, also when Redis is away. What
// each decides while Redis is up is in the conformance suite.

import { Redis } from "ioredis";
import { type Provider, perSecond, type RedisStats, type StatsSource } from "trypema";
import { createRedisProvider, type FailurePolicy, type RedisOptions, type RedisProvider } from "trypema/redis";
import { createFakeRedisProvider, manualClock, seededRandom } from "trypema/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { RedisServer } from "../support/redis.ts";

const RATE = perSecond(2);

function fake(options: RedisOptions = {}) {
  const provider = createFakeRedisProvider({ timeoutMs: 20, windowMs: 1_000, clock: manualClock(), ...options });
  onTestFinished(() => provider.close());
  return provider;
}

/** A provider whose server was there and is gone. */
async function bereft(options: RedisOptions): Promise<RedisProvider> {
  const server = await RedisServer.start();
  const client = new Redis(server.port, { enableOfflineQueue: false, retryStrategy: null, lazyConnect: true });
  client.on("error", () => {});
  await client.connect();
  await server.stop();
  onTestFinished(() => client.disconnect());
  return createRedisProvider(client, { windowMs: 1_000, clock: manualClock(), ...options });
}

/** Every method once and more, and what came of it. */
async function everyAnswer({ absolute, suppressed }: Provider): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const limiter of [absolute, suppressed]) {
    const calls = [
      () => limiter.inc("k", RATE),
      () => limiter.inc("k", RATE),
      () => limiter.inc("k", RATE),
      () => limiter.isAllowed("k"),
      () => limiter.isAllowed("k", 1, RATE),
      () => limiter.isAllowed("new", 2, RATE),
      () => limiter.get("k"),
      () => limiter.adjust("k", 1),
      () => limiter.setIf("k", RATE, { op: "always" }, 1),
      () => limiter.delete("k"),
      () => limiter.clear(),
      () => limiter.inc("", RATE),
      () => limiter.inc("k", RATE, 0.5),
    ];
    for (const call of calls) answers.push(await Promise.resolve(call()).catch(({ code }) => code));
  }
  answers.push(await Promise.resolve(suppressed.getSuppressionFactor("k")).catch(({ code }) => code));
  return answers;
}

/** What a provider has counted that doesn't depend on how it sends calls. */
function countedBy(provider: StatsSource) {
  const { limits, degraded, failed, breakerOpenings, isBreakerOpen } = provider.stats() as RedisStats;
  return { limits, degraded, failed, breakerOpenings, isBreakerOpen };
}

describe("a Redis that is down", () => {
  it.each<FailurePolicy>(["throw", "allow", "deny", "local"])(
    "is answered for alike by the real and the faked provider: %s",
    async (onFailure) => {
      const real = await bereft({ onFailure, random: seededRandom(1) });
      const faked = fake({ onFailure, timeoutMs: 200, random: seededRandom(1) });
      faked.redis = "down";
      const answers = await everyAnswer(faked);
      expect(answers).toEqual(await everyAnswer(real));
      expect(countedBy(faked)).toEqual(countedBy(real));
      expect(answers).toContain("INVALID_KEY");
      expect(answers).toContain("INVALID_COUNT");
    },
  );

  it("keeps what it had, and goes on from there at once when it is back", async () => {
    const limiter = fake({ onFailure: "deny" });
    await limiter.absolute.inc("k", RATE);
    limiter.redis = "down";
    for (let i = 0; i < 20; i++) {
      expect(await limiter.absolute.inc("k", RATE)).toMatchObject({ allowed: false, degraded: true });
    }
    limiter.redis = "up";
    expect(await limiter.absolute.inc("k", RATE)).toMatchObject({ allowed: true, remaining: 0, degraded: false });
  });
});

describe("a Redis that is slow", () => {
  it("makes calls wait for their deadline, and counts them all the same", async () => {
    const limiter = fake();
    limiter.redis = "slow";
    await expect(limiter.absolute.inc("k", RATE)).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
    limiter.redis = "up";
    expect((await limiter.absolute.get("k")).total).toBe(1);
  });

  it("counts each call once, as the policy decides it", async () => {
    const provider = fake({ onFailure: "deny", onEvent: false });
    provider.redis = "slow";
    await provider.absolute.inc("k", RATE);
    provider.redis = "up";
    await provider.absolute.inc("k", RATE);
    expect(provider.stats()).toMatchObject({ timeouts: 1, degraded: 1, failed: 0 });
    expect(provider.stats().limits[0]).toMatchObject({ allowed: 1, rejected: 1, degraded: 1 });
  });

  it("tells that the breaker opens, and that it closes when Redis is back", async () => {
    const events: string[] = [];
    const provider = fake({ onEvent: ({ type }) => events.push(type) });
    provider.redis = "down";
    for (let i = 0; i < 5; i++) await provider.absolute.inc("k", RATE).catch(() => {});
    expect(provider.stats().isBreakerOpen).toBe(true);
    provider.redis = "up";
    expect(provider.stats().isBreakerOpen).toBe(false);
    await expect.poll(() => events).toEqual(["breaker-opened", "breaker-closed"]);
  });

  it("opens the breaker after five of them, which a recovery closes", async () => {
    const limiter = fake();
    for (let outage = 0; outage < 2; outage++) {
      limiter.redis = "slow";
      for (let i = 0; i < 5; i++) {
        await expect(limiter.absolute.get("k")).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
      }
      await expect(limiter.absolute.get("k")).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
      limiter.redis = "up";
      expect((await limiter.absolute.get("k")).total).toBe(0);
    }
  });
});

it("refuses what the real provider refuses, and a state that there isn't", () => {
  for (const options of [{ prefix: "{" }, { timeoutMs: 0 }, { onFailure: "retry" }, { windowMs: 0 }, { maxKeys: 1 }]) {
    expect(() => createFakeRedisProvider(options as RedisOptions)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
  }
  const limiter = fake();
  expect(() => Object.assign(limiter, { redis: "gone" })).toThrow(/redis: got "gone", expected one of up, slow, down/);
  expect(limiter.redis).toBe("up");
});
