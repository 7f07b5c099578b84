// What a request took is given back where it was counted and nowhere else, whether Redis goes or comes back between.

import { once } from "node:events";
import { Redis } from "ioredis";
import { createLocalProvider, type Provider, perMinute, perSecond } from "trypema";
import { Guard, type HttpRequest, reservationOf } from "trypema/http";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisOptions } from "trypema/redis";
import { createFakeRedisProvider, type FakeRedisProvider } from "trypema/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { RedisServer } from "../support/redis.ts";
import { limiterOf } from "./limiter-of.ts";

const HUNDRED = perMinute(100);

function requestFrom(peerAddress: string): HttpRequest<object> {
  return { raw: {}, method: "GET", path: "/", peerAddress, header: () => undefined };
}

/** A limiter of one key, and requests to it that haven't been answered. */
function limited(provider: Provider, rate = HUNDRED) {
  const failed = vi.fn();
  const onError = (_: unknown, kind: string) => failed(kind);
  const guard = new Guard<object>({ provider, rate, key: () => "k", onError, uncounted: "failed", onNotice: false });
  const take = async () => {
    const request = requestFrom("::1");
    const verdict = await guard.check(request);
    return {
      status: verdict.answer?.status ?? 200,
      adjust: (delta: number) => reservationOf(request.raw).adjust(delta),
      giveBack: () => verdict.settle!({ status: 500, header: () => undefined }),
    };
  };
  return { take, failed };
}

/** What the next call would find used, by whoever decides now. */
async function used(provider: Provider): Promise<number> {
  const { limit, remaining } = await limiterOf(provider).isAllowed("k");
  return limit === Number.POSITIVE_INFINITY ? 0 : limit - remaining - 1;
}

async function outage(make: (client: Redis, options: RedisOptions) => Provider, options: RedisOptions = {}) {
  let server = await RedisServer.start();
  const { port } = server;
  // Without a queue, for what that holds is sent when Redis is back, and counted then.
  const client = new Redis(port, {
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    retryStrategy: () => 20,
  });
  client.on("error", () => {});
  await once(client, "ready");
  // With a deadline that no busy machine misses: a client without a queue fails at once.
  const provider = make(client, { timeoutMs: 30_000, onFailure: "local", ...options });
  onTestFinished(() => server.stop());
  onTestFinished(() => client.disconnect());
  onTestFinished(() => provider.close());
  const other = createRedisProvider(client, { timeoutMs: 30_000 });
  let others = 0;
  // Another key each time, of which Hybrid has no lease.
  const isAway = async () => (await provider.absolute.inc(`other-${others++}`, HUNDRED)).degraded;
  return {
    provider,
    inRedis: async () => (await limiterOf(other).get("k")).total,
    goAway: async () => {
      await server.stop();
      await expect.poll(isAway).toBe(true);
    },
    comeBack: async () => {
      server = await RedisServer.start(port);
      await expect.poll(isAway).toBe(false);
    },
  };
}

describe("a limiter in front of another rateLimit", () => {
  const provider = createLocalProvider();
  const statusOf = async (...guards: Guard<object>[]) => {
    const asked = requestFrom("203.0.113.7");
    for (const guard of guards) {
      const { answer } = await guard.check(asked);
      if (answer !== undefined) return answer.status;
    }
    return 200;
  };

  it.each([
    ["denies", () => 3, 429],
    ["knows no client of", () => 3, 400],
    ["fails at", () => Promise.reject(new Error("no plan")), "error"],
  ])("gives back what the one behind %s, or with countDenied bounds how much that is", async (_, limit, then) => {
    for (const countDenied of [false, true]) {
      const front = new Guard<object>({ provider, name: `front-${then}-${countDenied}`, limit: 10, countDenied });
      let calls = 0;
      const behind = new Guard<object>({
        provider,
        name: `plan-${then}-${countDenied}`,
        key: () => (then === 400 ? undefined : "k"),
        limit: () => {
          calls++;
          return limit();
        },
        onNotice: false,
      });
      const statuses = [];
      for (let i = 0; i < 20; i++) statuses.push(await statusOf(front, behind).catch(() => "error"));
      const served = then === 429 ? [200, 200, 200] : [];
      const bounded = countDenied ? 10 : 20;
      expect(statuses).toEqual([
        ...served,
        ...Array(bounded - served.length).fill(then),
        ...Array(20 - bounded).fill(429),
      ]);
      expect(calls).toBe(then === 400 ? 0 : bounded);
    }
  });

  it("counts no request that a limiter of its own rateLimit denies", async () => {
    const limiters = [
      { name: "a", limit: 10, countDenied: true },
      { name: "b", limit: 3 },
    ];
    const guard = new Guard<object>({ provider, limiters });
    for (let i = 0; i < 20; i++) await statusOf(guard);
    expect(limiterOf(provider, "a").get("203.0.113.7").total).toBe(3);
  });

  it("refuses what is no boolean", () => {
    expect(() => new Guard<object>({ provider, limit: 5, countDenied: "yes" as never })).toThrow(
      /^countDenied: got "yes", expected one of true, false/,
    );
  });
});

