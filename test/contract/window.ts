// How long a hit counts.

import { perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeWindow({ open, advance }: Subject): void {
  describe("absolute", () => {
    it("keeps a bucket until exactly a window after its newest hit", async () => {
      const { absolute } = await open({ bucketMs: 100 });
      await absolute.inc("k", perSecond(5), 2);
      advance(99);
      await absolute.inc("k", perSecond(5), 2);
      advance(999);
      expect((await absolute.get("k")).total).toBe(4);
      advance(1);
      expect(await absolute.get("k")).toEqual(NOTHING);
    });

    it("makes buckets by the grid of time, not by when a key was first seen", async () => {
      const { absolute } = await open({ bucketMs: 100 });
      advance(99);
      await absolute.inc("k", perSecond(5), 2);
      advance(1);
      await absolute.inc("k", perSecond(5), 3);
      advance(999);
      expect((await absolute.get("k")).total).toBe(3);
    });

    it("never lets two windows' worth through at the edge of a fixed window", async () => {
      const { absolute } = await open();
      advance(990);
      for (let i = 0; i < 10; i++) expect((await absolute.inc("k", perSecond(10))).allowed).toBe(true);
      advance(20);
      expect((await absolute.inc("k", perSecond(10))).allowed).toBe(false);
    });
  });

  describe.each(STRATEGIES)("%s", (strategy) => {
    it("forgets a key when its last bucket has expired", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 5);
      advance(1_000);
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.isAllowed("k", 7)).toMatchObject({ outcome: "allowed" });
      expect(await limiter.adjust("k", 1)).toBe(0);
      expect(await limiter.delete("k")).toBe(0);
      expect(await limiter.inc("k", perSecond(5), 5)).toEqual(admission(5, 0));
    });

    it("goes on when the clock stands still or steps back", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      advance(500);
      await limiter.inc("k", perSecond(5), 2);
      advance(-3_600_000);
      expect((await limiter.isAllowed("k")).outcome).not.toBe("allowed");
      expect((await limiter.get("k")).total).toBe(5);
      advance(500);
      expect((await limiter.get("k")).total).toBe(2);
      advance(500);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });
  });
}
