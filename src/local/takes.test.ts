// That takes which are sure, and so look at nothing, are decided and counted as those that look at everything.

import fc from "fast-check";
import { seededRandom } from "trypema/testing";
import { afterEach, expect, it, vi } from "vitest";
import { familyOf } from "../core/family.ts";
import { perHour, perSecond, unlimited } from "../core/rate.ts";
import { createLimits, type TakenOf } from "../limits/limits.ts";
import { createLocalProvider, type LocalProvider } from "./provider.ts";
import { Window } from "./window.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const NAMES = ["burst", "soft", "day"] as const;

const DEFINITIONS = {
  burst: { limit: 15, windowMs: 100, bucketMs: 10 },
  soft: { limit: 40, windowMs: 1_000, bucketMs: 50, strategy: "suppressed" },
  day: { limit: 300, windowMs: 8_000, bucketMs: 1_000, blockMs: 30 },
} as const;

/** @param isShared whether the limits share an index of keys: no take is sure without one */
function open(isShared: boolean, maxKeys: number) {
  const clock = { nowMs: 1_000 };
  const provider = createLocalProvider({ clock: () => clock.nowMs, random: () => 0.5, cleanup: false, maxKeys });
  // A limit that is alone has an index of its own, and keeps it.
  if (!isShared) for (const name of NAMES) createLimits(provider, { [name]: DEFINITIONS[name] });
  const limits = createLimits(provider, DEFINITIONS);
  const others = createLimits(provider, { ...DEFINITIONS, burst: { ...DEFINITIONS.burst, limit: 10 } });
  return { clock, provider, limits, others };
}

type Opened = ReturnType<typeof open>;

const KEYS = ["a", "b", "c", "d", "e", "f"];

/** Something that is done to a key between takes. Returns what it answers. */
type Act<Subject> = (subject: Subject, key: string, random: () => number) => unknown;

const ACTS_OF_A_LIMIT: readonly Act<ReturnType<Opened["limits"]["limiter"]>>[] = [
  (limiter, key) => limiter.inc(key, perSecond(50)),
  (limiter, key, random) => limiter.adjust(key, Math.floor(random() * 9) - 4),
  (limiter, key) => limiter.setRate(key, perSecond(50)),
  (limiter, key, random) => limiter.setIf(key, perSecond(60), { op: "gt", value: 0 }, Math.floor(random() * 3)),
  (limiter, key) => limiter.block(key, 20),
  (limiter, key) => limiter.unblock(key),
  (limiter, key) => limiter.delete(key),
  (limiter, _, random) => (random() < 0.1 ? limiter.clear() : undefined),
  (limiter, key) => limiter.get(key),
];

const ACTS: readonly Act<Opened>[] = [
  ({ limits }, key, random) => answerOf(limits.take(key, 1 + Math.floor(random() * 3))),
  ({ limits }, key) => answerOf(limits.take(key, undefined, { burst: { limit: 12 } })),
  ({ limits }, key) => answerOf(limits.take({ burst: key, day: key })),
  ({ limits }, key, random) => answerOf(limits.take({ soft: key, day: anyOf(KEYS, random) })),
  ({ others }, key, random) => [key, key, key, anyOf(KEYS, random)].map((one) => answerOf(others.take(one))),
  ({ limits }, key) => limits.take(key).refund(),
  ({ limits }, key, random) => limits.take(key).settle(Math.floor(random() * 4)),
  ...ACTS_OF_A_LIMIT.map((act): Act<Opened> => {
    return ({ limits }, key, random) => act(limits.limiter(anyOf(NAMES, random)), key, random);
  }),
];

function anyOf<T>(all: readonly T[], random: () => number): T {
  return all[Math.floor(random() * all.length)]!;
}

function answerOf<Asked extends string>(taken: TakenOf<LocalProvider, Asked>) {
  const { allowed, deniedBy, retryAfterMs, decisions } = taken;
  return { allowed, deniedBy, retryAfterMs, decisions };
}

/** Makes the same calls whatever the limits share, and returns all answers. */
function answers(isShared: boolean, maxKeys: number, seed: number): unknown[] {
  const opened = open(isShared, maxKeys);
  const random = seededRandom(seed);
  const all: unknown[] = [];
  for (let step = 0; step < 300; step++) {
    opened.clock.nowMs += random() < 0.3 ? random() ** 2 * 30 : 0;
    const key = KEYS[Math.floor(random() ** 2 * KEYS.length)]!;
    const takes = Array.from({ length: Math.floor(random() * 5) }, () => opened.limits.take(key));
    if (random() < 0.3) all.push(anyOf(ACTS, random)(opened, key, random));
    all.push(...takes.map(answerOf));
  }
  for (const key of KEYS) for (const name of NAMES) all.push(opened.limits.limiter(name).get(key));
  const { limits, ...stats } = opened.provider.stats();
  return [...all, limits, stats];
}

