// What providers tell and count: the same on each kind, once for a family, and never at the cost of a decision.

import { createLimits, createLocalProvider, type OnEvent, type ProviderEvent, perMinute, perSecond } from "trypema";
import { Guard, type Notice } from "trypema/http";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisOptions } from "trypema/redis";
import { createFakeRedisProvider, manualClock, seededRandom } from "trypema/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { useRedis } from "./support/use-redis.ts";

const redis = useRedis();

afterEach(() => {
  vi.restoreAllMocks();
});

let providers = 0;
/** With a prefix of its own, and a deadline that no busy machine misses. */
const ofItsOwn = () => ({ prefix: `events-${providers++}`, timeoutMs: 30_000 });

const KINDS = {
  local: (options: RedisOptions) => createLocalProvider(options),
  redis: (options: RedisOptions) => createRedisProvider(redis.client, { ...options, ...ofItsOwn() }),
  hybrid: (options: RedisOptions) => createHybridProvider(redis.client, { ...options, ...ofItsOwn() }),
  "redis, faked": (options: RedisOptions) => createFakeRedisProvider(options),
};

const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];

describe.each(kinds)("%s", (kind) => {
  it("counts each call once, by limit and outcome, as its decision says", async () => {
    const clock = manualClock();
    const provider = KINDS[kind]({ windowMs: 10_000, clock, random: seededRandom(7), onEvent: false });
    const limits = createLimits(provider, {
      burst: { limit: 5, windowMs: 1_000 },
      soft: { limit: 8, windowMs: 10_000, strategy: "suppressed" },
    });
    const counted: Record<string, number> = {};
    const count = (name: string, { outcome, allowed }: { outcome: string; allowed: boolean }) => {
      const id = `${name} ${outcome} ${allowed}`;
      counted[id] = (counted[id] ?? 0) + 1;
    };
    for (let i = 0; i < 60; i++) {
      count("absolute", await provider.absolute.inc(`k${i % 3}`, perSecond(1), 1 + (i % 2)));
      count("suppressed", await provider.suppressed.inc("k", perSecond(1)));
      const { allowed, decisions } = await limits.take("k", { burst: 1, soft: i % 4 === 0 ? 0 : 1 });
      // Nothing was admitted by a limit whose take another one denied.
      if (allowed || !decisions.burst.allowed) count("burst", decisions.burst);
      if (i % 4 !== 0 && (allowed || !decisions.soft.allowed)) count("soft", decisions.soft);
      await provider.absolute.isAllowed("k0");
      clock.advance(50);
    }
    const said: Record<string, number> = {};
    const say = (id: string, calls: number) => {
      if (calls > 0) said[id] = calls;
    };
    for (const limit of provider.stats().limits) {
      const name = limit.name || limit.strategy;
      say(`${name} allowed true`, limit.allowed);
      say(`${name} rejected false`, limit.rejected);
      say(`${name} suppressed true`, limit.suppressedAdmitted);
      say(`${name} suppressed false`, limit.suppressedDenied);
      expect(limit.degraded).toBe(0);
      expect(limit.nearLimit).toBeLessThanOrEqual(limit.allowed);
    }
    expect(said).toEqual(counted);
    expect(Object.keys(counted).length).toBeGreaterThan(5);
    await provider.close();
  });

  it("counts blocked calls, and those that leave less than a tenth of the capacity", async () => {
    const provider = KINDS[kind]({ windowMs: 60_000, onEvent: false });
    for (let i = 0; i < 22; i++) await provider.absolute.inc("k", perMinute(20));
    await provider.absolute.block("k", 60_000);
    await provider.absolute.inc("k", perMinute(20));
    const [own] = provider.stats().limits;
    expect(own).toMatchObject({
      name: "",
      strategy: "absolute",
      windowMs: 60_000,
      allowed: 20,
      nearLimit: 2,
      rejected: 3,
      blocked: 1,
    });
    await provider.close();
  });

  it("counts only calls of takes that were admitted as allowed, and as near the limit", async () => {
    const provider = KINDS[kind]({ windowMs: 60_000, onEvent: false });
    const limits = createLimits(provider, {
      wide: { limit: 20, windowMs: 60_000 },
      soft: { limit: 20, windowMs: 60_000, strategy: "suppressed" },
      tight: { limit: 19, windowMs: 60_000 },
    });
    const names = ["wide", "soft", "tight"] as const;
    const expected = names.map((name) => ({ name, allowed: 0, nearLimit: 0, suppressedAdmitted: 0 }));
    for (let i = 0; i < 119; i++) {
      const taken = await limits.take("k");
      if (!taken.allowed) continue;
      for (const counts of expected) {
        const { outcome, limit, remaining } = taken.decisions[counts.name];
        if (outcome === "suppressed") counts.suppressedAdmitted++;
        else counts.allowed++;
        if (outcome === "allowed" && 10 * remaining < limit) counts.nearLimit++;
      }
    }
    const { limits: counted } = provider.stats();
    for (const counts of expected) expect(counted.find(({ name }) => name === counts.name)).toMatchObject(counts);
    // Hybrid may admit fewer, because a lease of its own takes room when Redis is asked.
    expect(expected[2]!.allowed).toBeLessThanOrEqual(19);
    expect(expected[2]!.allowed).toBeGreaterThan(kind === "hybrid" ? 9 : 18);
    await provider.close();
  });

  it("has the stats of its whole family, whichever window is asked", async () => {
    const provider = KINDS[kind]({ onEvent: false });
    const hour = provider.withWindow({ windowMs: 3_600_000 });
    await provider.absolute.inc("k", perMinute(5));
    await hour.absolute.inc("k", perMinute(5));
    const allowed = provider.stats().limits.filter((limit) => limit.allowed === 1);
    expect(allowed.map(({ windowMs }) => windowMs)).toEqual([60_000, 3_600_000]);
    expect(hour.stats().limits).toEqual(provider.stats().limits);
    expect(provider.stats().kind).toBe(kind.split(",")[0]);
    await provider.close();
  });

  it("refuses an onEvent that is neither a function nor false", () => {
    expect(() => KINDS[kind]({ onEvent: "log" as unknown as OnEvent })).toThrow(/onEvent: got "log"/);
  });
});

