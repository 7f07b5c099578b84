// When a caller that paces itself may go on: `moreAfterMs`.

import { perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describePacing({ open, advance }: Subject): void {
  describe.each(STRATEGIES)("%s", (strategy) => {
    it("says when the oldest bucket expires, in whole milliseconds", async () => {
      const limiter = (await open())[strategy];
      const moreAfterMs = async () => (await limiter.inc("k", perSecond(5))).moreAfterMs;
      expect(await moreAfterMs()).toBe(1_000);
      advance(4);
      // The same bucket lives on with the hit.
      expect(await moreAfterMs()).toBe(1_000);
      advance(300);
      expect(await moreAfterMs()).toBe(700);
      advance(699.5);
      expect(await moreAfterMs()).toBe(1);
      advance(0.5);
      expect(await limiter.inc("k", perSecond(5))).toMatchObject({ remaining: 2, moreAfterMs: 300 });
    });

    it("says so of a call that it foresees as of one that is made", async () => {
      const limiter = (await open())[strategy];
      expect((await limiter.isAllowed("k", 1, perSecond(5))).moreAfterMs).toBe(1_000);
      for (const ms of [3, 5, 500]) {
        await limiter.inc("k", perSecond(5));
        advance(ms);
        const foreseen = await limiter.isAllowed("k");
        expect(await limiter.inc("k", perSecond(5))).toEqual(foreseen);
      }
    });

    it("says so to a caller that it denies", async () => {
      const limiter = (await open({ hardLimitFactor: 1 }))[strategy];
      await limiter.inc("k", perSecond(5), 2);
      advance(100);
      await limiter.inc("k", perSecond(5), 3);
      advance(100);
      expect(await limiter.inc("k", perSecond(5), 4)).toMatchObject({ allowed: false, moreAfterMs: 800 });
      expect(await limiter.inc("k", perSecond(5), 6)).toMatchObject({ allowed: false, moreAfterMs: 800 });
    });
  });

  it("says 0 where nothing is used, and waiting brings nothing", async () => {
    const { absolute } = await open();
    expect(await absolute.inc("k", perSecond(5), 6)).toMatchObject({ allowed: false, remaining: 5, moreAfterMs: 0 });
  });
}
