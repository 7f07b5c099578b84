// What docs/migrating.md says of other libraries, held against what they do, beside what stands for it here.

import type { AddressInfo } from "node:net";
import express, { type RequestHandler } from "express";
import { rateLimit as rateLimitOfExpress } from "express-rate-limit";
import { RateLimiterMemory, RateLimiterRes, RateLimiterUnion } from "rate-limiter-flexible";
import {
  createLimits,
  createLocalProvider,
  type Limiter,
  minutes,
  perDay,
  perMinute,
  perSecond,
  type Rate,
} from "trypema";
import { rateLimit } from "trypema/express";
import { expect, it } from "vitest";

const KEY = "user-123";
const POINTS = 10;
const RATE = perMinute(POINTS);

/** What the page says for what is left now. */
async function left(limiter: Limiter, rate: Rate): Promise<number> {
  const { allowed, remaining } = await limiter.isAllowed(KEY, 1, rate);
  return allowed ? remaining + 1 : 0;
}

it("what is left, and what was used, is what rate-limiter-flexible's get says, whatever was called before", async () => {
  const peer = new RateLimiterMemory({ points: POINTS, duration: 60 });
  const limiter = createLocalProvider().absolute;
  const peerSays = async () => {
    const { remainingPoints, consumedPoints } = (await peer.get(KEY)) ?? { remainingPoints: POINTS, consumedPoints: 0 };
    return { left: remainingPoints, used: consumedPoints };
  };
  const limiterSays = async () => ({ left: await left(limiter, RATE), used: limiter.get(KEY).total });
  const both: [peer: () => Promise<unknown>, ours: () => unknown][] = [
    [() => peer.get(KEY), () => limiter.get(KEY)],
    [() => peer.consume(KEY, 3), () => limiter.inc(KEY, RATE, 3)],
    [() => peer.penalty(KEY, 2), () => limiter.adjust(KEY, 2)],
    [() => peer.reward(KEY, 1), () => limiter.adjust(KEY, -1)],
    [() => peer.consume(KEY, 5), () => limiter.inc(KEY, RATE, 5)],
    [() => peer.set(KEY, 7, 60), () => limiter.setIf(KEY, RATE, { op: "always" }, 7)],
    [() => peer.consume(KEY, 3), () => limiter.inc(KEY, RATE, 3)],
    [() => peer.delete(KEY), () => limiter.delete(KEY)],
  ];
  for (const [peers, ours] of both) {
    await peers();
    ours();
    expect(await limiterSays()).toEqual(await peerSays());
  }
});

it("rate-limiter-flexible counts what it denies, penalties of a new key, and below 0, and nothing here does", async () => {
  const peer = new RateLimiterMemory({ points: POINTS, duration: 60 });
  const limiter = createLocalProvider().absolute;
  await expect(peer.consume(KEY, POINTS + 1)).rejects.toBeInstanceOf(RateLimiterRes);
  expect([(await peer.get(KEY))?.consumedPoints, limiter.inc(KEY, RATE, POINTS + 1).allowed]).toEqual([11, false]);
  expect(limiter.get(KEY).total).toBe(0);
  await peer.delete(KEY);
  expect([(await peer.penalty(KEY, 2)).consumedPoints, limiter.adjust(KEY, 2)]).toEqual([2, 0]);
  limiter.inc(KEY, RATE, 2);
  expect([(await peer.reward(KEY, 3)).consumedPoints, limiter.adjust(KEY, -3)]).toEqual([-1, 0]);
});

it("a key is blocked as by rate-limiter-flexible's block, for longer than the window too, and keeps its usage", async () => {
  const peer = new RateLimiterMemory({ points: POINTS, duration: 60 });
  const limiter = createLocalProvider({ clock: () => 0 }).absolute;
  await peer.consume(KEY, 3);
  limiter.inc(KEY, RATE, 3);
  await peer.block(KEY, 300);
  limiter.block(KEY, 300_000);
  await expect(peer.consume(KEY)).rejects.toBeInstanceOf(RateLimiterRes);
  expect(limiter.inc(KEY, RATE)).toMatchObject({ allowed: false, retryAfterMs: 300_000 });
  expect([(await peer.get(KEY))?.consumedPoints, limiter.get(KEY).total]).toEqual([POINTS + 2, 3]);
});

it("blockMs blocks as rate-limiter-flexible's blockDuration: at the first denial, and not again at the next", async () => {
  const peer = new RateLimiterMemory({ points: 2, duration: 60, blockDuration: 600 });
  let nowMs = 0;
  const limits = createLimits(createLocalProvider({ clock: () => nowMs }), {
    login: { limit: 2, windowMs: 60_000, blockMs: 600_000 },
  });
  for (let call = 0; call < 2; call++) {
    await peer.consume(KEY);
    expect(limits.take(KEY).allowed).toBe(true);
  }
  const denial = async () => peer.consume(KEY).catch((rejection: RateLimiterRes) => rejection);
  expect((await denial()).msBeforeNext).toBe(600_000);
  expect(limits.take(KEY)).toMatchObject({ allowed: false, retryAfterMs: 600_000 });
  nowMs = 5_000;
  expect((await denial()).msBeforeNext).toBeLessThanOrEqual(600_000);
  expect(limits.take(KEY)).toMatchObject({ allowed: false, retryAfterMs: 595_000 });
  await peer.delete(KEY);
  limits.limiter("login").delete(KEY);
  expect([(await peer.consume(KEY)).remainingPoints, limits.take(KEY).decisions.login.remaining]).toEqual([1, 1]);
});