describe("with Redis", () => {
  const make = (client: Redis, options: RedisOptions) => createRedisProvider(client, options);

  it("what Local counted meanwhile is given back to Local, also when Redis is back, and never taken from Redis", async () => {
    const { provider, inRedis, goAway, comeBack } = await outage(make);
    const { take, failed } = limited(provider);
    await goAway();
    const taken = [await take(), await take(), await take()];
    expect(await used(provider)).toBe(3);
    taken[0]!.giveBack();
    await expect.poll(() => used(provider)).toBe(2);
    await comeBack();
    await take();
    taken[1]!.giveBack();
    await taken[2]!.adjust(-1);
    expect(await inRedis()).toBe(1);
    await goAway();
    expect(await used(provider)).toBe(0);
    expect(failed).not.toHaveBeenCalledWith("settlement");
  });

  it("what Redis counted is never taken from Local", async () => {
    const { provider, goAway } = await outage(make);
    const { take, failed } = limited(provider);
    const before = await take();
    await goAway();
    await take();
    before.giveBack();
    await expect.poll(() => failed.mock.calls).toEqual([["settlement"]]);
    expect(await used(provider)).toBe(1);
  });

  it("a denial by its policy is no fault of the client's, and tells nothing of a limit", async () => {
    const provider = createFakeRedisProvider({ onFailure: "deny" });
    provider.redis = "down";
    const onDecision = vi.fn();
    const guard = new Guard({ provider, rate: HUNDRED, key: () => "k", onDecision, strategy: "suppressed" });
    const { answer } = await guard.check(requestFrom("::1"));
    expect(answer).toMatchObject({
      status: 503,
      fields: ["retry-after", "1", "content-type", "application/problem+json"],
    });
    expect(JSON.parse(answer!.body)).toMatchObject({ type: expect.stringMatching(/#temporary-reduced-capacity$/) });
    expect(onDecision.mock.calls[0]![0]).toMatchObject({
      outcome: "unavailable",
      admitted: false,
      decision: { allowed: false, degraded: true },
    });
  });

  it("a rejection by Local in its place is one, with 429", async () => {
    const provider = createFakeRedisProvider({ onFailure: "local" });
    provider.redis = "down";
    const { take } = limited(provider, perMinute(1));
    expect([(await take()).status, (await take()).status]).toEqual([200, 429]);
  });
});

describe("with Hybrid", () => {
  const make = (client: Redis, options: RedisOptions) => createHybridProvider(client, options);

  it.each(["local", "allow"] as const)(
    "what is given back while Redis is away is never reported to it (%s)",
    async (onFailure) => {
      const { provider, inRedis, goAway, comeBack } = await outage(make, { onFailure });
      const { take } = limited(provider);
      await goAway();
      const taken = [];
      for (let i = 0; i < 10; i++) taken.push(await take());
      for (const { giveBack } of taken.slice(0, 4)) giveBack();
      await taken[4]!.adjust(-1);
      await taken[5]!.adjust(2);
      await comeBack();
      await expect.poll(inRedis).toBe(7);
      taken[6]!.giveBack();
      await expect.poll(inRedis).toBe(6);
    },
  );

  it("the Local provider in its place has it back as well", async () => {
    const { provider, goAway } = await outage(make);
    const { take } = limited(provider, perMinute(3));
    await goAway();
    for (let i = 0; i < 6; i++) {
      const { status, adjust } = await take();
      expect(status).toBe(200);
      await adjust(-1);
    }
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await take()).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
  });
});

it("with the Local provider of onBackendFailure, what that counted is given back to it", async () => {
  const { absolute, ...rest } = createLocalProvider();
  const inc = () => Promise.reject(new Error("gone"));
  const guard = new Guard<object>({
    provider: { ...rest, absolute: Object.assign(Object.create(absolute), { inc }) },
    rate: perSecond(1 / 60),
    key: () => "k",
    onBackendFailure: "local",
    uncounted: "failed",
  });
  for (let i = 0; i < 3; i++) {
    const verdict = await guard.check(requestFrom("::1"));
    expect(verdict.answer).toBe(undefined);
    verdict.settle!({ status: 500, header: () => undefined });
  }
});

it("with a faked Redis it is the same", async () => {
  const provider: FakeRedisProvider = createFakeRedisProvider({ onFailure: "local", timeoutMs: 20 });
  const { take, failed } = limited(provider);
  const before = await take();
  provider.redis = "down";
  const meanwhile = await take();
  before.giveBack();
  await expect.poll(() => failed.mock.calls).toContainEqual(["settlement"]);
  expect(await used(provider)).toBe(1);
  provider.redis = "up";
  await meanwhile.adjust(-1);
  expect((await limiterOf(provider).get("k")).total).toBe(1);
});

it("a higher cost that could not be counted is not given back later", async () => {
  const provider = createFakeRedisProvider();
  const { take, failed } = limited(provider);
  for (let i = 0; i < 5; i++) await take();
  const heavier = await take();
  provider.redis = "down";
  await heavier.adjust(4);
  expect(failed.mock.calls).toEqual([["settlement"]]);
  provider.redis = "up";
  heavier.giveBack();
  await expect.poll(async () => (await limiterOf(provider).get("k")).total).toBe(5);
});
