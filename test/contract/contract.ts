// What every provider promises, as one suite: Local, Redis and Hybrid run it unchanged. It awaits
// everything and drives time and chance itself.

import {
  type Decision,
  type LimiterOptions,
  type Provider,
  perMinute,
  perSecond,
  type Rate,
  type TrypemaErrorCode,
  unlimited,
} from "trypema";
import { type ManualClock, manualClock } from "trypema/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A provider of the kind under test, with no keys. The suite closes it. */
export type MakeProvider = (options: LimiterOptions) => Provider | Promise<Provider>;

/** What a test can't do with a provider's types: pass what they forbid. */
type Unchecked = (...args: unknown[]) => unknown;

const STRATEGIES = ["absolute", "suppressed"] as const;

const NOTHING = { total: 0, declined: 0, accepted: 0, limit: 0, suppressionFactor: 0 };

export function describeProvider(name: string, makeProvider: MakeProvider): void {
  let clock: ManualClock;
  /**
   * The draws in the order of their use, and zeros after them: 0 is denied by any factor above it, and 0.999
   * passes any factor below it. A provider may draw one ahead of its use, but skips none.
   */
  let draws: number[];
  let drawn: number;
  const opened: Provider[] = [];

  beforeEach(() => {
    clock = manualClock(1_000_000);
    draws = [];
    drawn = 0;
  });

  afterEach(async () => {
    for (const provider of opened.splice(0)) await provider.close();
  });

  async function open(options: LimiterOptions = {}, chance: readonly number[] = []): Promise<Provider> {
    draws = [...chance];
    const random = () => {
      drawn++;
      return draws.shift() ?? 0;
    };
    const provider = await makeProvider({ windowMs: 1_000, bucketMs: 10, clock, random, ...options });
    opened.push(provider);
    return provider;
  }

  describe(`${name}: absolute`, () => {
    it("admits up to the capacity and rejects what comes after", async () => {
      const { absolute } = await open();
      for (let remaining = 4; remaining >= 0; remaining--) {
        expect(await absolute.inc("k", perSecond(5))).toEqual(admission(5, remaining));
      }
      expect(await absolute.inc("k", perSecond(5))).toEqual(rejection(5, 0, 1_000, 5));
    });

    it("records nothing for a rejected call", async () => {
      const { absolute } = await open();
      await absolute.inc("k", perSecond(5), 3);
      for (let i = 0; i < 10; i++) expect((await absolute.inc("k", perSecond(5), 3)).allowed).toBe(false);
      expect((await absolute.get("k")).total).toBe(3);
      expect((await absolute.inc("k", perSecond(5), 2)).allowed).toBe(true);
    });

    it("says exactly how long to wait, and what is free then", async () => {
      const { absolute } = await open({ windowMs: 10_000, bucketMs: 100 });
      await absolute.inc("k", perSecond(1), 3);
      clock.advance(4_000);
      await absolute.inc("k", perSecond(1), 7);
      clock.advance(1_000);
      expect(await absolute.inc("k", perSecond(1))).toEqual(rejection(10, 0, 5_000, 3));
      expect(await absolute.inc("k", perSecond(1), 3)).toEqual(rejection(10, 0, 5_000, 3));
      expect(await absolute.inc("k", perSecond(1), 4)).toEqual(rejection(10, 0, 9_000, 10));
      clock.advance(4_999);
      expect((await absolute.inc("k", perSecond(1), 3)).allowed).toBe(false);
      clock.advance(1);
      expect(await absolute.inc("k", perSecond(1), 3)).toEqual(admission(10, 0));
    });

    it("never admits a call that is larger than the capacity, and says so", async () => {
      const { absolute } = await open();
      expect(await absolute.inc("k", perSecond(5), 6)).toEqual(rejection(5, 5, Number.POSITIVE_INFINITY, 5));
      expect(await absolute.get("k")).toEqual(NOTHING);
      await absolute.inc("k", perSecond(5), 2);
      expect(await absolute.inc("k", perSecond(5), 6)).toEqual(rejection(5, 3, Number.POSITIVE_INFINITY, 5));
    });

    it("shows what is still free to a call that is too heavy for it", async () => {
      const { absolute } = await open();
      await absolute.inc("k", perSecond(5), 3);
      expect(await absolute.inc("k", perSecond(5), 4)).toEqual(rejection(5, 2, 1_000, 5));
    });

    it("keeps a bucket until exactly a window after its newest hit", async () => {
      const { absolute } = await open({ bucketMs: 100 });
      await absolute.inc("k", perSecond(5), 2);
      clock.advance(99);
      await absolute.inc("k", perSecond(5), 2);
      clock.advance(999);
      expect((await absolute.get("k")).total).toBe(4);
      clock.advance(1);
      expect(await absolute.get("k")).toEqual(NOTHING);
    });

    it("makes buckets by the grid of time, not by when a key was first seen", async () => {
      const { absolute } = await open({ bucketMs: 100 });
      clock.advance(99);
      await absolute.inc("k", perSecond(5), 2);
      clock.advance(1);
      await absolute.inc("k", perSecond(5), 3);
      clock.advance(999);
      expect((await absolute.get("k")).total).toBe(3);
    });

    it("never lets two windows' worth through at the edge of a fixed window", async () => {
      const { absolute } = await open();
      clock.advance(990);
      for (let i = 0; i < 10; i++) expect((await absolute.inc("k", perSecond(10))).allowed).toBe(true);
      clock.advance(20);
      expect((await absolute.inc("k", perSecond(10))).allowed).toBe(false);
    });

    it("tells how long a call would wait at the rate that isAllowed is given", async () => {
      const { absolute } = await open();
      await absolute.inc("k", perSecond(10), 4);
      clock.advance(300);
      await absolute.inc("k", perSecond(10), 4);
      clock.advance(300);
      expect(await absolute.isAllowed("k", 1, perSecond(8))).toEqual(rejection(8, 0, 400, 4));
      expect(await absolute.isAllowed("k", 3, perSecond(6))).toEqual(rejection(6, 0, 700, 6));
      expect(await absolute.isAllowed("k", 7, perSecond(6))).toEqual(rejection(6, 0, Number.POSITIVE_INFINITY, 6));
      expect(await absolute.isAllowed("k", 3)).toEqual(rejection(10, 2, 400, 6));
    });

    it("admits exactly the capacity of calls made at once", async () => {
      const { absolute } = await open();
      const decisions = await Promise.all(Array.from({ length: 30 }, () => absolute.inc("k", perSecond(10))));
      expect(decisions.filter((decision) => decision.allowed)).toHaveLength(10);
    });

    it("has a suppression factor of 1 when a call of 1 would be rejected, and 0 before", async () => {
      const { absolute } = await open();
      await absolute.inc("k", perSecond(2));
      expect((await absolute.get("k")).suppressionFactor).toBe(0);
      await absolute.inc("k", perSecond(2));
      expect((await absolute.get("k")).suppressionFactor).toBe(1);
    });

    it("asks nobody for a random number", async () => {
      const { absolute } = await open();
      for (let i = 0; i < 5; i++) await absolute.inc("k", perSecond(2));
      expect(drawn).toBe(0);
    });
  });

  describe(`${name}: suppressed`, () => {
    it("admits up to the capacity like the absolute strategy", async () => {
      const { suppressed } = await open();
      for (let remaining = 4; remaining >= 0; remaining--) {
        expect(await suppressed.inc("k", perSecond(5))).toEqual(admission(5, remaining));
      }
      expect(drawn).toBeLessThanOrEqual(1);
    });

    it("denies a share of the calls over the capacity: 1 − rate / perceived, by a draw", async () => {
      const chance = [0.5, 0.0909, 0.091, 1 - 10 / 13];
      const { suppressed } = await open({ suppressionCacheMs: 0, hardLimitFactor: 10 }, chance);
      await suppressed.inc("k", perSecond(10), 10);
      expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(true, 0, 10, 0, 0, 0));
      expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(false, 1 - 10 / 11, 10, 0, 1_000, 10));
      expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(false, 1 - 10 / 12, 10, 0, 1_000, 10));
      expect(await suppressed.get("k")).toMatchObject({ total: 13, declined: 2, accepted: 11, limit: 10 });
      expect((await suppressed.inc("k", perSecond(10))).allowed).toBe(true);
    });

    it("takes for 0 what is no draw from [0, 1)", async () => {
      for (const draw of [Number.NaN, -1, 1, 2, Number.POSITIVE_INFINITY, "0.9", undefined, 5n]) {
        const random = () => draw as number;
        const { suppressed } = await open({ suppressionCacheMs: 0, hardLimitFactor: 10, random });
        await suppressed.inc("k", perSecond(10), 10);
        expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(true, 0, 10, 0, 0, 0));
        expect((await suppressed.isAllowed("k")).allowed).toBe(false);
        expect((await suppressed.inc("k", perSecond(10))).allowed).toBe(false);
      }
    });

    it("goes on limiting after a denied call of any size", async () => {
      const { suppressed } = await open(
        {},
        Array.from({ length: 100 }, () => 0.999_999),
      );
      expect((await suppressed.inc("k", perSecond(10), Number.MAX_SAFE_INTEGER)).allowed).toBe(false);
      for (let i = 0; i < 100; i++) await suppressed.inc("k", perSecond(10));
      expect((await suppressed.get("k")).accepted).toBeLessThanOrEqual(15);
    });

    it("counts denied calls as observed and declined, never as accepted", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 0 });
      await suppressed.inc("k", perSecond(10), 10);
      await suppressed.inc("k", perSecond(10));
      for (let i = 0; i < 20; i++) expect((await suppressed.inc("k", perSecond(10), 2)).allowed).toBe(false);
      expect(await suppressed.get("k")).toMatchObject({ total: 51, declined: 40, accepted: 11 });
    });

    it("tells a call that records nothing how long the only bucket lives after its newest hit", async () => {
      const { suppressed } = await open({ bucketMs: 100 });
      await suppressed.inc("k", perSecond(2));
      clock.advance(50);
      await suppressed.inc("k", perSecond(2));
      clock.advance(10);
      expect(await suppressed.isAllowed("k", 2)).toMatchObject({ allowed: false, retryAfterMs: 990 });
    });

    it("never lets accepted usage over the hard limit, whatever the draws", async () => {
      const chance = Array.from({ length: 100 }, () => 0.999_999);
      const { suppressed } = await open({ hardLimitFactor: 1.5 }, chance);
      for (let i = 0; i < 100; i++) await suppressed.inc("k", perSecond(10));
      expect(await suppressed.get("k")).toMatchObject({ total: 100, accepted: 15 });
      const denial = await suppressed.inc("k", perSecond(10));
      expect(denial).toMatchObject({ outcome: "suppressed", allowed: false, suppressionFactor: 1 });
      expect(await suppressed.getSuppressionFactor("k")).toBe(1);
    });

    it("never rejects: a denial is an outcome of suppression, with a hint when to come back", async () => {
      const { suppressed } = await open({ windowMs: 10_000, bucketMs: 100, hardLimitFactor: 1 });
      await suppressed.inc("k", perSecond(1), 4);
      clock.advance(3_000);
      await suppressed.inc("k", perSecond(1), 6);
      clock.advance(1_000);
      expect(await suppressed.inc("k", perSecond(1))).toEqual(suppression(false, 1, 10, 0, 6_000, 4));
    });

    it("never admits a call that is larger than the hard limit, and says so", async () => {
      const { suppressed } = await open();
      expect(await suppressed.inc("k", perSecond(10), 16)).toEqual(
        suppression(false, 1, 10, 10, Number.POSITIVE_INFINITY, 10),
      );
      expect(await suppressed.get("k")).toMatchObject({ total: 16, declined: 16, accepted: 0 });
    });

    it("sees a surge by the rate of the last second, long before the window shows it", async () => {
      const { suppressed } = await open({
        windowMs: 10_000,
        bucketMs: 100,
        suppressionCacheMs: 0,
        hardLimitFactor: 10,
      });
      clock.advance(8_500);
      await suppressed.inc("k", perSecond(10), 80);
      clock.advance(1_500);
      await suppressed.inc("k", perSecond(10), 20);
      expect(await suppressed.getSuppressionFactor("k")).toBe(1 - 10 / 20);
      clock.advance(1_000);
      expect(await suppressed.getSuppressionFactor("k")).toBe(0);
    });

    it("computes the factor of a key at most once in suppressionCacheMs", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 100, hardLimitFactor: 10 });
      await suppressed.inc("k", perSecond(10), 10);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(0);
      clock.advance(99);
      expect((await suppressed.inc("k", perSecond(10), 9)).suppressionFactor).toBe(0);
      clock.advance(1);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(0.5);
    });

    it("computes the factor anew after a change of the rate or a correction", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 1_000, hardLimitFactor: 10 });
      await suppressed.inc("k", perSecond(10), 20);
      await suppressed.adjust("k", 20);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(1 - 10 / 40);
      expect((await suppressed.inc("k", perSecond(5))).suppressionFactor).toBe(1 - 5 / 41);
      await suppressed.adjust("k", -22);
      expect((await suppressed.inc("k", perSecond(5))).suppressionFactor).toBe(1 - 5 / 20);
      await suppressed.setIf("k", perSecond(5), { op: "always" }, 10);
      expect((await suppressed.inc("k", perSecond(5))).suppressionFactor).toBe(0.5);
    });

    it("meets a factor of its own at a rate that isAllowed is given, and keeps the one of the key's", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 1_000, hardLimitFactor: 10 });
      await suppressed.inc("k", perSecond(10), 10);
      await suppressed.adjust("k", 10);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(0.5);
      expect(await suppressed.isAllowed("k", 1, perSecond(7))).toEqual(suppression(false, 1 - 7 / 21, 7, 0, 1_000, 7));
      expect(await suppressed.isAllowed("k", 1, perSecond(40))).toEqual(admission(40, 19));
      expect((await suppressed.isAllowed("k", 1, perSecond(10))).suppressionFactor).toBe(0.5);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(0.5);
    });

    it("lets chance decide about a first call over the capacity, at the rate that isAllowed is given", async () => {
      const { suppressed } = await open();
      expect(await suppressed.isAllowed("k", 12, perSecond(10))).toEqual(suppression(true, 0, 10, 0, 0, 0));
      expect(await suppressed.get("k")).toEqual(NOTHING);
    });

    it("tells the factor without recording anything, 0 for an unknown key", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 0, hardLimitFactor: 10 });
      expect(await suppressed.getSuppressionFactor("k")).toBe(0);
      await suppressed.inc("k", perSecond(10), 9);
      await suppressed.adjust("k", 11);
      const before = await suppressed.get("k");
      expect(await suppressed.getSuppressionFactor("k")).toBe(0.5);
      expect(before.suppressionFactor).toBe(0.5);
      expect(await suppressed.get("k")).toEqual(before);
      expect(drawn).toBeLessThanOrEqual(1);
    });

    it("lets go of declined usage with its bucket", async () => {
      const { suppressed } = await open({ hardLimitFactor: 1 });
      await suppressed.inc("k", perSecond(2), 2);
      clock.advance(500);
      await suppressed.inc("k", perSecond(2));
      clock.advance(500);
      expect(await suppressed.get("k")).toMatchObject({ total: 1, declined: 1, accepted: 0 });
      expect((await suppressed.inc("k", perSecond(2))).outcome).toBe("allowed");
    });
  });

  describe.each(STRATEGIES)(`${name}: %s, like the other`, (strategy) => {
    it("limits every key by itself", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("a", perSecond(5), 5);
      expect(await limiter.inc("b", perSecond(5), 5)).toEqual(admission(5, 0));
    });

    it("shares nothing with the other strategy", async () => {
      const provider = await open();
      const other = provider[strategy === "absolute" ? "suppressed" : "absolute"];
      await other.inc("k", perSecond(5), 5);
      expect(await provider[strategy].get("k")).toEqual(NOTHING);
      await provider[strategy].clear();
      expect((await other.get("k")).total).toBe(5);
    });

    it("holds a new rate from the next call on, with the history kept", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 5);
      expect(await limiter.inc("k", perSecond(8))).toEqual(admission(8, 2));
      expect((await limiter.get("k")).limit).toBe(8);
      const downgraded = await limiter.inc("k", perSecond(3));
      expect(downgraded).toMatchObject({ allowed: false, limit: 3, remaining: 0 });
      expect((await limiter.get("k")).limit).toBe(3);
    });

    it("counts without limiting under an unlimited rate", async () => {
      const limiter = (await open())[strategy];
      for (let i = 0; i < 3; i++) {
        expect(await limiter.inc("k", unlimited(), 1_000_000)).toEqual(
          admission(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
        );
      }
      expect(await limiter.get("k")).toEqual({
        total: 3_000_000,
        declined: 0,
        accepted: 3_000_000,
        limit: Number.POSITIVE_INFINITY,
        suppressionFactor: 0,
      });
      expect((await limiter.isAllowed("k")).limit).toBe(Number.POSITIVE_INFINITY);
    });

    it("takes rates that are no whole number of requests", async () => {
      const provider = await open({ windowMs: 2_000 });
      expect((await provider[strategy].inc("a", perSecond(0.5))).limit).toBe(1);
      expect((await provider[strategy].inc("b", perSecond(5.5))).limit).toBe(11);
      expect((await provider[strategy].inc("c", perMinute(180))).limit).toBe(6);
    });

    it("tells what it would decide, and records nothing", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      expect(await limiter.isAllowed("k")).toEqual(admission(5, 1));
      expect(await limiter.isAllowed("k", 2)).toEqual(admission(5, 0));
      expect((await limiter.isAllowed("k", 9)).allowed).toBe(false);
      expect((await limiter.get("k")).total).toBe(3);
    });

    it("judges an unknown key at the rate that isAllowed is given, and it stays unknown", async () => {
      const limiter = (await open())[strategy];
      expect(await limiter.isAllowed("k", 1, perSecond(5))).toEqual(admission(5, 4));
      expect(await limiter.isAllowed("k", 5, perSecond(5))).toEqual(admission(5, 0));
      const tooMuch = await limiter.isAllowed("k", 8, perSecond(5));
      expect(tooMuch).toMatchObject({ allowed: false, limit: 5, remaining: 5, retryAfterMs: Number.POSITIVE_INFINITY });
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(tooMuch).toEqual(await limiter.inc("k", perSecond(5), 8));
    });

    it("answers Infinity for an unknown key when isAllowed is given no rate", async () => {
      const limiter = (await open())[strategy];
      const anything = admission(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
      expect(await limiter.isAllowed("k", 7)).toEqual(anything);
      expect(await limiter.isAllowed("k", 7, undefined)).toEqual(anything);
      expect(await limiter.isAllowed("k", 7, unlimited())).toEqual(anything);
    });

    it("judges a known key at the rate that isAllowed is given, and keeps the rate last given", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(10), 5);
      expect(await limiter.isAllowed("k", 1, perSecond(8))).toEqual(admission(8, 2));
      expect(await limiter.isAllowed("k", 9, perSecond(3))).toMatchObject({ allowed: false, limit: 3, remaining: 0 });
      const none = Number.POSITIVE_INFINITY;
      expect(await limiter.isAllowed("k", 1_000, unlimited())).toEqual(admission(none, none));
      expect(await limiter.isAllowed("k")).toEqual(admission(10, 4));
      expect((await limiter.get("k")).limit).toBe(10);
    });

    it("allows an unknown key, which stays unknown", async () => {
      const limiter = (await open())[strategy];
      expect(await limiter.isAllowed("k", 7)).toMatchObject({ outcome: "allowed", allowed: true });
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.adjust("k", 5)).toBe(0);
      expect(await limiter.adjust("k", -5)).toBe(0);
      expect(await limiter.delete("k")).toBe(0);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });

    it("forgets a key when its last bucket has expired", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 5);
      clock.advance(1_000);
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.isAllowed("k", 7)).toMatchObject({ outcome: "allowed" });
      expect(await limiter.adjust("k", 1)).toBe(0);
      expect(await limiter.delete("k")).toBe(0);
      expect(await limiter.inc("k", perSecond(5), 5)).toEqual(admission(5, 0));
    });

    it("gives back what adjust takes, and takes what it adds", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 5);
      expect(await limiter.adjust("k", -2)).toBe(3);
      expect(await limiter.inc("k", perSecond(5), 2)).toEqual(admission(5, 0));
      expect(await limiter.adjust("k", -3)).toBe(2);
      expect(await limiter.adjust("k", 2)).toBe(4);
      expect((await limiter.isAllowed("k", 2)).outcome).not.toBe("allowed");
      expect(await limiter.adjust("k", 0)).toBe(4);
    });

    it("adjusts the newest history first and never below nothing", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(10), 4);
      clock.advance(400);
      await limiter.inc("k", perSecond(10), 4);
      expect(await limiter.adjust("k", -6)).toBe(2);
      clock.advance(599);
      expect((await limiter.get("k")).total).toBe(2);
      clock.advance(1);
      expect(await limiter.get("k")).toEqual(NOTHING);

      await limiter.inc("k", perSecond(10), 4);
      expect(await limiter.adjust("k", -99)).toBe(0);
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.adjust("k", 3)).toBe(0);
    });

    it.each([
      ["lt", 5, false],
      ["lt", 6, true],
      ["gt", 5, false],
      ["gt", 4, true],
      ["eq", 5, true],
      ["eq", 4, false],
      ["ne", 5, false],
      ["ne", 4, true],
    ] as const)("sets a total of 5 if it is %s %d: %s", async (op, value, matched) => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(10), 5);
      const currentTotal = matched ? 2 : 5;
      expect(await limiter.setIf("k", perSecond(10), { op, value }, 2)).toEqual({
        matched,
        previousTotal: 5,
        currentTotal,
      });
      expect((await limiter.get("k")).total).toBe(currentTotal);
    });

    it("sets an unknown key's total, which counts as 0", async () => {
      const limiter = (await open())[strategy];
      const rate = perSecond(10);
      expect(await limiter.setIf("k", rate, { op: "gt", value: 0 }, 4)).toMatchObject({ matched: false });
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.setIf("k", rate, { op: "eq", value: 0 }, 4)).toEqual({
        matched: true,
        previousTotal: 0,
        currentTotal: 4,
      });
      expect(await limiter.get("k")).toMatchObject({ total: 4, limit: 10 });
      clock.advance(1_000);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });

    it("forgets a key whose total is set to 0", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(10), 4);
      expect(await limiter.setIf("k", perSecond(10), { op: "always" }, 0)).toEqual({
        matched: true,
        previousTotal: 4,
        currentTotal: 0,
      });
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.setIf("k", perSecond(10), { op: "always" }, 0)).toMatchObject({ currentTotal: 0 });
      expect(await limiter.isAllowed("k", 99)).toMatchObject({ outcome: "allowed" });
    });

    it("takes the rate of setIf from then on", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(10), 4);
      await limiter.setIf("k", perSecond(20), { op: "always" }, 4);
      expect((await limiter.get("k")).limit).toBe(20);
      await limiter.setIf("k", perSecond(30), { op: "gt", value: 100 }, 4);
      expect((await limiter.get("k")).limit).toBe(30);
    });

    // Buckets of 2, 3 and 4, 400 ms apart, are set to a new total; then totals are read as they expire.
    it.each([
      ["replace", 6, [6, 6, 6, 0]],
      ["preserve-newest", 6, [6, 6, 4, 0]],
      ["preserve-newest", 3, [3, 3, 3, 0]],
      ["preserve-newest", 12, [12, 10, 7, 0]],
      ["preserve-oldest", 6, [6, 4, 1, 0]],
      ["preserve-oldest", 3, [3, 1, 0, 0]],
      ["preserve-oldest", 12, [12, 7, 4, 0]],
      ["preserve-oldest", 9, [9, 7, 4, 0]],
    ] as const)("sets a history, %s, to %d", async (history, count, totals) => {
      const limiter = (await open())[strategy];
      for (const hit of [2, 3, 4]) {
        await limiter.inc("k", perSecond(100), hit);
        clock.advance(400);
      }
      clock.advance(-400);
      await limiter.setIf("k", perSecond(100), { op: "always" }, count, history);
      const seen: number[] = [];
      for (const waitMs of [0, 200, 400, 400]) {
        clock.advance(waitMs);
        seen.push((await limiter.get("k")).total);
      }
      expect(seen).toEqual(totals);
    });

    it("replaces a history by one bucket now", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(10), 4);
      clock.advance(900);
      await limiter.setIf("k", perSecond(10), { op: "always" }, 4, "replace");
      clock.advance(999);
      expect((await limiter.get("k")).total).toBe(4);
      clock.advance(1);
      expect((await limiter.get("k")).total).toBe(0);
    });

    it("forgets a key on delete, and all of them on clear", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("a", perSecond(5), 3);
      await limiter.inc("b", perSecond(5), 5);
      await limiter.inc("c", perSecond(5), 5);
      expect(await limiter.delete("a")).toBe(3);
      expect(await limiter.get("a")).toEqual(NOTHING);
      expect((await limiter.get("b")).total).toBe(5);
      await limiter.clear();
      expect(await limiter.get("b")).toEqual(NOTHING);
      expect(await limiter.inc("c", perSecond(5), 5)).toEqual(admission(5, 0));
    });

    it("goes on when the clock stands still or steps back", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      clock.advance(500);
      await limiter.inc("k", perSecond(5), 2);
      clock.advance(-3_600_000);
      expect((await limiter.isAllowed("k")).outcome).not.toBe("allowed");
      expect((await limiter.get("k")).total).toBe(5);
      clock.advance(500);
      expect((await limiter.get("k")).total).toBe(2);
      clock.advance(500);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });

    it("takes any text of 1 to 255 bytes as a key, and tells keys apart", async () => {
      const limiter = (await open())[strategy];
      const keys = [
        ..."{}* %$\n\0ab",
        "a:b",
        "{a}:b",
        "2001:db8::1",
        "__proto__",
        "constructor",
        "é",
        "e\u0301",
        "日本",
        "🐪",
      ];
      keys.push("x".repeat(255), "é".repeat(127), "🐪".repeat(63));
      for (const [i, key] of keys.entries()) await limiter.inc(key, perSecond(100), i + 1);
      for (const [i, key] of keys.entries()) expect([key, (await limiter.get(key)).total]).toEqual([key, i + 1]);
      for (const [i, key] of keys.entries()) expect(await limiter.delete(key)).toBe(i + 1);
    });

    it.each<[string, unknown, RegExp]>([
      ["an empty string", "", /empty/],
      ["256 bytes of ASCII", "x".repeat(256), /255 bytes/],
      ["256 bytes in pairs", "é".repeat(128), /255 bytes/],
      ["256 bytes in fours", "🐪".repeat(64), /255 bytes/],
      ["a million characters", "x".repeat(1_000_000), /1000000 characters/],
      ["half a surrogate pair", "\ud83d", /surrogate/],
      ["undefined", undefined, /undefined/],
      ["null", null, /null/],
      ["a number", 7, /7/],
      ["an object", {}, /object/],
      ["a symbol", Symbol("s"), /Symbol\(s\)/],
    ])("refuses %s as a key, by every method", async (_, key, message) => {
      const code = "INVALID_KEY";
      const provider = await open();
      const limiter = provider[strategy];
      const rate = perSecond(5);
      await refused(() => (limiter.inc as Unchecked).call(limiter, key, rate), code, message);
      await refused(() => (limiter.isAllowed as Unchecked).call(limiter, key), code, message);
      await refused(() => (limiter.get as Unchecked).call(limiter, key), code, message);
      await refused(() => (limiter.adjust as Unchecked).call(limiter, key, 1), code, message);
      await refused(() => (limiter.delete as Unchecked).call(limiter, key), code, message);
      await refused(() => (limiter.setIf as Unchecked).call(limiter, key, rate, { op: "always" }, 1), code, message);
      if (strategy === "suppressed") {
        const { suppressed } = provider;
        await refused(() => (suppressed.getSuppressionFactor as Unchecked).call(suppressed, key), code, message);
      }
    });

    it.each<[unknown, RegExp]>([
      [0, /got 0, expected a positive integer/],
      [-1, /got -1/],
      [1.5, /got 1\.5/],
      [Number.NaN, /got NaN/],
      [Number.POSITIVE_INFINITY, /got Infinity/],
      [2 ** 53, /got 9007199254740992/],
      ["1", /got "1"/],
      [null, /got null/],
      [1n, /got 1n/],
      [{}, /got an object/],
    ])("refuses %s as a count", async (count, shown) => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      await refused(() => (limiter.inc as Unchecked).call(limiter, "k", perSecond(5), count), "INVALID_COUNT", shown);
      await refused(() => (limiter.inc as Unchecked).call(limiter, "new", perSecond(5), count), "INVALID_COUNT", shown);
      await refused(() => (limiter.isAllowed as Unchecked).call(limiter, "k", count), "INVALID_COUNT", shown);
      expect((await limiter.get("k")).total).toBe(3);
      expect(await limiter.get("new")).toEqual(NOTHING);
    });

    it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53, "1", null, undefined])(
      "refuses %s as a correction",
      async (delta) => {
        const limiter = (await open())[strategy];
        await limiter.inc("k", perSecond(5), 3);
        await refused(() => (limiter.adjust as Unchecked).call(limiter, "k", delta), "INVALID_COUNT", /delta: got/);
        expect((await limiter.get("k")).total).toBe(3);
      },
    );

    it.each([0, -1, Number.NaN, Number.NEGATIVE_INFINITY, "5", null, undefined, {}, 5n])(
      "refuses %s as a rate",
      async (rate) => {
        const limiter = (await open())[strategy];
        await limiter.inc("k", perSecond(5), 3);
        const message = /rate .*perSecond/;
        await refused(() => limiter.inc("k", rate as Rate), "INVALID_RATE", message);
        await refused(() => limiter.inc("new", rate as Rate), "INVALID_RATE", message);
        await refused(() => limiter.setIf("k", rate as Rate, { op: "always" }, 1), "INVALID_RATE", message);
        if (rate !== undefined) {
          await refused(() => limiter.isAllowed("k", 1, rate as Rate), "INVALID_RATE", message);
          await refused(() => limiter.isAllowed("new", 1, rate as Rate), "INVALID_RATE", message);
        }
        expect(await limiter.get("k")).toMatchObject({ total: 3, limit: 5 });
        expect(await limiter.get("new")).toEqual(NOTHING);
      },
    );

    it("refuses a rate that could never admit anything, and says which window would do", async () => {
      const limiter = (await open({ windowMs: 1_000 }))[strategy];
      const rate = perSecond(0.25);
      await refused(() => limiter.inc("k", rate), "CAPACITY_BELOW_ONE", /windowMs to at least 4000/);
      await refused(() => limiter.setIf("k", rate, { op: "always" }, 1), "CAPACITY_BELOW_ONE", /4000/);
      await refused(() => limiter.isAllowed("k", 1, rate), "CAPACITY_BELOW_ONE", /4000/);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });

    it.each([
      [[{ op: "le", value: 1 }, 1], "INVALID_OPTION", /condition\.op: got "le"/],
      [[{}, 1], "INVALID_OPTION", /condition\.op: got undefined/],
      [[undefined, 1], "INVALID_OPTION", /condition\.op/],
      [[null, 1], "INVALID_OPTION", /condition\.op/],
      [[{ op: "lt" }, 1], "INVALID_COUNT", /condition\.value: got undefined/],
      [[{ op: "lt", value: Number.NaN }, 1], "INVALID_COUNT", /condition\.value: got NaN/],
      [[{ op: "lt", value: "9" }, 1], "INVALID_COUNT", /condition\.value: got "9"/],
      [[{ op: "always" }, -1], "INVALID_COUNT", /count: got -1/],
      [[{ op: "always" }, 1.5], "INVALID_COUNT", /count: got 1\.5/],
      [[{ op: "always" }], "INVALID_COUNT", /count: got undefined/],
      [[{ op: "always" }, 1, "keep"], "INVALID_OPTION", /history: got "keep"/],
      [[{ op: "always" }, 1, null], "INVALID_OPTION", /history: got null/],
    ] as const)("refuses setIf(key, rate, ...%j)", async (args, code, message) => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      await refused(() => (limiter.setIf as Unchecked).call(limiter, "k", perSecond(9), ...args), code, message);
      expect(await limiter.get("k")).toMatchObject({ total: 3, limit: 5 });
    });

    it.each([2 ** 53, 2 ** 53 + 2, 1e16, 1e300])("tells what remains of a capacity of %d exactly", async (limit) => {
      const limiter = (await open())[strategy];
      const rate = perSecond(limit);
      let used = 0;
      for (const count of [1, 1, 5, 1, Number.MAX_SAFE_INTEGER - 20, 10]) {
        used += count;
        const expected = admission(limit, limit - used);
        if (used > count) expect(await limiter.isAllowed("k", count)).toEqual(expected);
        expect(await limiter.inc("k", rate, count)).toEqual(expected);
        expect(await limiter.get("k")).toMatchObject({ total: used, limit });
      }
    });

    it("tells what remains where totals go no further", async () => {
      const limiter = (await open())[strategy];
      const most = Number.MAX_SAFE_INTEGER;
      const expected = admission(1e300, 1e300 - most);
      for (let call = 0; call < 3; call++) {
        if (call > 0) expect(await limiter.isAllowed("k", most)).toEqual(expected);
        expect(await limiter.inc("k", perSecond(1e300), most)).toEqual(expected);
      }
    });

    it("keeps totals exact where a count would leave the whole numbers", async () => {
      const limiter = (await open())[strategy];
      const most = Number.MAX_SAFE_INTEGER;
      await limiter.inc("k", unlimited(), most - 1);
      await limiter.inc("k", unlimited(), most);
      expect((await limiter.get("k")).total).toBe(most);
      expect(await limiter.adjust("k", most)).toBe(most);
      expect(await limiter.adjust("k", -most)).toBe(0);
    });
  });

  describe(`${name}: suppressed history`, () => {
    /** 6 accepted and 4 declined in one bucket, then 3 accepted and 9 declined in a second one. */
    async function declinedHistory() {
      const { suppressed } = await open({ hardLimitFactor: 1 });
      await suppressed.inc("k", perSecond(6), 6);
      await suppressed.inc("k", perSecond(6), 4);
      clock.advance(400);
      await suppressed.inc("k", perSecond(9), 3);
      await suppressed.inc("k", perSecond(9), 9);
      expect(await suppressed.get("k")).toMatchObject({ total: 22, declined: 13, accepted: 9 });
      return suppressed;
    }

    it("gives back what was accepted before what was declined", async () => {
      const suppressed = await declinedHistory();
      expect(await suppressed.adjust("k", -5)).toBe(17);
      expect(await suppressed.get("k")).toMatchObject({ total: 17, declined: 13, accepted: 4 });
      expect(await suppressed.adjust("k", -6)).toBe(11);
      expect(await suppressed.get("k")).toMatchObject({ total: 11, declined: 11, accepted: 0 });
    });

    it("shrinks declined counts in proportion, from the oldest", async () => {
      const suppressed = await declinedHistory();
      await suppressed.setIf("k", perSecond(9), { op: "always" }, 17, "preserve-newest");
      expect(await suppressed.get("k")).toMatchObject({ total: 17, declined: 2 + 9 });
    });

    it("shrinks declined counts in proportion, from the newest", async () => {
      const suppressed = await declinedHistory();
      await suppressed.setIf("k", perSecond(9), { op: "always" }, 14, "preserve-oldest");
      expect(await suppressed.get("k")).toMatchObject({ total: 14, declined: 4 + 3 });
    });

    it("shrinks declined counts in proportion when one bucket replaces all", async () => {
      const suppressed = await declinedHistory();
      await suppressed.setIf("k", perSecond(9), { op: "always" }, 11);
      expect(await suppressed.get("k")).toMatchObject({ total: 11, declined: 6 });
    });

    it("keeps declined counts when a total grows", async () => {
      for (const history of ["replace", "preserve-newest", "preserve-oldest"] as const) {
        const suppressed = await declinedHistory();
        await suppressed.setIf("k", perSecond(9), { op: "always" }, 30, history);
        expect(await suppressed.get("k")).toMatchObject({ total: 30, declined: 13 });
      }
    });
  });
}

async function refused(call: () => unknown, code: string, message: RegExp): Promise<void> {
  const failure = await new Promise((resolve) => resolve(call())).then(
    () => "nothing was thrown",
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ name: "TrypemaError", code: code as TrypemaErrorCode });
  expect((failure as Error).message).toMatch(message);
}

function admission(limit: number, remaining: number): Decision {
  return {
    outcome: "allowed",
    allowed: true,
    limit,
    remaining,
    retryAfterMs: 0,
    remainingAfterWaiting: remaining,
    suppressionFactor: 0,
    degraded: false,
  };
}

function rejection(limit: number, remaining: number, retryAfterMs: number, remainingAfterWaiting: number): Decision {
  return {
    outcome: "rejected",
    allowed: false,
    limit,
    remaining,
    retryAfterMs,
    remainingAfterWaiting,
    suppressionFactor: 1,
    degraded: false,
  };
}

function suppression(
  allowed: boolean,
  suppressionFactor: number,
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
): Decision {
  return {
    outcome: "suppressed",
    allowed,
    suppressionFactor,
    limit,
    remaining,
    retryAfterMs,
    remainingAfterWaiting,
    degraded: false,
  };
}