it("Redis counts its scripts and how many calls share them", async () => {
  const provider = createRedisProvider(redis.client, ofItsOwn());
  await provider.absolute.inc("first", perMinute(5));
  expect(provider.stats()).toMatchObject({ scripts: 1, scriptCalls: 1, isBreakerOpen: false, failures: 0 });
  await Promise.all(Array.from({ length: 20 }, (_, i) => provider.absolute.inc(`k${i}`, perMinute(5))));
  const { scripts, scriptCalls } = provider.stats();
  expect(scriptCalls).toBe(21);
  expect(scripts).toBeLessThan(10);
});

it("Hybrid counts leases, reports, and what Redis hasn't confirmed", async () => {
  const clock = manualClock();
  const provider = createHybridProvider(redis.client, { ...ofItsOwn(), clock });
  let decidedHere = 0;
  for (let i = 0; i < 50; i++) {
    if (provider.absolute.tryInc("k", perMinute(1_000)) !== undefined) decidedHere++;
    else await provider.absolute.inc("k", perMinute(1_000));
  }
  const busy = provider.stats();
  expect(busy.limits[0]?.allowed).toBe(50);
  expect(busy.waited).toBe(50 - decidedHere);
  expect(busy.waited).toBeLessThan(50);
  expect(busy.granted).toBeGreaterThan(0);
  expect(busy.keys).toBe(1);
  clock.advance(70);
  await expect.poll(() => provider.stats().unconfirmedKeys).toBe(0);
  await provider.close();
  const closed = provider.stats();
  expect(closed).toMatchObject({ keys: 0, leased: 0, unconfirmedKeys: 0, oldestUnconfirmedMs: 0, reportsLost: 0 });
  expect(closed.reported).toBe(decidedHere);
});