it.each([4, 100])("sure takes are decided and counted as all others are, with room for %i keys", (maxKeys) => {
  const counts = vi.spyOn(Window.prototype, "acceptInNewest");
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      expect(answers(true, maxKeys, seed)).toEqual(answers(false, maxKeys, seed));
    }),
    { numRuns: 100 },
  );
  expect(counts.mock.calls.length).toBeGreaterThan(1_000);
});

const HOUR = { limit: 7, windowMs: 3_600_000 };

it("only so many takes are sure as fit, where each weighs several", () => {
  const family = familyOf(createLocalProvider({ cleanup: false }))!;
  const named = { strategy: "absolute", windowMs: HOUR.windowMs, bucketMs: 10, hardLimitFactor: 1 } as const;
  const limiters = family.limitersTogether(["one", "two"].map((name) => ({ name, ...named })));
  const asks = limiters.map((limiter) => ({ limiter, key: "", rate: perHour(7), count: 2, blockMs: 0 }));
  const taken = Array.from({ length: 4 }, () => family.take(asks, "key"));
  expect(taken).toMatchObject([{ isTaken: true }, { isTaken: true }, { isTaken: true }, { isTaken: false }]);
});

it("no take is sure where one of its limits has another index", () => {
  const provider = createLocalProvider({ cleanup: false });
  createLimits(provider, { one: HOUR, two: HOUR });
  const limits = createLimits(provider, { one: HOUR, two: HOUR, three: { ...HOUR, limit: 5 } });
  limits.limiter("three").inc("other", perHour(5));
  const taken = Array.from({ length: 7 }, () => limits.take("key").allowed);
  expect(taken).toEqual([true, true, true, true, true, false, false]);
  expect(limits.limiter("three").get("other").total).toBe(1);
});

it("takes of a known key are sure after two that weren't, at any limit", () => {
  const counts = vi.spyOn(Window.prototype, "acceptInNewest");
  for (const limit of [5, 2 ** 31 + 5, 2 ** 32 + 1, 2 ** 52]) {
    const clock = () => 1_000;
    const limits = createLimits(createLocalProvider({ clock, cleanup: false }), {
      one: { ...HOUR, limit },
      two: { ...HOUR, limit },
    });
    for (let i = 0; i < 3; i++) limits.take("key");
    expect(counts).not.toHaveBeenCalled();
    limits.take("key");
    expect(counts).toHaveBeenCalledTimes(2);
    counts.mockClear();
  }
});

it("sure takes stop counting where the total would not be exact any longer", () => {
  const limits = createLimits(createLocalProvider({ clock: () => 1_000, cleanup: false }), {
    soft: { limit: Number.MAX_SAFE_INTEGER, windowMs: 1_000, strategy: "suppressed" },
    small: { limit: 20, windowMs: 1_000 },
  });
  expect(limits.take("key", { soft: 2 ** 52, small: 21 }).deniedBy).toBe("small");
  limits.take("key", { soft: 2 ** 52 - 4, small: 1 });
  for (let i = 0; i < 6; i++) expect(limits.take("key").allowed).toBe(true);
  expect(limits.limiter("soft").get("key")).toMatchObject({
    total: Number.MAX_SAFE_INTEGER,
    declined: 2 ** 52,
    accepted: 2 ** 52 - 1,
  });
});

it("no take is sure at a total far beyond the largest that sure takes count", () => {
  const limits = createLimits(createLocalProvider({ cleanup: false }), {
    one: { rate: unlimited(), windowMs: HOUR.windowMs },
    two: HOUR,
  });
  limits.take("key", { one: 2 ** 52 + 2 ** 31 });
  const taken = Array.from({ length: 10 }, () => limits.take("key").allowed);
  expect(taken.filter((isTaken) => isTaken)).toHaveLength(6);
});

it("an empty key is refused, also after a key that had sure takes is gone", () => {
  const limits = createLimits(createLocalProvider({ cleanup: false }), { one: HOUR, two: HOUR });
  expect(() => limits.take("")).toThrow("got an empty string");
  for (let i = 0; i < 3; i++) limits.take("key");
  limits.limiter("one").delete("key");
  expect(() => limits.take("")).toThrow("got an empty string");
  limits.limiter("two").delete("key");
  expect(() => limits.take("")).toThrow("got an empty string");
});
