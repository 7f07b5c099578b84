// Which rate a call is judged by.

import { perMinute, perSecond, unlimited } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeRates({ open }: Subject): void {
  describe.each(STRATEGIES)("%s", (strategy) => {
    it("applies a new rate from the next call on, and keeps the history", async () => {
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

    it("takes rates that are not whole numbers of requests", async () => {
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
  });
}