it("a RateLimiterUnion has counted in one limiter what another denies, and no limit here has", async () => {
  const peers = [
    new RateLimiterMemory({ keyPrefix: "burst", points: 1, duration: 1_000 }),
    new RateLimiterMemory({ keyPrefix: "day", points: 5, duration: 86_400 }),
  ];
  const union = new RateLimiterUnion(...peers);
  const limits = createLimits(createLocalProvider(), {
    burst: { limit: 1, windowMs: 1_000_000 },
    day: { limit: 5, windowMs: 86_400_000 },
  });
  expect(Object.keys(await union.consume(KEY))).toEqual(Object.keys(limits.take(KEY).decisions));
  for (let call = 0; call < 3; call++) {
    const rejection = await union.consume(KEY).catch((error: unknown) => error);
    expect(Object.keys(rejection as object)).toEqual([limits.take(KEY).deniedBy]);
  }
  expect([(await peers[1]!.get(KEY))?.consumedPoints, limits.limiter("day").get(KEY).total]).toEqual([4, 1]);
});

/** The statuses and the header fields about limits of three requests. */
async function answersOf(handler: RequestHandler): Promise<unknown[]> {
  const app = express();
  app.use(handler, (_, response) => void response.end("hello"));
  const server = app.listen(0, "127.0.0.1");
  try {
    await new Promise((resolve) => server.once("listening", resolve));
    const answers: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const { status, headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      // The moments of a reset aren't the same, and spans are those of a busy machine.
      const fields = [...headers].filter(([name]) => /^(x-)?rate(limit)?/.test(name) && !name.endsWith("reset"));
      answers.push([status, fields.map(([name, value]) => [name, value.replace(/reset=\d+/, "reset")])]);
    }
    return answers;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it.each([
  [{ legacyHeaders: false, standardHeaders: true }, "draft-6"],
  [{ legacyHeaders: false, standardHeaders: "draft-6" }, "draft-6"],
  [{ legacyHeaders: false, standardHeaders: "draft-7" }, "draft-7"],
  [{}, "x-ratelimit"],
] as const)("express-rate-limit with %j sends what %j does here", async (options, headers) => {
  const answers = await answersOf(rateLimit({ provider: createLocalProvider(), rate: perMinute(2), headers }));
  expect(answers).toEqual(await answersOf(rateLimitOfExpress({ limit: 2, ...options })));
});

it("getKey and resetKey of express-rate-limit are get and delete of the limiter", async () => {
  const provider = createLocalProvider();
  const peer = rateLimitOfExpress({ limit: 2, keyGenerator: () => KEY });
  await answersOf(peer);
  const api = { limit: 2, windowMs: minutes(1) };
  await answersOf(rateLimit({ provider, name: "api", ...api, key: () => KEY }));
  const limiter = createLimits(provider, { api }).limiter("api");
  // There a denied request counts too.
  expect([(await peer.getKey(KEY))?.totalHits, limiter.get(KEY).total]).toEqual([3, 2]);
  await peer.resetKey(KEY);
  expect([await peer.getKey(KEY), limiter.delete(KEY)]).toEqual([undefined, 2]);
  expect(limiter.get(KEY).total).toBe(0);
});

it("has what the Rust crate's version 2 has: its words, its rates, its conditional updates, and the wait of its example", () => {
  let nowMs = 0;
  const provider = createLocalProvider({ windowMs: 10_000, clock: () => nowMs, cleanup: false, random: () => 0 });
  const { absolute, suppressed } = provider;
  const rate = perSecond(1);
  absolute.inc(KEY, rate, 3);
  nowMs = 1_000;
  absolute.inc(KEY, rate, 7);
  // Buckets of 3 and 7: the crate tells the wait for the oldest one whatever the count.
  expect(absolute.inc(KEY, rate)).toMatchObject({ outcome: "rejected", retryAfterMs: 9_000, remainingAfterWaiting: 3 });
  expect(absolute.inc(KEY, rate, 4)).toMatchObject({ retryAfterMs: 10_000, remainingAfterWaiting: 10 });
  expect(absolute.isAllowed(KEY, 1, perSecond(2))).toMatchObject({ allowed: true });
  expect(absolute.setIf(KEY, rate, { op: "lt", value: 5 }, 1)).toEqual({
    matched: false,
    previousTotal: 10,
    currentTotal: 10,
  });
  expect(absolute.setIf(KEY, rate, { op: "always" }, 4, "preserve-newest")).toMatchObject({ currentTotal: 4 });
  expect(absolute.setIf(KEY, rate, { op: "always" }, 0)).toMatchObject({ currentTotal: 0 });
  expect(absolute.get(KEY).limit).toBe(0);
  for (let call = 0; call < 12; call++) suppressed.inc(KEY, rate, 1);
  expect(suppressed.get(KEY)).toMatchObject({ total: 12, declined: expect.any(Number) });
  provider.startCleanup();
  provider.startCleanup();
  provider.stopCleanup();
  provider.close();
  // A month of the crate has 30 days.
  expect((perDay(90 / 30) as number) * 30 * 86_400).toBeCloseTo(90);
});