it("Hybrid counts the calls of takes that Redis decides among those that waited, and so each call after `close`", async () => {
  const provider = createHybridProvider(redis.client, { ...ofItsOwn(), clock: manualClock() });
  const limit = { limit: 1_000_000, windowMs: 1_000 };
  const limits = createLimits(provider, { one: limit, two: limit });
  // A call that counts nothing is none.
  await limits.take("k", { two: 0 });
  let waited = 1;
  for (let i = 0; i < 500; i++) {
    const taken = limits.take("k");
    if (taken instanceof Promise) waited += 2;
    await taken;
  }
  expect(provider.stats().waited).toBe(waited);
  expect(waited).toBeLessThan(1 + 2 * 500);
  await provider.close();
  await limits.take({ one: "k" });
  await provider.absolute.inc("k", perMinute(5));
  expect(provider.stats().waited).toBe(waited + 2);
});

function told() {
  const events: ProviderEvent[] = [];
  return { events, onEvent: (event: ProviderEvent) => events.push(event) };
}

const settled = () => new Promise(setImmediate);

it("Local tells of live keys that are forgotten at maxKeys, and counts them", async () => {
  const { events, onEvent } = told();
  const provider = createLocalProvider({ maxKeys: 100, cleanup: false, onEvent });
  for (let i = 0; i < 1_000; i++) provider.absolute.inc(`k${i}`, perMinute(100));
  await settled();
  expect(events[0]).toEqual({ type: "evicted", keys: 1 });
  const { evictions, keys, fullness } = provider.stats();
  expect(evictions + keys).toBe(1_000);
  expect(fullness).toBe(keys / 100);
});

it("Local forgets keys that have expired without counting them as evicted", async () => {
  const { events, onEvent } = told();
  const clock = manualClock();
  const provider = createLocalProvider({ maxKeys: 100, cleanup: false, clock, onEvent });
  for (let i = 0; i < 1_000; i++) {
    provider.absolute.inc(`k${i}`, perMinute(100));
    clock.advance(60_000);
  }
  await settled();
  expect(events).toEqual([]);
  expect(provider.stats().evictions).toBe(0);
});

it("Local tells of its sweeps: how many keys went, and how long that took", async () => {
  const { events, onEvent } = told();
  const clock = manualClock();
  const provider = createLocalProvider({ windowMs: 1_000, clock, cleanup: { intervalMs: 5 }, onEvent });
  for (let i = 0; i < 50; i++) provider.absolute.inc(`k${i}`, perSecond(5));
  clock.advance(2_000);
  await expect.poll(() => events.filter((event) => event.type === "swept" && event.keys === 50)).toHaveLength(1);
  expect(provider.stats()).toMatchObject({ keys: 0, sweptKeys: 50 });
  expect(provider.stats().sweepingMs).toBeGreaterThan(0);
});

it("a listener may call the provider in the middle of everything, and no decision changes", async () => {
  const decide = async (onEvent: OnEvent) => {
    const clock = manualClock();
    const provider = createLocalProvider({
      maxKeys: 10,
      cleanup: false,
      clock,
      onEvent,
    });
    listening = provider;
    const remaining: number[] = [];
    for (let i = 0; i < 300; i++) remaining.push(provider.absolute.inc(`k${i % 40}`, perMinute(20)).remaining);
    await settled();
    return remaining;
  };
  let listening = createLocalProvider();
  let heard = 0;
  const meddle = () => {
    heard++;
    for (let i = 0; i < 40; i++) listening.absolute.get(`k${i}`);
    throw new Error("and it fails");
  };
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  expect(await decide(meddle)).toEqual(await decide(false));
  expect(heard).toBeGreaterThan(0);
  expect(warned).toHaveBeenCalledTimes(1);
});

