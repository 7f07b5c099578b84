// What the absolute strategy decides.

import { perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, rejection } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeAbsolute({ open, advance, drawn }: Subject): void {
  describe("absolute", () => {
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
      advance(4_000);
      await absolute.inc("k", perSecond(1), 7);
      advance(1_000);
      expect(await absolute.inc("k", perSecond(1))).toEqual(rejection(10, 0, 5_000, 3));
      expect(await absolute.inc("k", perSecond(1), 3)).toEqual(rejection(10, 0, 5_000, 3));
      expect(await absolute.inc("k", perSecond(1), 4)).toEqual(rejection(10, 0, 9_000, 10));
      advance(4_999);
      expect((await absolute.inc("k", perSecond(1), 3)).allowed).toBe(false);
      advance(1);
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

    it("tells how long a call would wait at the rate that isAllowed is given", async () => {
      const { absolute } = await open();
      await absolute.inc("k", perSecond(10), 4);
      advance(300);
      await absolute.inc("k", perSecond(10), 4);
      advance(300);
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

    it("takes no random numbers", async () => {
      const { absolute } = await open();
      for (let i = 0; i < 5; i++) await absolute.inc("k", perSecond(2));
      expect(drawn()).toBe(0);
    });
  });
}
