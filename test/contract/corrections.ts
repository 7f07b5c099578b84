// What adjust and setIf do.

import { perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeCorrections({ open, advance }: Subject): void {
  describe.each(STRATEGIES)("%s", (strategy) => {
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
      advance(400);
      await limiter.inc("k", perSecond(10), 4);
      expect(await limiter.adjust("k", -6)).toBe(2);
      advance(599);
      expect((await limiter.get("k")).total).toBe(2);
      advance(1);
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
    ] as const)("setIf finds that a total of 5 is %s %d: %s", async (op, value, matched) => {
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
      advance(1_000);
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
    ] as const)("setIf with the history %s makes a total of %d of the right hits", async (history, count, totals) => {
      const limiter = (await open())[strategy];
      for (const hit of [2, 3, 4]) {
        await limiter.inc("k", perSecond(100), hit);
        advance(400);
      }
      advance(-400);
      await limiter.setIf("k", perSecond(100), { op: "always" }, count, history);
      const seen: number[] = [];
      for (const waitMs of [0, 200, 400, 400]) {
        advance(waitMs);
        seen.push((await limiter.get("k")).total);
      }
      expect(seen).toEqual(totals);
    });

    it("replaces a history by one bucket now", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(10), 4);
      advance(900);
      await limiter.setIf("k", perSecond(10), { op: "always" }, 4, "replace");
      advance(999);
      expect((await limiter.get("k")).total).toBe(4);
      advance(1);
      expect((await limiter.get("k")).total).toBe(0);
    });
  });

  describe("suppressed", () => {
    /** 6 accepted and 4 declined in one bucket, then 3 accepted and 9 declined in a second one. */
    async function declinedHistory() {
      const { suppressed } = await open({ hardLimitFactor: 1 });
      await suppressed.inc("k", perSecond(6), 6);
      await suppressed.inc("k", perSecond(6), 4);
      advance(400);
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

    it("shrinks declined counts in proportion when the oldest hits are dropped", async () => {
      const suppressed = await declinedHistory();
      await suppressed.setIf("k", perSecond(9), { op: "always" }, 17, "preserve-newest");
      expect(await suppressed.get("k")).toMatchObject({ total: 17, declined: 2 + 9 });
    });

    it("shrinks declined counts in proportion when the newest hits are dropped", async () => {
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