describe("a failure policy that decides", () => {
  it.each(["allow", "deny", "local"] as const)("is told of by its name, once for a family (%s)", async (onFailure) => {
    const { events, onEvent } = told();
    const provider = createFakeRedisProvider({ onFailure, onEvent });
    provider.redis = "down";
    await provider.absolute.inc("alice", perMinute(5));
    await provider.withWindow({ windowMs: 1_000 }).suppressed.inc("alice", perMinute(60));
    await settled();
    expect(events[0]).toEqual({ type: "degraded", policy: onFailure, calls: 1, code: "BACKEND_UNAVAILABLE" });
    await expect.poll(() => events).toHaveLength(2);
    expect(events[1]).toEqual({ type: "degraded", policy: onFailure, calls: 1, code: "BACKEND_UNAVAILABLE" });
    expect(JSON.stringify(events)).not.toContain("alice");
  });

  it("is a warning of the process once, with the prefix, where nobody listens, and none with onEvent: false", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    for (const onEvent of [undefined, false] as const) {
      const provider = createFakeRedisProvider({
        prefix: "logins",
        onFailure: "allow",
        ...(onEvent === false ? { onEvent } : {}),
      });
      provider.redis = "down";
      for (let i = 0; i < 20; i++) await provider.absolute.inc("alice", perMinute(5));
    }
    expect(warned.mock.calls).toEqual([
      [
        expect.stringMatching(
          /^Redis fails \(BACKEND_UNAVAILABLE\): .* "allow" decides about calls of the provider with the prefix "logins" \(/,
        ),
        { type: "TrypemaNotice", code: "DEGRADED" },
      ],
    ]);
  });

  it("is no business of onEvent where the caller gets the error", async () => {
    const { events, onEvent } = told();
    const provider = createFakeRedisProvider({ onEvent });
    provider.redis = "down";
    await expect(provider.absolute.inc("alice", perMinute(5))).rejects.toThrow();
    await settled();
    expect(events).toEqual([]);
  });
});

describe("HTTP, where the provider throws", () => {
  const request = (raw: object) => ({
    raw,
    method: "GET",
    path: "/",
    peerAddress: "203.0.113.7",
    header: () => undefined,
  });
  const DECIDED = { allow: "pass without a limit", deny: "are answered with 503", local: "each process for itself" };

  it.each(["allow", "deny", "local"] as const)(
    "says so once, and says when that ends (%s)",
    async (onBackendFailure) => {
      const notices: Notice[] = [];
      const provider = createFakeRedisProvider();
      const onNotice = (notice: Notice) => notices.push(notice);
      const guard = new Guard({ provider, name: "api", rate: perMinute(60), onBackendFailure, onNotice });
      await guard.check(request({}));
      expect(notices).toEqual([]);
      provider.redis = "down";
      for (let i = 0; i < 3; i++) await guard.check(request({}));
      expect(notices.map(({ code, limiter }) => [code, limiter])).toEqual([["BACKEND_AWAY", "api"]]);
      expect(notices[0]?.message).toContain(DECIDED[onBackendFailure]);
      provider.redis = "up";
      const now = vi.spyOn(performance, "now");
      now.mockReturnValue(performance.now() + 6_000);
      await guard.check(request({}));
      expect(notices.map(({ code }) => code)).toEqual(["BACKEND_AWAY", "BACKEND_BACK"]);
      provider.redis = "down";
      await guard.check(request({}));
      expect(notices.map(({ code }) => code)).toEqual(["BACKEND_AWAY", "BACKEND_BACK", "BACKEND_AWAY"]);
      provider.redis = "up";
      now.mockReturnValue(performance.now() + 6_000);
      await guard.check(request({}));
      expect(notices[1]?.message).toMatch(/; it failed for 3 requests \(/);
      expect(notices[3]?.message).toMatch(/; it failed for 1 request \(/);
    },
  );

  it("leaves it to the provider where that has a failure policy of its own", async () => {
    const notices: Notice[] = [];
    const { events, onEvent } = told();
    const provider = createFakeRedisProvider({ onFailure: "local", onEvent });
    const guard = new Guard({ provider, rate: perMinute(60), onNotice: (notice) => notices.push(notice) });
    provider.redis = "down";
    await guard.check(request({}));
    await settled();
    expect(notices).toEqual([]);
    expect(events).toHaveLength(1);
  });
});
