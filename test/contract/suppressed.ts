// What the suppressed strategy decides, and which factor it has.

import { perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, suppression } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeSuppressed({ open, advance, drawn }: Subject): void {
  describe("suppressed", () => {
    it("admits up to the capacity like the absolute strategy", async () => {
      const { suppressed } = await open();
      for (let remaining = 4; remaining >= 0; remaining--) {
        expect(await suppressed.inc("k", perSecond(5))).toEqual(admission(5, remaining));
      }
      expect(drawn()).toBeLessThanOrEqual(1);
    });

    it("denies a share of the calls over the capacity: 1 − rate / perceived, by a draw", async () => {
      const draws = [0.5, 0.0909, 0.091, 1 - 10 / 13];
      const { suppressed } = await open({ suppressionCacheMs: 0, hardLimitFactor: 10 }, draws);
      await suppressed.inc("k", perSecond(10), 10);
      expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(true, 0, 10, 0, 0, 0));
      expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(false, 1 - 10 / 11, 10, 0, 1_000, 10));
      expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(false, 1 - 10 / 12, 10, 0, 1_000, 10));
      expect(await suppressed.get("k")).toMatchObject({ total: 13, declined: 2, accepted: 11, limit: 10 });
      expect((await suppressed.inc("k", perSecond(10))).allowed).toBe(true);
    });

    it("takes 0 for a random number that isn't in [0, 1)", async () => {
      for (const draw of [Number.NaN, -1, 1, 2, Number.POSITIVE_INFINITY, "0.9", undefined, 5n]) {
        const random = () => draw as number;
        const { suppressed } = await open({ suppressionCacheMs: 0, hardLimitFactor: 10, random });
        await suppressed.inc("k", perSecond(10), 10);
        expect(await suppressed.inc("k", perSecond(10))).toEqual(suppression(true, 0, 10, 0, 0, 0));
        expect((await suppressed.isAllowed("k")).allowed).toBe(false);
        expect((await suppressed.inc("k", perSecond(10))).allowed).toBe(false);
      }
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
      advance(50);
      await suppressed.inc("k", perSecond(2));
      advance(10);
      expect(await suppressed.isAllowed("k", 2)).toMatchObject({ allowed: false, retryAfterMs: 990 });
    });

    it("never lets accepted usage over the hard limit, whatever the draws", async () => {
      const draws = Array.from({ length: 100 }, () => 0.999_999);
      const { suppressed } = await open({ hardLimitFactor: 1.5 }, draws);
      for (let i = 0; i < 100; i++) await suppressed.inc("k", perSecond(10));
      expect(await suppressed.get("k")).toMatchObject({ total: 100, accepted: 15 });
      const denial = await suppressed.inc("k", perSecond(10));
      expect(denial).toMatchObject({ outcome: "suppressed", allowed: false, suppressionFactor: 1 });
      expect(await suppressed.getSuppressionFactor("k")).toBe(1);
    });

    it("never rejects: a denial is an outcome of suppression, with a hint when to come back", async () => {
      const { suppressed } = await open({ windowMs: 10_000, bucketMs: 100, hardLimitFactor: 1 });
      await suppressed.inc("k", perSecond(1), 4);
      advance(3_000);
      await suppressed.inc("k", perSecond(1), 6);
      advance(1_000);
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
      advance(8_500);
      await suppressed.inc("k", perSecond(10), 80);
      advance(1_500);
      await suppressed.inc("k", perSecond(10), 20);
      expect(await suppressed.getSuppressionFactor("k")).toBe(1 - 10 / 20);
      advance(1_000);
      expect(await suppressed.getSuppressionFactor("k")).toBe(0);
    });

    it("computes the factor of a key at most once in suppressionCacheMs", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 100, hardLimitFactor: 10 });
      await suppressed.inc("k", perSecond(10), 10);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(0);
      advance(99);
      expect((await suppressed.inc("k", perSecond(10), 9)).suppressionFactor).toBe(0);
      advance(1);
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

    it("computes another factor for another rate that isAllowed is given, and keeps that of the key's own rate", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 1_000, hardLimitFactor: 10 });
      await suppressed.inc("k", perSecond(10), 10);
      await suppressed.adjust("k", 10);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(0.5);
      expect(await suppressed.isAllowed("k", 1, perSecond(7))).toEqual(suppression(false, 1 - 7 / 21, 7, 0, 1_000, 7));
      expect(await suppressed.isAllowed("k", 1, perSecond(40))).toEqual(admission(40, 19));
      expect((await suppressed.isAllowed("k", 1, perSecond(10))).suppressionFactor).toBe(0.5);
      expect((await suppressed.inc("k", perSecond(10))).suppressionFactor).toBe(0.5);
    });

    it("decides about a first call over the capacity by a draw, at the rate that isAllowed is given", async () => {
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
      expect(drawn()).toBeLessThanOrEqual(1);
    });

    it("forgets denied calls when their bucket expires", async () => {
      const { suppressed } = await open({ hardLimitFactor: 1 });
      await suppressed.inc("k", perSecond(2), 2);
      advance(500);
      await suppressed.inc("k", perSecond(2));
      advance(500);
      expect(await suppressed.get("k")).toMatchObject({ total: 1, declined: 1, accepted: 0 });
      expect((await suppressed.inc("k", perSecond(2))).outcome).toBe("allowed");
    });
  });
}
