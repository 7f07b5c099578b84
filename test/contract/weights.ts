// Calls and totals as large as numbers go.

import { perSecond, unlimited } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeWeights({ open, advance }: Subject): void {
  describe.each(STRATEGIES)("%s", (strategy) => {
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

    it.each([2 ** 55, 1e300])("tells what remains of a capacity of %d where totals go no further", async (limit) => {
      const limiter = (await open())[strategy];
      const most = Number.MAX_SAFE_INTEGER;
      const expected = admission(limit, limit - most);
      for (let call = 0; call < 3; call++) {
        if (call > 0) expect(await limiter.isAllowed("k", most)).toEqual(expected);
        expect(await limiter.inc("k", perSecond(limit), most)).toEqual(expected);
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

    it("doesn't wait for hits of which nothing was counted, because the total was the largest", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", unlimited(), 5);
      advance(100);
      await limiter.inc("k", unlimited(), Number.MAX_SAFE_INTEGER);
      for (let hit = 0; hit < 3; hit++) {
        advance(100);
        expect((await limiter.inc("k", unlimited())).moreAfterMs).toBe(900 - 100 * hit - 100);
      }
      // The 5 are gone, so this hit counts.
      advance(600);
      expect((await limiter.inc("k", unlimited(), 4)).moreAfterMs).toBe(100);
      advance(100);
      expect((await limiter.get("k")).total).toBe(4);
      expect((await limiter.inc("k", unlimited())).moreAfterMs).toBe(900);
      advance(900);
      expect((await limiter.get("k")).total).toBe(1);
    });

    it("knows nothing of a key whose live hits counted nothing, because the total was the largest", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", unlimited(), Number.MAX_SAFE_INTEGER);
      for (let hit = 0; hit < 3; hit++) {
        advance(250);
        await limiter.inc("k", unlimited());
      }
      advance(250);
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.setRate("k", perSecond(5))).toBe(undefined);
      expect(await limiter.inc("k", unlimited(), 2)).toMatchObject({
        remaining: Number.POSITIVE_INFINITY,
        moreAfterMs: 1_000,
      });
      advance(999);
      expect((await limiter.get("k")).total).toBe(2);
      advance(1);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });
  });

  describe("suppressed", () => {
    it("doesn't wait for denied hits of which nothing was counted any more", async () => {
      const { suppressed } = await open({ suppressionCacheMs: 0 });
      expect((await suppressed.inc("k", perSecond(10), Number.MAX_SAFE_INTEGER)).allowed).toBe(false);
      for (const hits of [2, 1]) {
        advance(300);
        for (let hit = 0; hit < hits; hit++) await suppressed.inc("k", perSecond(10), 50);
      }
      advance(399);
      expect(await suppressed.isAllowed("k")).toMatchObject({ outcome: "allowed", moreAfterMs: 1 });
      advance(1);
      expect(await suppressed.get("k")).toEqual(NOTHING);
      expect(await suppressed.isAllowed("k")).toMatchObject({ outcome: "allowed", moreAfterMs: 1_000 });
    });

    it("goes on limiting after a denied call of any size", async () => {
      const { suppressed } = await open(
        {},
        Array.from({ length: 100 }, () => 0.999_999),
      );
      expect((await suppressed.inc("k", perSecond(10), Number.MAX_SAFE_INTEGER)).allowed).toBe(false);
      let admitted = 0;
      for (let i = 0; i < 100; i++) if ((await suppressed.inc("k", perSecond(10))).allowed) admitted++;
      expect(admitted).toBeLessThanOrEqual(15);
      expect((await suppressed.get("k")).accepted).toBe(admitted);
    });

    it("counts of a denied call no more than fits into the total", async () => {
      const { suppressed } = await open();
      const most = Number.MAX_SAFE_INTEGER;
      await suppressed.inc("k", unlimited(), most - 1);
      expect((await suppressed.inc("k", perSecond(10), 5)).allowed).toBe(false);
      expect(await suppressed.get("k")).toMatchObject({ total: most, declined: 1, accepted: most - 1 });
    });
  });
}
