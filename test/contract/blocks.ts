// Blocks: every call to a key is rejected for a time, whatever it has used.

import { perSecond } from "trypema";
import { manualClock } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { NOTHING, refused, STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeBlocks({ open, advance, drawn }: Subject): void {
  describe.each(STRATEGIES)("%s", (strategy) => {
    it("rejects calls to a blocked key with the time left, and admits again after it", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 2);
      await limiter.block("k", 300);
      const before = drawn();
      const rejected = await limiter.inc("k", perSecond(5));
      expect(rejected).toMatchObject({
        outcome: "rejected",
        allowed: false,
        limit: 5,
        remaining: 0,
        retryAfterMs: 300,
      });
      expect(rejected).toMatchObject({ remainingAfterWaiting: 3, moreAfterMs: 1_000, suppressionFactor: 1 });
      expect(rejected.blocked).toBe(true);
      expect(JSON.parse(JSON.stringify(rejected)).blocked).toBe(true);
      advance(100);
      expect(await limiter.isAllowed("k")).toMatchObject({ outcome: "rejected", retryAfterMs: 200 });
      expect(await limiter.inc("k", perSecond(5), 3)).toMatchObject({ outcome: "rejected", retryAfterMs: 200 });
      advance(199);
      expect((await limiter.inc("k", perSecond(5))).retryAfterMs).toBe(1);
      expect(await limiter.get("k")).toEqual({ total: 2, declined: 0, accepted: 2, limit: 5, suppressionFactor: 1 });
      advance(1);
      const admitted = await limiter.inc("k", perSecond(5));
      expect(admitted).toMatchObject({ outcome: "allowed", remaining: 2 });
      expect(admitted.blocked).toBe(undefined);
      expect(drawn()).toBe(before);
    });

    it("blocks a key that was never seen, for longer than the window, and the key stays unknown", async () => {
      const limiter = (await open())[strategy];
      await limiter.block("k", 10_000);
      advance(5_000);
      expect(await limiter.inc("k", perSecond(5))).toMatchObject({
        ...{ allowed: false, retryAfterMs: 5_000, remainingAfterWaiting: 5, moreAfterMs: 0 },
      });
      expect(await limiter.isAllowed("k")).toMatchObject({ allowed: false, limit: Number.POSITIVE_INFINITY });
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.setRate("k", perSecond(7))).toBe(undefined);
      expect(await limiter.adjust("k", 5)).toBe(0);
      expect((await limiter.inc("other", perSecond(5))).allowed).toBe(true);
      advance(5_000);
      expect(await limiter.inc("k", perSecond(5))).toMatchObject({ allowed: true, remaining: 4 });
    });

    it("blocks keys on a clock that is before 0, also until 0", async () => {
      const clock = manualClock(-2_500);
      const limiter = (await open({ clock }))[strategy];
      await limiter.inc("k", perSecond(5), 2);
      await limiter.block("k", 1_500);
      await limiter.block("new", 2_500);
      clock.advance(500);
      expect(await limiter.inc("k", perSecond(5))).toMatchObject({ outcome: "rejected", retryAfterMs: 1_000 });
      expect(await limiter.isAllowed("new")).toMatchObject({ outcome: "rejected", retryAfterMs: 2_000 });
      clock.advance(1_000);
      expect(await limiter.inc("k", perSecond(5))).toMatchObject({ outcome: "allowed", remaining: 4 });
      expect(await limiter.inc("new", perSecond(5))).toMatchObject({ outcome: "rejected", retryAfterMs: 1_000 });
      await limiter.unblock("new");
      expect(await limiter.inc("new", perSecond(5))).toMatchObject({ outcome: "allowed", remaining: 4 });
    });

    it("keeps what a blocked key has used, which expires as ever", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 2);
      advance(500);
      await limiter.inc("k", perSecond(5), 2);
      await limiter.block("k", 2_000);
      expect(await limiter.adjust("k", -1)).toBe(3);
      advance(500);
      expect((await limiter.get("k")).total).toBe(1);
      advance(500);
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect((await limiter.inc("k", perSecond(5))).retryAfterMs).toBe(1_000);
    });

    it("ends a block by unblock, and keeps the counts", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 2);
      await limiter.block("k", 10_000);
      await limiter.block("new", 10_000);
      for (const key of ["k", "new", "never blocked"]) await limiter.unblock(key);
      expect(await limiter.inc("k", perSecond(5))).toMatchObject({ allowed: true, remaining: 2 });
      expect(await limiter.inc("new", perSecond(5))).toMatchObject({ allowed: true, remaining: 4 });
      expect(await limiter.get("never blocked")).toEqual(NOTHING);
    });

    it("keeps the counts of a key that isn't blocked, also where its oldest hits have just expired", async () => {
      const limiter = (await open())[strategy];
      for (let hit = 0; hit < 4; hit++) {
        await limiter.inc("k", perSecond(5));
        advance(250);
      }
      await limiter.unblock("k");
      expect(await limiter.inc("k", perSecond(5))).toMatchObject({ allowed: true, remaining: 1, moreAfterMs: 250 });
      expect((await limiter.get("k")).total).toBe(4);
    });

    it("takes the latest block, be it shorter", async () => {
      const limiter = (await open())[strategy];
      await limiter.block("k", 10_000);
      await limiter.block("k", 50);
      expect((await limiter.inc("k", perSecond(5))).retryAfterMs).toBe(50);
      advance(50);
      expect((await limiter.inc("k", perSecond(5))).allowed).toBe(true);
    });

    it("ends a block with the key: by delete, by setIf with 0 and by clear, and not by a refund of all", async () => {
      const limiter = (await open())[strategy];
      const blocked = async () => {
        await limiter.inc("k", perSecond(5), 2);
        await limiter.block("k", 10_000);
      };
      await blocked();
      expect(await limiter.adjust("k", -2)).toBe(0);
      expect((await limiter.inc("k", perSecond(5))).allowed).toBe(false);
      expect(await limiter.setIf("k", perSecond(5), { op: "always" }, 3)).toMatchObject({ currentTotal: 3 });
      expect((await limiter.inc("k", perSecond(5))).allowed).toBe(false);
      expect(await limiter.delete("k")).toBe(3);
      expect((await limiter.inc("k", perSecond(5))).allowed).toBe(true);
      await blocked();
      await limiter.setIf("k", perSecond(5), { op: "always" }, 0);
      expect((await limiter.inc("k", perSecond(5))).allowed).toBe(true);
      await blocked();
      await limiter.clear();
      expect((await limiter.inc("k", perSecond(5))).allowed).toBe(true);
    });

    it("keeps no suppression factor of a call that a block denied", async () => {
      const limiter = (await open({ windowMs: 2_000, suppressionCacheMs: 100_000, hardLimitFactor: 10 }))[strategy];
      await limiter.setIf("k", perSecond(5), { op: "always" }, 16);
      await limiter.block("k", 1);
      expect((await limiter.inc("k", perSecond(5))).blocked).toBe(true);
      // The hits leave the recent second: 8 a second are observed from here on, and not 16.
      advance(1_500);
      const { suppressionFactor } = await limiter.get("k");
      expect(suppressionFactor).toBe(strategy === "suppressed" ? 1 - 5 / 8 : 1);
    });

    it("tells a call that can never fit that waiting is of no use", async () => {
      const limiter = (await open({ hardLimitFactor: 1 }))[strategy];
      await limiter.block("k", 50);
      expect(await limiter.inc("k", perSecond(5), 6)).toMatchObject({
        ...{ allowed: false, retryAfterMs: Number.POSITIVE_INFINITY, remainingAfterWaiting: 5 },
      });
    });

    it.each([0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY, "5", undefined])("blocks for no %j ms", async (ms) => {
      const limiter = (await open())[strategy];
      await refused(() => limiter.block("k", ms as number), "INVALID_OPTION", /^ms: got .*, expected a number/);
      await refused(() => limiter.block("", 5), "INVALID_KEY", /^key: got an empty string/);
      await refused(() => limiter.unblock(""), "INVALID_KEY", /^key: got an empty string/);
    });
  });
}
