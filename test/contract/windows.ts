// Other windows of one provider, and a key's rate.

import { perMinute, perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, refused, STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeWindows({ open, advance }: Subject): void {
  it("gives a provider of the same kind with another window: the same one for the same window", async () => {
    const provider = await open();
    const longer = provider.withWindow({ windowMs: 60_000 });
    expect(longer.windowMs).toBe(60_000);
    expect(provider.withWindow({ windowMs: 60_000, bucketMs: 100 })).toBe(longer);
    expect(longer.withWindow({ windowMs: 1_000, bucketMs: 10 })).toBe(provider);
    expect(longer.withWindow({ windowMs: 60_000, bucketMs: 50 })).not.toBe(longer);
  });

  it.each([undefined, null, 5, {}, { windowMs: 0 }, { windowMs: 5, bucketMs: 6 }, { windowMs: 5, maxKeys: 1 }])(
    "has no window %j",
    async (window) => {
      const provider = await open();
      await refused(() => provider.withWindow(window as never), "INVALID_OPTION", /window|bucketMs/);
    },
  );

  describe.each(STRATEGIES)("%s", (strategy) => {
    it("counts a key apart in each window, at one time", async () => {
      const provider = await open();
      const limiter = provider[strategy];
      const longer = provider.withWindow({ windowMs: 5_000 })[strategy];
      expect(await limiter.inc("k", perSecond(2), 2)).toEqual(admission(2, 0));
      expect(await longer.inc("k", perSecond(2), 3)).toEqual(admission(10, 7));
      advance(1_000);
      expect(await limiter.inc("k", perSecond(2))).toEqual(admission(2, 1));
      expect(await longer.inc("k", perSecond(2))).toMatchObject({ remaining: 6, moreAfterMs: 4_000 });
      expect(await longer.delete("k")).toBe(4);
      expect((await limiter.get("k")).total).toBe(1);
    });

    it("counts in a window as long as numbers go, for a limit that is never to come back", async () => {
      const windowMs = 2 ** 52;
      const limiter = (await open({ windowMs, bucketMs: 1_000 }))[strategy];
      const rate = perSecond(5_000 / windowMs);
      for (let call = 1; call <= 5; call++) {
        expect(await limiter.inc("k", rate)).toMatchObject({
          allowed: true,
          remaining: 5 - call,
          moreAfterMs: windowMs,
        });
      }
      advance(2_000);
      const foreseen = await limiter.isAllowed("k");
      expect(foreseen).toMatchObject({ limit: 5, remaining: 0, moreAfterMs: windowMs - 2_000 });
      expect((await limiter.get("k")).total).toBe(5);
    });

    it("gives a key another rate, tells the one before, and keeps the history", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      expect(await limiter.setRate("k", perSecond(8))).toBe(perSecond(5));
      expect(await limiter.isAllowed("k")).toEqual(admission(8, 4));
      expect(await limiter.get("k")).toMatchObject({ total: 3, limit: 8 });
      expect(await limiter.setRate("k", perMinute(120))).toBe(perSecond(8));
      expect((await limiter.isAllowed("k")).allowed).toBe(false);
    });

    it("gives an unknown key no rate: it stays unknown", async () => {
      const limiter = (await open())[strategy];
      expect(await limiter.setRate("k", perSecond(8))).toBe(undefined);
      expect(await limiter.get("k")).toEqual(NOTHING);
      await limiter.inc("k", perSecond(5), 3);
      advance(1_000);
      expect(await limiter.setRate("k", perSecond(8))).toBe(undefined);
    });

    it("gives no key a rate that is none, or too low for the window", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      await refused(() => limiter.setRate("k", 0 as never), "INVALID_RATE", /^rate: got 0/);
      await refused(() => limiter.setRate("k", perSecond(0.5)), "CAPACITY_BELOW_ONE", /at least 2000/);
      await refused(() => limiter.setRate("", perSecond(5)), "INVALID_KEY", /^key: got an empty string/);
      expect((await limiter.get("k")).limit).toBe(5);
    });
  });
}
